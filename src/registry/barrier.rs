//! From balancer reports to what is acknowledged. Pure.
//!
//! Time never replaces an acknowledgement: what is not acknowledged here stays so until a report says otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{BalancerReport, EndpointId, RoutingTable, TableName};

/// What was published in this epoch, as far as the barrier needs to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    first: Option<TableName>,
    last: Option<TableName>,
    /// Endpoints of the last table, with the revision of the first table that had them (without a break).
    joined: BTreeMap<EndpointId, u64>,
    /// Endpoints that earlier tables had, with the revision of the first table without them.
    left: BTreeMap<EndpointId, u64>,
}

impl Published {
    /// Takes note of a table that is about to go out. Tables come in the order of their revisions.
    pub fn record(&mut self, table: &RoutingTable) {
        let revision = table.name.revision;
        let now: BTreeMap<EndpointId, u64> = table
            .endpoints()
            .map(|e| (e.id.clone(), self.joined.get(&e.id).copied().unwrap_or(revision)))
            .collect();
        for id in self.joined.keys().filter(|id| !now.contains_key(*id)) {
            self.left.insert(id.clone(), revision);
        }
        self.left.retain(|id, _| !now.contains_key(id));
        self.joined = now;
        self.first.get_or_insert_with(|| table.name.clone());
        self.last = Some(table.name.clone());
    }

    /// The last table's name.
    pub fn last(&self) -> Option<&TableName> {
        self.last.as_ref()
    }

    /// Forgets the endpoints whose leaving is acknowledged: from then on they are as if they had never been there.
    pub fn forget_acknowledged(&mut self, report: Option<&BalancerReport>) {
        let Some(applied) = report.and_then(|r| r.applied.clone()) else { return };
        let Some(first) = self.first.clone() else { return };
        self.left.retain(|_, left| !applied.covers(&TableName { revision: *left, ..first.clone() }));
    }
}

/// What the balancers have acknowledged, at one moment. Cheap to clone: every pass over a service takes one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Barrier {
    /// What was published.
    pub published: Arc<Published>,
    /// The balancer's last word; `None` while it is not connected. It counts all the same: without its word nothing is
    /// acknowledged.
    pub report: Option<Arc<BalancerReport>>,
}

impl Barrier {
    /// Whether every balancer serves from a table that has this endpoint.
    pub fn acked_present(&self, id: &EndpointId) -> bool {
        self.published.joined.get(id).is_some_and(|joined| self.applied_covers(*joined))
    }

    /// Whether every balancer serves from a table without this endpoint. Only then may its container be asked to stop.
    pub fn acked_absent(&self, id: &EndpointId) -> bool {
        if self.published.joined.contains_key(id) {
            return false;
        }
        match (self.published.left.get(id), &self.published.first) {
            (Some(left), _) => self.applied_covers(*left),
            (None, Some(first)) => self.applied_covers(first.revision),
            (None, None) => false,
        }
    }

    /// Requests in flight to an endpoint that every balancer has let go; `None` while one has not.
    pub fn in_flight(&self, id: &EndpointId) -> Option<u64> {
        let report = self.report.as_ref()?;
        self.acked_absent(id).then(|| report.in_flight(id))
    }

    /// Whether every balancer serves from the last table published.
    pub fn is_current(&self) -> bool {
        self.published.last.as_ref().is_some_and(|last| self.applied_covers(last.revision))
    }

    fn applied_covers(&self, revision: u64) -> bool {
        let applied = self.report.as_ref().and_then(|r| r.applied.as_ref());
        match (applied, &self.published.first) {
            (Some(applied), Some(first)) => applied.covers(&TableName { revision, ..first.clone() }),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Epoch, RevisionNumber, TableEndpoint, TableService};
    use crate::testing;

    fn name(epoch: u64, revision: u64) -> TableName {
        TableName { store: "s".into(), epoch: Epoch(epoch), revision }
    }

    fn id(text: &str) -> EndpointId {
        EndpointId::new(&text.into(), jiff::Timestamp::UNIX_EPOCH)
    }

    fn table(revision: u64, containers: &[&str]) -> RoutingTable {
        let endpoint = |c: &&str| {
            TableEndpoint::managed(id(c), (*c).into(), RevisionNumber(1), [10, 209, 0, 2].into(), [].into())
        };
        let service =
            TableService { endpoints: containers.iter().map(endpoint).collect(), ..TableService::default() };
        RoutingTable {
            services: [("users".into(), service)].into(),
            ..RoutingTable::empty(name(4, revision))
        }
    }

    fn barrier(tables: &[RoutingTable], applied: Option<TableName>) -> Barrier {
        let mut published = Published::default();
        tables.iter().for_each(|t| published.record(t));
        let report = BalancerReport { applied, ..testing::report("i") };
        Barrier { published: Arc::new(published), report: Some(Arc::new(report)) }
    }

    #[test]
    fn presence_and_absence_need_the_right_table() {
        let tables = [table(1, &["a"]), table(2, &["a", "b"]), table(3, &["b"])];
        // (applied revision, present b, absent a, absent of one never seen)
        let rows = [
            (None, false, false, false),
            (Some(1), false, false, true),
            (Some(2), true, false, true),
            (Some(3), true, true, true),
        ];
        for (applied, present_b, absent_a, absent_x) in rows {
            let barrier = barrier(&tables, applied.map(|r| name(4, r)));
            assert_eq!(barrier.acked_present(&id("b")), present_b, "{applied:?}");
            assert_eq!(barrier.acked_absent(&id("a")), absent_a, "{applied:?}");
            assert_eq!(barrier.acked_absent(&id("x")), absent_x, "{applied:?}");
            assert_eq!(barrier.in_flight(&id("a")), absent_a.then_some(0), "{applied:?}");
            assert!(!barrier.acked_absent(&id("b")) && !barrier.acked_present(&id("a")));
        }
    }

    #[test]
    fn another_epoch_acknowledges_nothing() {
        let barrier = barrier(&[table(1, &["a"])], Some(name(3, 99)));
        assert!(!barrier.acked_present(&id("a")) && !barrier.acked_absent(&id("x")) && !barrier.is_current());
    }

    #[test]
    fn a_silent_balancer_acknowledges_nothing() {
        let mut barrier = barrier(&[table(1, &["a"]), table(2, &[])], Some(name(4, 2)));
        assert!(barrier.acked_absent(&id("a")));
        barrier.report = None;
        assert!(!barrier.acked_absent(&id("a")) && barrier.in_flight(&id("a")).is_none());
    }

    #[test]
    fn what_comes_back_joins_anew() {
        let tables = [table(1, &["a"]), table(2, &[]), table(3, &["a"])];
        assert!(!barrier(&tables, Some(name(4, 2))).acked_present(&id("a")));
        assert!(barrier(&tables, Some(name(4, 3))).acked_present(&id("a")));
    }

    #[test]
    fn forgetting_keeps_what_is_not_acknowledged() {
        let mut barrier =
            barrier(&[table(1, &["a", "b"]), table(2, &["b"]), table(3, &[])], Some(name(4, 2)));
        Arc::make_mut(&mut barrier.published).forget_acknowledged(barrier.report.as_deref());
        assert!(barrier.acked_absent(&id("a")), "forgotten, and still absent");
        assert!(!barrier.acked_absent(&id("b")), "table 3 is not acknowledged");
    }

    #[test]
    fn nothing_published_acknowledges_nothing() {
        assert!(!barrier(&[], Some(name(4, 1))).acked_absent(&id("a")));
    }
}
