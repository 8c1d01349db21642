//! The exit codes of `ctl`. Pure.

/// Every exit code, in ascending order.
pub const EXITS: &[(u8, &str)] = &[
    (0, "done, or nothing to do"),
    (1, "check failed (`validate`, `wait`, `diff --exit-code`, `verify`), or the prompt was declined"),
    (2, "usage error, invalid manifest, object not found, or image cannot be resolved; nothing was changed"),
    (3, "the daemon or Docker is unreachable, or permission denied"),
    (4, "the rollout failed and was rolled back; the service runs the old revision"),
    (5, "the rollout failed and was not rolled back"),
    (6, "timed out waiting; the operation continues"),
    (7, "conflict: a live override, a change by someone else, or another owner"),
    (8, "cannot be placed: no node has enough memory"),
    (70, "a bug in `ctl`"),
    (130, "Ctrl-C: detached, the operation continues"),
];
