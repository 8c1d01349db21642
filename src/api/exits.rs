//! What `ctl` ends with: a number and its meaning. PURE.

/// Every exit code, rising.
pub const EXITS: &[(u8, &str)] = &[
    (0, "done, or nothing to do"),
    (
        1,
        "checked, and the answer is no (`validate`, `wait`, `diff --exit-code`); or someone who was asked said no",
    ),
    (
        2,
        "usage error, invalid manifest, object not found, or an image that cannot be resolved; nothing was changed",
    ),
    (3, "the daemon or Docker cannot be reached, or not by this user"),
    (4, "the rollout failed and was rolled back; the service runs on the old revision"),
    (5, "the rollout failed and was not rolled back"),
    (6, "timed out waiting; the operation continues"),
    (7, "conflict: someone changed the object since, or it belongs to another"),
    (8, "cannot be placed: no host fits"),
    (70, "a bug in `ctl`"),
    (130, "Ctrl-C: detached, the operation continues"),
];
