//! Requests, errors and latency of a service while somebody watches, from the counters of its replicas. PURE.

use std::collections::{BTreeMap, VecDeque};

use coxswain::api::types::OperationProgress;
use coxswain::model::{EndpointStats, Incarnation, Latencies, Millis, Mono, ReplicaName};

/// The time that a rate and a percentile speak of: long enough to be steady, short enough to show a bad release.
const WINDOW: Millis = Millis(5000);

/// What is shown of a service's requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// Requests that ended, per second.
    pub(crate) per_second: u64,
    /// Answered 500 to 599, or not at all, since the watching began.
    pub(crate) errors: u64,
    /// In microseconds; `None` where nothing was answered.
    pub(crate) p99: Option<u64>,
}

/// Sums what the replicas counted from one snapshot to the next. Counters of a balancer that was started anew, or of
/// another container of a replica, begin at zero.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    by: Option<Incarnation>,
    last: BTreeMap<ReplicaName, EndpointStats>,
    requests: u64,
    errors: u64,
    latencies: Latencies,
    points: VecDeque<Point>,
}

#[derive(Debug)]
struct Point {
    at: Mono,
    requests: u64,
    latencies: Latencies,
}

impl Meter {
    /// Takes in a snapshot.
    pub(crate) fn take(&mut self, now: &OperationProgress) {
        let Some(counted) = &now.counted else { return };
        if self.points.back().is_some_and(|last| last.at == counted.at) {
            return;
        }
        let known = self.by.as_ref() == Some(&counted.by);
        if !known {
            self.by = Some(counted.by.clone());
            self.last.clear();
            self.points.clear();
        }
        for replica in &now.replicas {
            let Some(counters) = replica.counters else { continue };
            let before = self.last.insert(replica.name.clone(), counters);
            if known {
                self.add(&before.unwrap_or_default(), &counters);
            }
        }
        let (requests, latencies) = (self.requests, self.latencies);
        self.points.push_back(Point { at: counted.at, requests, latencies });
        while self.points.get(1).is_some_and(|second| counted.at.since(second.at) >= WINDOW) {
            self.points.pop_front();
        }
    }

    fn add(&mut self, before: &EndpointStats, now: &EndpointStats) {
        let before = if now.requests < before.requests { EndpointStats::default() } else { *before };
        self.requests += now.requests.saturating_sub(before.requests);
        self.errors += now.errors.saturating_sub(before.errors);
        self.latencies = self.latencies.with(&now.latencies.since(&before.latencies));
    }

    /// What to show; `None` before the second snapshot with counters.
    pub(crate) fn traffic(&self) -> Option<Traffic> {
        let (first, last) = (self.points.front()?, self.points.back()?);
        let millis = last.at.since(first.at).0;
        let requests = last.requests - first.requests;
        Some(Traffic {
            per_second: (requests * 1000 + millis / 2).checked_div(millis)?,
            errors: self.errors,
            p99: last.latencies.since(&first.latencies).percentile(99),
        })
    }
}

#[cfg(test)]
mod tests {
    use coxswain::api::types::Counted;
    use coxswain::model::ReplicaPhase;

    use super::super::progress::tests::snapshot;
    use super::*;

    /// At this second of that balancer: requests and errors of each replica, each answered within 2 ms.
    fn at(by: &str, second: u64, counts: &[(&str, u64, u64)]) -> OperationProgress {
        let phases: Vec<_> = counts.iter().map(|(name, ..)| (*name, ReplicaPhase::Ready)).collect();
        let mut progress = snapshot(1, &phases);
        progress.counted = Some(Counted { by: Incarnation(by.to_owned()), at: Mono(second * 1000) });
        for (replica, (_, requests, errors)) in progress.replicas.iter_mut().zip(counts) {
            let latencies = Latencies::from(vec![0, 0, 0, 0, *requests]);
            let stats = EndpointStats::default();
            let counters = EndpointStats { requests: *requests, errors: *errors, latencies, ..stats };
            replica.counters = Some(counters);
        }
        progress
    }

    fn told(snapshots: &[OperationProgress]) -> Option<(u64, u64, bool)> {
        let mut meter = Meter::default();
        snapshots.iter().for_each(|snapshot| meter.take(snapshot));
        meter.traffic().map(|traffic| (traffic.per_second, traffic.errors, traffic.p99.is_some()))
    }

    #[test]
    fn rates_are_of_what_was_watched() {
        let first = || at("i", 1, &[("a", 1000, 7)]);
        assert_eq!(told(&[snapshot(1, &[])]), None);
        assert_eq!(told(&[first()]), None);
        assert_eq!(told(&[first(), first()]), None, "the same counters again");
        assert_eq!(told(&[first(), at("i", 3, &[("a", 1600, 8)])]), Some((300, 1, true)));
        assert_eq!(told(&[first(), at("i", 3, &[("a", 1000, 7)])]), Some((0, 0, false)));
        let second = at("i", 2, &[("a", 1010, 7), ("b", 30, 1)]);
        assert_eq!(told(&[first(), second]), Some((40, 1, true)), "one that is new counts from zero");
        let gone = [first(), at("i", 2, &[("a", 1010, 7)]), at("i", 3, &[])];
        assert_eq!(told(&gone), Some((5, 0, true)), "one that went is not forgotten");
        let anew = [first(), at("i", 2, &[("a", 40, 0)])];
        assert_eq!(told(&anew), Some((40, 0, true)), "another container of it");
        let restarted = [first(), at("i", 2, &[("a", 1010, 9)]), at("j", 3, &[("a", 5, 0)])];
        assert_eq!(told(&restarted), None, "another balancer");
        let goes_on = [first(), at("j", 3, &[("a", 5, 0)]), at("j", 4, &[("a", 9, 1)])];
        assert_eq!(told(&goes_on), Some((4, 1, true)));
    }

    #[test]
    fn a_rate_is_of_the_last_seconds() {
        let snapshots: Vec<OperationProgress> =
            (0..20).map(|second| at("i", second, &[("a", second * second, 0)])).collect();
        assert_eq!(told(&snapshots), Some(((19 * 19 - 14 * 14) / 5, 0, true)));
    }
}
