//! Request rate, errors and latency of a watched service, from the counters of its replicas. Pure.

use std::collections::{BTreeMap, VecDeque};

use coxswain::api::types::{OperationProgress, ReplicaCounters};
use coxswain::model::{Incarnation, Latencies, Millis, Mono, ReplicaName};

/// Window of rate and percentile: long enough to be steady, short enough to show a bad release.
const WINDOW: Millis = Millis(5000);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrafficFigures {
    /// Completed requests per second.
    pub(crate) per_second: u64,
    /// Answers 500 to 599 and requests without an answer, since ctl attached.
    pub(crate) errors: u64,
    /// In microseconds; `None` without answers.
    pub(crate) p99: Option<u64>,
}

/// Sums the increments between snapshots. Counters restart at zero with a new balancer process and with a new container.
#[derive(Debug, Default)]
pub(crate) struct TrafficMeter {
    by: Option<Incarnation>,
    last: BTreeMap<ReplicaName, ReplicaCounters>,
    requests: u64,
    errors: u64,
    latencies: Latencies,
    samples: VecDeque<TrafficSample>,
}

#[derive(Debug)]
struct TrafficSample {
    at: Mono,
    requests: u64,
    latencies: Latencies,
}

impl TrafficMeter {
    pub(crate) fn take(&mut self, now: &OperationProgress) {
        let Some(counted) = &now.counted else { return };
        if self.samples.back().is_some_and(|last| last.at == counted.at) {
            return;
        }
        let known = self.by.as_ref() == Some(&counted.by);
        if !known {
            self.by = Some(counted.by.clone());
            self.last.clear();
            self.samples.clear();
        }
        for replica in &now.replicas {
            let Some(counters) = replica.counters else { continue };
            let before = self.last.insert(replica.name.clone(), counters);
            if known {
                self.add(&before.unwrap_or_default(), &counters);
            }
        }
        self.samples.push_back(TrafficSample {
            at: counted.at,
            requests: self.requests,
            latencies: self.latencies,
        });
        while self.samples.get(1).is_some_and(|second| counted.at.since(second.at) >= WINDOW) {
            self.samples.pop_front();
        }
    }

    fn add(&mut self, before: &ReplicaCounters, now: &ReplicaCounters) {
        let before = if now.requests < before.requests { ReplicaCounters::default() } else { *before };
        self.requests += now.requests.saturating_sub(before.requests);
        self.errors += now.errors.saturating_sub(before.errors);
        self.latencies = self.latencies.with(&now.latencies.since(&before.latencies));
    }

    /// `None` before the second snapshot with counters.
    pub(crate) fn traffic(&self) -> Option<TrafficFigures> {
        let first = self.samples.front()?;
        let last = self.samples.back()?;
        let millis = last.at.since(first.at).0;
        let requests = last.requests - first.requests;
        Some(TrafficFigures {
            per_second: (requests * 1000 + millis / 2).checked_div(millis)?,
            errors: self.errors,
            p99: last.latencies.since(&first.latencies).percentile(99),
        })
    }
}

#[cfg(test)]
mod tests {
    use coxswain::api::types::CountersReading;
    use coxswain::model::ReplicaPhase;

    use super::super::phase_text::tests::snapshot;
    use super::*;

    /// Requests and errors per replica at this second of balancer `by`; each answered within 2 ms.
    fn at(by: &str, second: u64, counts: &[(&str, u64, u64)]) -> OperationProgress {
        let phases: Vec<_> = counts.iter().map(|(name, ..)| (*name, ReplicaPhase::Ready)).collect();
        let mut progress = snapshot(1, &phases);
        progress.counted = Some(CountersReading { by: Incarnation(by.to_owned()), at: Mono(second * 1000) });
        for (replica, (_, requests, errors)) in progress.replicas.iter_mut().zip(counts) {
            let latencies = Latencies::from(vec![0, 0, 0, 0, *requests]);
            let counters = ReplicaCounters { requests: *requests, errors: *errors, latencies };
            replica.counters = Some(counters);
        }
        progress
    }

    fn figures(snapshots: &[OperationProgress]) -> Option<(u64, u64, bool)> {
        let mut meter = TrafficMeter::default();
        snapshots.iter().for_each(|snapshot| meter.take(snapshot));
        meter.traffic().map(|traffic| (traffic.per_second, traffic.errors, traffic.p99.is_some()))
    }

    #[test]
    fn meter_counts_increments_since_the_first_snapshot() {
        let first = || at("i", 1, &[("a", 1000, 7)]);
        assert_eq!(figures(&[snapshot(1, &[])]), None);
        assert_eq!(figures(&[first()]), None);
        assert_eq!(figures(&[first(), first()]), None, "the same counters again");
        assert_eq!(figures(&[first(), at("i", 3, &[("a", 1600, 8)])]), Some((300, 1, true)));
        assert_eq!(figures(&[first(), at("i", 3, &[("a", 1000, 7)])]), Some((0, 0, false)));
        let second = at("i", 2, &[("a", 1010, 7), ("b", 30, 1)]);
        assert_eq!(figures(&[first(), second]), Some((40, 1, true)), "a new replica counts from zero");
        let gone = [first(), at("i", 2, &[("a", 1010, 7)]), at("i", 3, &[])];
        assert_eq!(figures(&gone), Some((5, 0, true)), "counts of a removed replica remain");
        let new_container = [first(), at("i", 2, &[("a", 40, 0)])];
        assert_eq!(figures(&new_container), Some((40, 0, true)), "a new container");
        let restarted = [first(), at("i", 2, &[("a", 1010, 9)]), at("j", 3, &[("a", 5, 0)])];
        assert_eq!(figures(&restarted), None, "a new balancer");
        let continued = [first(), at("j", 3, &[("a", 5, 0)]), at("j", 4, &[("a", 9, 1)])];
        assert_eq!(figures(&continued), Some((4, 1, true)));
    }

    #[test]
    fn meter_rate_covers_the_window() {
        let snapshots: Vec<OperationProgress> =
            (0..20).map(|second| at("i", second, &[("a", second * second, 0)])).collect();
        assert_eq!(figures(&snapshots), Some(((19 * 19 - 14 * 14) / 5, 0, true)));
    }
}
