//! The last report of each known balancer, and sums over them. Pure.
//!
//! A known balancer that is not connected has no report. It still counts: nothing holds of all balancers while one of them
//! is away, and nothing holds of an empty set.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{BalancerId, BalancerReport, ConnectionStats, EndpointId, EndpointStats, TableName};

/// The last report of each known balancer. Cheap to clone: every pass over a service takes one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BalancerReports(Arc<BTreeMap<BalancerId, Option<Arc<BalancerReport>>>>);

impl BalancerReports {
    /// These balancers are known, and none of them is connected.
    pub fn of_known(ids: impl IntoIterator<Item = BalancerId>) -> Self {
        Self(Arc::new(ids.into_iter().map(|id| (id, None)).collect()))
    }

    /// The ids of all known balancers.
    pub fn known(&self) -> impl Iterator<Item = &BalancerId> {
        self.0.keys()
    }

    /// Whether this balancer is known.
    pub fn is_known(&self, id: &BalancerId) -> bool {
        self.0.contains_key(id)
    }

    /// The reports of the balancers that are connected.
    pub fn connected(&self) -> impl Iterator<Item = (&BalancerId, &BalancerReport)> {
        self.0.iter().filter_map(|(id, report)| Some((id, &**report.as_ref()?)))
    }

    /// The ids of the known balancers that are not connected.
    pub fn disconnected(&self) -> impl Iterator<Item = &BalancerId> {
        self.0.iter().filter(|(_, report)| report.is_none()).map(|(id, _)| id)
    }

    /// Replaces the report of a known balancer; `None` once it is not connected. An unknown balancer stays unknown.
    pub fn set(&mut self, id: &BalancerId, report: Option<BalancerReport>) {
        if let Some(last) = Arc::make_mut(&mut self.0).get_mut(id) {
            *last = report.map(Arc::new);
        }
    }

    /// No balancer is connected any more.
    pub fn disconnect_all(&mut self) {
        Arc::make_mut(&mut self.0).values_mut().for_each(|report| *report = None);
    }

    /// Whether every known balancer is connected and this holds of its report. Nothing holds without a known balancer.
    pub fn all(&self, holds: impl Fn(&BalancerReport) -> bool) -> bool {
        !self.0.is_empty() && self.0.values().all(|report| report.as_deref().is_some_and(&holds))
    }

    /// Whether every known balancer is connected.
    pub fn are_all_connected(&self) -> bool {
        self.all(|_| true)
    }

    /// The table that the balancer furthest behind has applied; `None` while one has applied none or is not connected.
    pub fn oldest_applied(&self) -> Option<&TableName> {
        let applied = self.0.values().map(|report| report.as_ref()?.applied.as_ref());
        let tables: Option<Vec<&TableName>> = applied.collect();
        tables?.into_iter().min_by_key(|table| (table.epoch, table.revision))
    }

    /// The counters of client connections, summed over the balancers that are connected.
    pub fn connection_stats(&self) -> ConnectionStats {
        let stats = self.connected().map(|(_, report)| &report.connections);
        stats.fold(ConnectionStats::default(), |sum, stats| sum.with(stats))
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
