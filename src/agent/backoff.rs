//! How long to wait after the n-th failure in a row. Pure.

use crate::model::Millis;

/// The second failure in a row waits so long; the first does not wait.
const BASE: Millis = Millis::secs(1);
/// No wait is longer.
const MAX: Millis = Millis::secs(60);
/// So long of health and the next failure counts as the first.
pub(super) const RESET_AFTER: Millis = Millis::secs(300);

/// Wait before the next container: nothing after the first failure in a row, then 1 s, doubling to 60 s. The first
/// restart is at once because most exits are single: someone stopped it by hand, or it hit a bug once.
pub(super) fn restart(streak: u32) -> Millis {
    match streak {
        0 | 1 => Millis(0),
        n => retry(n - 1),
    }
}

/// Wait before something without a container is tried again: 1 s after the first failure in a row, doubling to 60 s.
pub(crate) fn retry(streak: u32) -> Millis {
    let doublings = streak.saturating_sub(1).min(16);
    Millis(BASE.0 << doublings).min(MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_minute() {
        let waits: Vec<u64> = (0..=9).map(|n| restart(n).0 / 1000).collect();
        assert_eq!(waits, [0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(restart(u32::MAX), MAX);
        assert_eq!(retry(1), BASE);
    }
}
