//! What became of the requests of one step. PURE.

use std::collections::BTreeMap;
use std::time::Duration;

/// Kinds of failure that are told apart; there are about a dozen, and an answer's status is one each.
const KINDS_MAX: usize = 32;
/// What failures beyond that are called.
const OTHER: &str = "other failures";
/// Times are kept to the millisecond up to here, which is longer than a route waits; longer ones count as this.
const TIME_MAX_MS: u32 = 60_000;

/// Counts, bounded in size however long the load lasts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Requests that have ended, well or not.
    pub(crate) requests: u64,
    /// Answers that were right and came later than is wanted.
    pub(crate) late: u64,
    /// How often each kind of failure was met.
    pub(crate) failures: BTreeMap<String, u64>,
    /// How many answers took how many milliseconds.
    times: BTreeMap<u32, u64>,
}

impl Tally {
    /// A right answer.
    pub(super) fn answered(&mut self, took: Duration, late_after: Duration) {
        self.requests += 1;
        self.late += u64::from(took > late_after);
        let ms = u32::try_from(took.as_millis()).unwrap_or(TIME_MAX_MS).min(TIME_MAX_MS);
        *self.times.entry(ms).or_default() += 1;
    }

    /// None, or a wrong one.
    pub(super) fn failed(&mut self, kind: String) {
        self.requests += 1;
        let known = self.failures.contains_key(&kind) || self.failures.len() < KINDS_MAX;
        *self.failures.entry(if known { kind } else { OTHER.to_owned() }).or_default() += 1;
    }

    /// Requests that failed.
    pub(crate) fn lost(&self) -> u64 {
        self.failures.values().sum()
    }

    /// The time within which 99 of 100 right answers came, in milliseconds, rounded down; `None` without an answer.
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
    fn answers_and_failures_are_counted() {
        let mut tally = Tally::default();
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
    fn it_stays_small() {
        let mut tally = Tally::default();
        for n in 0..1_000 {
            tally.failed(format!("kind {n}"));
        }
        tally.answered(Duration::from_secs(1 << 40), Duration::ZERO);
        assert_eq!((tally.failures.len(), tally.lost()), (KINDS_MAX + 1, 1_000));
        assert_eq!(tally.p99_ms(), Some(TIME_MAX_MS));
    }
}
