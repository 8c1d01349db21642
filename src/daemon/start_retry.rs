//! Starts again where processes of a daemon of this directory are still ending.
//!
//! After a `kill -9` of all of them the kernel needs a moment to release their lock and sockets. Another daemon that lives is
//! refused; who it is decides, not the time.

use std::path::Path;
use std::time::Duration;

use super::StartError;

/// Between two tries.
const TRY_EVERY: Duration = Duration::from_millis(50);
/// Tries after the first: three seconds. A process that was killed is gone long before.
const TRIES: u32 = 60;

/// Tries until it succeeds, or fails for a reason that does not pass.
///
/// # Errors
/// The last one.
pub(super) fn while_ending<T>(
    state_dir: &Path,
    mut start: impl FnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    for _ in 0..TRIES {
        match start() {
            Err(error) if error.downcast_ref::<StartError>().is_some_and(|e| is_ending(e, state_dir)) => {
                tracing::debug!("waiting for processes of the last daemon to end: {error}");
                std::thread::sleep(TRY_EVERY);
            }
            outcome => return outcome,
        }
    }
    start()
}

/// Whether it is a process of ours that holds what we need, and that is about to end.
fn is_ending(error: &StartError, state_dir: &Path) -> bool {
    match error {
        // Not shown any more, or a child whose supervisor is gone: its directory's lock is ours.
        StartError::AddressInUse { owner, .. } => {
            owner.as_ref().is_none_or(|owner| is_child_of(owner.pid, state_dir))
        }
        StartError::SocketInUse { owner_lives, .. } => !owner_lives,
        StartError::AlreadyRunning { pid, .. } => pid.parse().is_ok_and(|pid| !lives(pid)),
        StartError::AddressRefused { .. }
        | StartError::NotASocket { .. }
        | StartError::CopiedStateDir { .. } => false,
    }
}

/// Whether a process runs: it exists, and is no zombie.
pub(super) fn lives(pid: i32) -> bool {
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let state = text.rsplit_once(") ").and_then(|(_, fields)| fields.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// Whether a process is a child of a daemon of this directory, by its command line.
fn is_child_of(pid: u32, state_dir: &Path) -> bool {
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return true };
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let dir = state_dir.as_os_str().as_encoded_bytes();
    // A process that ends has no command line any more.
    line.is_empty() || (words.contains(&b"--role".as_slice()) && words.contains(&dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process_lives_and_no_process_has_the_highest_number() {
        assert!(lives(i32::try_from(std::process::id()).unwrap()));
        assert!(!lives(i32::MAX));
        assert!(!is_child_of(std::process::id(), Path::new("/var/lib/coxswain")));
    }

    #[test]
    fn while_ending_tries_again_only_what_passes() {
        let mut tries = 0;
        let mut fail = |error: fn() -> StartError, succeeds_at: u32| {
            tries = 0;
            let start = || {
                tries += 1;
                if tries == succeeds_at { Ok(()) } else { Err(error().into()) }
            };
            let outcome = while_ending(Path::new("/x"), start).is_ok();
            (outcome, tries)
        };
        let gone = || StartError::SocketInUse { path: "/s".into(), owner_lives: false };
        assert_eq!(fail(gone, 3), (true, 3));
        let lives = || StartError::SocketInUse { path: "/s".into(), owner_lives: true };
        assert_eq!(fail(lives, 3), (false, 1));
        let unseen = || StartError::AddressInUse { address: ([127, 0, 0, 1], 1).into(), owner: None };
        assert_eq!(fail(unseen, 2), (true, 2));
    }
}
