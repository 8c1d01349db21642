//! The results of the requests of one step. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

/// Distinct kinds of failure; there are about a dozen, plus one per status.
const KINDS_MAX: usize = 32;
/// For failures beyond that.
const OTHER: &str = "other failures";
/// Longer times count as this; it is longer than a route's timeout.
const TIME_MAX_MS: u32 = 60_000;

/// Counters of bounded size, however long the load runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RequestTally {
    /// Completed requests, successful or not.
    pub(crate) requests: u64,
    /// Correct answers that were late.
    pub(crate) late: u64,
    pub(crate) failures: BTreeMap<String, u64>,
    /// Answers per millisecond.
    times: BTreeMap<u32, u64>,
}

impl RequestTally {
    pub(super) fn answered(&mut self, took: Duration, late_after: Duration) {
        self.requests += 1;
        self.late += u64::from(took > late_after);
        let ms = u32::try_from(took.as_millis()).unwrap_or(TIME_MAX_MS).min(TIME_MAX_MS);
        *self.times.entry(ms).or_default() += 1;
    }

    pub(super) fn failed(&mut self, kind: String) {
        self.requests += 1;
        let known = self.failures.contains_key(&kind) || self.failures.len() < KINDS_MAX;
        *self.failures.entry(if known { kind } else { OTHER.to_owned() }).or_default() += 1;
    }

    pub(crate) fn lost(&self) -> u64 {
        self.failures.values().sum()
    }

    /// The 99th percentile of correct answers in milliseconds, rounded down; `None` without answers.
    pub(crate) fn p99_ms(&self) -> Option<u32> {
        let answers: u64 = self.times.values().sum();
        let wanted = (answers * 99).div_ceil(100);
        let mut so_far = 0;
        self.times.iter().find_map(|(ms, count)| {
            so_far += count;
            (so_far >= wanted).then_some(*ms)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tally_counts_answers_and_failures() {
        let mut tally = RequestTally::default();
        assert_eq!(tally.p99_ms(), None);
        for ms in 1..=100 {
            tally.answered(Duration::from_millis(ms), Duration::from_millis(98));
        }
        tally.failed("503 Service Unavailable".to_owned());
        tally.failed("503 Service Unavailable".to_owned());
        assert_eq!((tally.requests, tally.lost(), tally.late), (102, 2, 2));
        assert_eq!(tally.p99_ms(), Some(99));
        assert_eq!(tally.failures, [("503 Service Unavailable".to_owned(), 2)].into());
    }

    #[test]
    fn tally_size_is_bounded() {
        let mut tally = RequestTally::default();
        for n in 0..1_000 {
            tally.failed(format!("kind {n}"));
        }
        tally.answered(Duration::from_secs(1 << 40), Duration::ZERO);
        assert_eq!((tally.failures.len(), tally.lost()), (KINDS_MAX + 1, 1_000));
        assert_eq!(tally.p99_ms(), Some(TIME_MAX_MS));
    }
}
