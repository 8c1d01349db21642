//! The last report of each known balancer, and sums over them. Pure.
//!
//! A balancer is one process: it is known from before its start until it is known to be gone, also if its supervisor ended
//! before. A known balancer that is not connected has no report. It still counts: nothing holds of all balancers while one of
//! them is away, and nothing holds of an empty set.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{BalancerId, BalancerReport, ConnectionStats, EndpointId, EndpointStats, TableName};

/// A balancer that runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BalancerProcess {
    pub id: BalancerId,
    /// `None` while it is not recorded yet.
    pub pid: Option<i32>,
}

impl fmt::Display for BalancerProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "balancer {} (process {pid})", self.id),
            None => write!(f, "balancer {}", self.id),
        }
    }
}

/// What is known of a balancer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct KnownBalancer {
    pid: Option<i32>,
    report: Option<Arc<BalancerReport>>,
}

/// Why a table is not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BalancerLag {
    NoneRuns,
    Disconnected(BalancerProcess),
    Unacknowledged(BalancerProcess),
}

impl fmt::Display for BalancerLag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoneRuns => f.write_str("no balancer runs"),
            Self::Disconnected(process) => write!(f, "{process} is not connected"),
            Self::Unacknowledged(process) => write!(f, "{process} has not acknowledged the last table"),
        }
    }
}

/// The last report of each known balancer. Cheap to clone: every pass over a service takes one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BalancerReports(Arc<BTreeMap<BalancerId, KnownBalancer>>);

impl BalancerReports {
    /// These balancers are known, and none of them is connected.
    pub fn of_known(ids: impl IntoIterator<Item = BalancerId>) -> Self {
        Self(Arc::new(ids.into_iter().map(|id| (id, KnownBalancer::default())).collect()))
    }

    /// The ids of all known balancers.
    pub fn known(&self) -> impl Iterator<Item = &BalancerId> {
        self.0.keys()
    }

    /// Whether this balancer is known.
    pub fn is_known(&self, id: &BalancerId) -> bool {
        self.0.contains_key(id)
    }

    /// Replaces the known balancers by those that run. One that stays keeps its report; a new one is not connected.
    pub fn set_running(&mut self, running: Vec<BalancerProcess>) {
        let mut earlier = std::mem::take(Arc::make_mut(&mut self.0));
        let known = |process: BalancerProcess| {
            let report = earlier.remove(&process.id).and_then(|known| known.report);
            (process.id, KnownBalancer { pid: process.pid, report })
        };
        self.0 = Arc::new(running.into_iter().map(known).collect());
    }

    /// The last report of a balancer that is connected.
    pub fn get(&self, id: &BalancerId) -> Option<&BalancerReport> {
        self.0.get(id)?.report.as_deref()
    }

    /// The reports of the balancers that are connected.
    pub fn connected(&self) -> impl Iterator<Item = (&BalancerId, &BalancerReport)> {
        self.0.iter().filter_map(|(id, known)| Some((id, known.report.as_deref()?)))
    }

    /// All known balancers, each with its last report if it is connected.
    pub fn iter(&self) -> impl Iterator<Item = (BalancerProcess, Option<&BalancerReport>)> {
        let process =
            |id: &BalancerId, known: &KnownBalancer| BalancerProcess { id: id.clone(), pid: known.pid };
        self.0.iter().map(move |(id, known)| (process(id, known), known.report.as_deref()))
    }

    /// Why not every balancer is connected; empty if every one is.
    pub fn absences(&self) -> Vec<BalancerLag> {
        if self.0.is_empty() {
            return vec![BalancerLag::NoneRuns];
        }
        let away = self.iter().filter(|(_, report)| report.is_none());
        away.map(|(process, _)| BalancerLag::Disconnected(process)).collect()
    }

    /// Why not every balancer has acknowledged this table; empty if every one has.
    pub fn lags(&self, table: &TableName) -> Vec<BalancerLag> {
        let is_behind = |report: &BalancerReport| !report.applied.as_ref().is_some_and(|at| at.covers(table));
        let behind = self.iter().filter(|(_, report)| report.is_some_and(is_behind));
        let behind = behind.map(|(process, _)| BalancerLag::Unacknowledged(process));
        self.absences().into_iter().chain(behind).collect()
    }

    /// Replaces the report of a known balancer; `None` once it is not connected. An unknown balancer stays unknown.
    pub fn set(&mut self, id: &BalancerId, report: Option<BalancerReport>) {
        if let Some(known) = Arc::make_mut(&mut self.0).get_mut(id) {
            known.report = report.map(Arc::new);
        }
    }

    /// No balancer is connected any more.
    pub fn disconnect_all(&mut self) {
        Arc::make_mut(&mut self.0).values_mut().for_each(|known| known.report = None);
    }

    /// Whether every known balancer is connected and this holds of its report. Nothing holds without a known balancer.
    pub fn all(&self, holds: impl Fn(&BalancerReport) -> bool) -> bool {
        !self.0.is_empty() && self.0.values().all(|known| known.report.as_deref().is_some_and(&holds))
    }

    /// Whether every known balancer is connected.
    pub fn are_all_connected(&self) -> bool {
        self.all(|_| true)
    }

    /// The table that the balancer furthest behind has applied; `None` while one has applied none or is not connected.
    pub fn oldest_applied(&self) -> Option<&TableName> {
        let applied = self.0.values().map(|known| known.report.as_ref()?.applied.as_ref());
        let tables: Option<Vec<&TableName>> = applied.collect();
        tables?.into_iter().min_by_key(|table| (table.epoch, table.revision))
    }

    /// The counters of client connections, summed over the balancers that are connected.
    pub fn connection_stats(&self) -> ConnectionStats {
        let stats = self.connected().map(|(_, report)| &report.connections);
        stats.fold(ConnectionStats::default(), |sum, stats| sum.with(stats))
    }

    /// Requests that wait for an endpoint, of all services.
    pub fn held_requests(&self) -> u64 {
        let services = self.connected().flat_map(|(_, report)| report.services.values());
        services.fold(0, |sum, service| sum.saturating_add(service.held))
    }

    /// The counters of an endpoint, summed over the balancers that are connected.
    pub fn stats(&self, endpoint: &EndpointId) -> EndpointStats {
        let stats = self.connected().filter_map(|(_, report)| report.endpoints.get(endpoint));
        stats.fold(EndpointStats::default(), |sum, stats| sum.with(stats))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Epoch, Latencies};
    use crate::testing;

    fn reports(rows: &[(&str, Option<BalancerReport>)]) -> BalancerReports {
        let mut reports = BalancerReports::of_known(rows.iter().map(|(id, _)| (*id).into()));
        rows.iter().for_each(|(id, report)| reports.set(&(*id).into(), report.clone()));
        reports
    }

    fn applied(epoch: u64, revision: u64) -> Option<BalancerReport> {
        let table = TableName { store: "s".into(), epoch: Epoch(epoch), revision };
        Some(BalancerReport { applied: Some(table), ..testing::report("i") })
    }

    #[test]
    fn reports_all_needs_every_known_balancer_and_at_least_one() {
        let some = || Some(testing::report("i"));
        let rows = [
            (vec![], false),
            (vec![("a", None)], false),
            (vec![("a", some())], true),
            (vec![("a", some()), ("b", None)], false),
            (vec![("a", some()), ("b", some())], true),
        ];
        for (balancers, expected) in rows {
            assert_eq!(reports(&balancers).are_all_connected(), expected, "{balancers:?}");
        }
        assert!(!reports(&[("a", applied(1, 1)), ("b", some())]).all(|report| report.applied.is_some()));
    }

    #[test]
    fn set_of_an_unknown_balancer_changes_nothing() {
        let mut known = reports(&[("a", None)]);
        known.set(&"b".into(), Some(testing::report("i")));
        assert_eq!(known, reports(&[("a", None)]));
        assert!(known.is_known(&"a".into()) && !known.is_known(&"b".into()));
    }

    #[test]
    fn running_balancers_keep_their_reports_and_the_others_are_forgotten() {
        let process = |id: &str, pid| BalancerProcess { id: id.into(), pid };
        let mut known = reports(&[("a", applied(1, 1)), ("b", applied(1, 2))]);
        known.set_running(vec![process("b", Some(7)), process("c", None), process("d", Some(8))]);
        assert_eq!(known.connected().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["b"]);
        let absences: Vec<String> = known.absences().iter().map(ToString::to_string).collect();
        assert_eq!(absences, ["balancer c is not connected", "balancer d (process 8) is not connected"]);
        assert_eq!(known.oldest_applied(), None, "a new one has applied nothing");
        let later = TableName { store: "s".into(), epoch: Epoch(1), revision: 3 };
        let lags: Vec<String> = known.lags(&later).iter().map(ToString::to_string).collect();
        assert_eq!(lags[..2], absences);
        assert_eq!(lags[2..], ["balancer b (process 7) has not acknowledged the last table"]);
        known.set_running(vec![process("b", Some(7))]);
        assert_eq!(known.oldest_applied().map(|table| table.revision), Some(2));
        known.set_running(vec![]);
        assert_eq!(known.absences(), [BalancerLag::NoneRuns]);
        assert!(!known.are_all_connected());
    }

    #[test]
    fn oldest_applied_is_of_the_balancer_furthest_behind() {
        let oldest = |rows: &[(&str, Option<BalancerReport>)]| {
            reports(rows).oldest_applied().map(|table| (table.epoch.0, table.revision))
        };
        assert_eq!(oldest(&[]), None);
        assert_eq!(oldest(&[("a", applied(2, 5)), ("b", applied(2, 4)), ("c", applied(2, 6))]), Some((2, 4)));
        assert_eq!(oldest(&[("a", applied(2, 5)), ("b", applied(1, 9))]), Some((1, 9)));
        assert_eq!(oldest(&[("a", applied(2, 5)), ("b", Some(testing::report("i")))]), None);
        assert_eq!(oldest(&[("a", applied(2, 5)), ("b", None)]), None);
    }

    #[test]
    fn stats_are_summed_over_connected_balancers() {
        let id = EndpointId::new(&"c".into(), jiff::Timestamp::UNIX_EPOCH);
        let counted = |requests: u64| {
            let stats = EndpointStats {
                in_flight: 1,
                drained: 2,
                requests,
                errors: 3,
                latencies: Latencies::of(|at| if at == 0 { requests } else { 0 }),
            };
            Some(BalancerReport { endpoints: [(id.clone(), stats)].into(), ..testing::report("i") })
        };
        let sum = reports(&[("a", counted(4)), ("b", None), ("c", counted(6))]).stats(&id);
        let latencies = Latencies::of(|at| if at == 0 { 10 } else { 0 });
        assert_eq!(sum, EndpointStats { in_flight: 2, drained: 4, requests: 10, errors: 6, latencies });
        assert_eq!(reports(&[]).stats(&id), EndpointStats::default());
    }
}
