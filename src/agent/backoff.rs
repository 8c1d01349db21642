//! The back-off of containers and of actions on the Engine. Pure.

use crate::model::{Backoff, Millis};

/// Waits before something without a container is tried again.
pub(super) const RETRY: Backoff = Backoff::new(Millis::secs(1), Millis::secs(60));
/// Waits of a replica that has not served yet, until `startWithin` has passed: what it waits for comes up within seconds.
const START: Backoff = Backoff::new(Millis(200), Millis::secs(5));
/// An image that cannot be pulled, or a volume that has vanished, is looked up again after this long: a user may build or
/// restore it.
pub(super) const FIND_AGAIN: Millis = Millis::secs(5);
/// After this much health the next failure counts as the first.
pub(super) const RESET_AFTER: Millis = Millis::secs(300);

/// Wait before the next container: none after the first failure in a row, then 1 s, doubling to 60 s. The first restart is
/// immediate because most exits are single: a user stopped the container, or it hit a bug once.
pub(super) fn restart(streak: u32) -> Millis {
    match streak {
        0 | 1 => Millis(0),
        n => RETRY.wait(n - 1),
    }
}

/// Wait before the next container of a replica that has not served yet.
pub(super) fn start(streak: u32) -> Millis {
    START.wait(streak)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restart_doubles_to_a_minute_from_the_second_failure_on() {
        let waits: Vec<u64> = (0..=9).map(|n| restart(n).0 / 1000).collect();
        assert_eq!(waits, [0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(restart(u32::MAX), Millis::secs(60));
        assert_eq!(RETRY.wait(1), Millis::secs(1));
    }

    #[test]
    fn start_doubles_from_200_ms_to_5_s() {
        let waits: Vec<u64> = (1..=8).map(|n| start(n).0).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
    }
}
