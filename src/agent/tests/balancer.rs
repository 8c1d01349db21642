//! The balancer of a test: it installs tables, acknowledges them and reports requests in flight as the test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use crate::model::{BalancerReport, BalancerReports, EndpointId, EndpointStats, RoutingTable};
use crate::testing;

/// What the balancer does.
pub(super) struct FakeBalancer {
    pub(super) connected: bool,
    pub(super) acknowledges: bool,
    pub(super) in_flight: u64,
    applied: Option<Arc<RoutingTable>>,
}

impl FakeBalancer {
    /// A connected balancer that acknowledges each table and has no request in flight.
    pub(super) fn working() -> Self {
        Self { connected: true, acknowledges: true, in_flight: 0, applied: None }
    }

    /// Whether the table it serves from has an endpoint of this container.
    pub(super) fn serves(&self, container: &str) -> bool {
        let mut endpoints = self.applied.iter().flat_map(|table| table.endpoints());
        endpoints.any(|e| e.id.as_str().starts_with(container))
    }
}

pub(super) async fn balance(
    balancer: Arc<Mutex<FakeBalancer>>,
    tables: watch::Receiver<Option<Arc<RoutingTable>>>,
    reports: watch::Sender<BalancerReports>,
) {
    loop {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let mut balancer = balancer.lock().unwrap();
        if balancer.acknowledges {
            balancer.applied = tables.borrow().clone();
        }
        let stats = EndpointStats { in_flight: balancer.in_flight, ..EndpointStats::default() };
        let known = reports.borrow().clone();
        let mut endpoints: BTreeMap<EndpointId, EndpointStats> =
            known.connected().next().map(|(_, report)| report.endpoints.clone()).unwrap_or_default();
        let applied = balancer.applied.iter().flat_map(|table| table.endpoints());
        endpoints.extend(applied.map(|e| (e.id.clone(), stats)));
        endpoints.values_mut().for_each(|s| *s = stats);
        let report = balancer.connected.then(|| BalancerReport {
            applied: balancer.applied.as_ref().map(|table| table.name.clone()),
            endpoints,
            ..testing::report("i")
        });
        let current = testing::reports(report);
        reports.send_if_modified(|old| {
            let differs = *old != current;
            *old = current;
            differs
        });
    }
}
