//! Limits how often an event is logged that may occur thousands of times a second. Pure.

use std::time::Duration;

use crate::model::Mono;

/// How often the event occurred since it was last logged, and when that was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LogThrottle {
    unlogged: u64,
    logged_at: Option<Mono>,
}

impl LogThrottle {
    /// The event occurred: the number of occurrences to log, if it is time.
    pub(super) fn occurred(&mut self, now: Mono, every: Duration) -> Option<u64> {
        self.unlogged += 1;
        if self.logged_at.is_some_and(|at| now.since(at).std() < every) {
            return None;
        }
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }

    /// The problem is over: whether it had been logged. The next occurrence is logged at once.
    pub(super) fn resolved(&mut self) -> bool {
        std::mem::take(self).logged_at.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttle_logs_the_first_and_then_a_count_per_interval() {
        let mut throttle = LogThrottle::default();
        let mut logged = Vec::new();
        for second in 0..25 {
            let count = throttle.occurred(Mono(second * 1000), Duration::from_secs(10));
            logged.extend(count.map(|count| (second, count)));
        }
        assert_eq!(logged, [(0, 1), (10, 10), (20, 10)]);
    }

    #[test]
    fn throttle_logs_at_once_after_the_problem_was_resolved() {
        let mut throttle = LogThrottle::default();
        let minute = Duration::from_secs(60);
        assert!(!throttle.resolved(), "there was no problem");
        assert_eq!(throttle.occurred(Mono(1), minute), Some(1));
        assert_eq!(throttle.occurred(Mono(2), minute), None);
        assert!(throttle.resolved());
        assert_eq!(throttle.occurred(Mono(3), minute), Some(1));
    }
}
