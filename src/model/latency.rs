//! Latency histograms with fixed buckets.

use serde::{Deserialize, Serialize};

/// Upper bounds of the buckets in microseconds: two per octave, from 0.5 ms (what comes from the same machine is rarely
/// faster) to over 60 s (a route's timeout is rarely longer). A percentile read from them is off by less than the square
/// root of two, which is enough to see that a release is slower.
pub const LATENCY_BOUNDS: [u64; 35] = bounds();
/// One for each bound, and one for everything slower.
pub const LATENCY_BUCKETS: usize = LATENCY_BOUNDS.len() + 1;

/// Powers of the square root of two, from 500 µs.
const fn bounds() -> [u64; 35] {
    let mut bounds = [0; 35];
    let mut at = 0;
    while at < bounds.len() {
        let base = if at % 2 == 0 { 500_000_000 } else { 707_106_781 };
        bounds[at] = (base << (at / 2)) / 1_000_000;
        at += 1;
    }
    bounds
}

/// Counts by bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<u64>", into = "Vec<u64>")]
pub struct Latencies([u64; LATENCY_BUCKETS]);

impl Default for Latencies {
    fn default() -> Self {
        Self([0; LATENCY_BUCKETS])
    }
}

/// Empty buckets at the end are left out.
impl From<Latencies> for Vec<u64> {
    fn from(Latencies(counts): Latencies) -> Self {
        let length = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        counts[..length].to_vec()
    }
}

impl From<Vec<u64>> for Latencies {
    fn from(counts: Vec<u64>) -> Self {
        let count = |at: usize| counts.get(at).copied().unwrap_or_default();
        Self(std::array::from_fn(count))
    }
}

impl Latencies {
    /// The bucket of a response that took this many microseconds.
    pub fn bucket(micros: u64) -> usize {
        LATENCY_BOUNDS.partition_point(|bound| *bound < micros)
    }

    /// From the count of each bucket.
    pub fn of(count: impl FnMut(usize) -> u64) -> Self {
        Self(std::array::from_fn(count))
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|count| *count == 0)
    }

    /// The sum of both.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        Self::of(|at| self.0[at].saturating_add(other.0[at]))
    }

    /// What was counted since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self::of(|at| self.0[at].saturating_sub(earlier.0[at]))
    }

    /// A percentile in microseconds, interpolated within its bucket; `None` if nothing was counted. Values beyond the last
    /// bound are reported as that bound.
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let total: u64 = self.0.iter().sum();
        let rank = (u128::from(total) * u128::from(percent.min(100))).div_ceil(100).max(1);
        let mut below: u128 = 0;
        for (at, count) in self.0.iter().enumerate() {
            let upto = below + u128::from(*count);
            if upto >= rank {
                let low = at.checked_sub(1).map_or(0, |lower| LATENCY_BOUNDS[lower]);
                let high = LATENCY_BOUNDS.get(at).copied().unwrap_or(low);
                let part = u128::from(high - low) * (rank - below) / u128::from(*count);
                return Some(low + u64::try_from(part).unwrap_or_default());
            }
            below = upto;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(micros: &[u64]) -> Latencies {
        Latencies::of(|at| micros.iter().filter(|took| Latencies::bucket(**took) == at).count() as u64)
    }

    #[test]
    fn bounds_have_two_buckets_an_octave_up_to_a_minute() {
        assert_eq!(LATENCY_BOUNDS[..5], [500, 707, 1000, 1414, 2000]);
        assert!(LATENCY_BOUNDS[34] > 60_000_000);
        let rows = [(0, 0), (500, 0), (501, 1), (1000, 2), (1001, 3), (65_536_000, 34), (u64::MAX, 35)];
        for (micros, bucket) in rows {
            assert_eq!(Latencies::bucket(micros), bucket, "{micros} µs");
        }
    }

    #[test]
    fn empty_buckets_at_the_end_are_not_sent() {
        let some = counted(&[100, 800, 800]);
        assert_eq!(Vec::from(some), [1, 0, 2]);
        assert_eq!(Latencies::from(Vec::from(some)), some);
        assert_eq!(Latencies::default().percentile(99), None);
    }

    proptest! {
        #[test]
        fn percentile_is_in_the_bucket_of_the_exact_one(
            mut micros in prop::collection::vec(0_u64..65_000_000, 1..300),
            percent in 1_u64..=100,
        ) {
            micros.sort_unstable();
            let rank = (micros.len() as u64 * percent).div_ceil(100).max(1);
            let exact = micros[usize::try_from(rank - 1).unwrap()];
            let reported = counted(&micros).percentile(percent).unwrap();
            let bucket = Latencies::bucket(exact);
            let low = bucket.checked_sub(1).map_or(0, |lower| LATENCY_BOUNDS[lower]);
            prop_assert!((low..=LATENCY_BOUNDS[bucket]).contains(&reported), "{reported} for {exact}");
        }

        #[test]
        fn difference_since_an_earlier_count_is_the_rest(
            first in prop::collection::vec(0_u64..u64::MAX, 0..50),
            then in prop::collection::vec(0_u64..u64::MAX, 0..50),
        ) {
            let both = counted(&first).with(&counted(&then));
            prop_assert_eq!(both.since(&counted(&first)), counted(&then));
        }
    }
}
