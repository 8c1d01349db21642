//! What a service waits for at the balancers, for people. Pure.

use crate::controller::service_state::ServiceState;
use crate::model::{Endpoint, EndpointState};
use crate::registry::Barrier;

/// A line for each balancer whose acknowledgement an endpoint of the service waits for, and for each that accepts no
/// connections any more and still has requests in flight to an endpoint that leaves: `ctl` shows the sum next to the replica,
/// but not that a process of an earlier daemon holds it up.
pub(super) fn balancer_waits(state: &ServiceState, barrier: &Barrier) -> Vec<String> {
    let is_awaited = |endpoint: &Endpoint| match endpoint.state {
        EndpointState::Ready => !barrier.acked_present(&endpoint.id()),
        EndpointState::Draining => !barrier.acked_absent(&endpoint.id()),
        EndpointState::Unready => false,
    };
    if state.endpoints.values().any(is_awaited) {
        return barrier.lags().iter().map(ToString::to_string).collect();
    }
    let leaving = state.endpoints.values().filter(|endpoint| endpoint.state == EndpointState::Draining);
    let mut waits = Vec::new();
    for endpoint in leaving {
        for (process, report) in barrier.reports.iter() {
            let ending = report.filter(|report| report.draining);
            match ending.map_or(0, |report| report.in_flight(&endpoint.id())) {
                0 => {}
                1 => waits
                    .push(format!("{process} is ending and has 1 request in flight to {}", endpoint.name())),
                many => waits.push(format!(
                    "{process} is ending and has {many} requests in flight to {}",
                    endpoint.name()
                )),
            }
        }
    }
    waits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        BalancerProcess, BalancerReport, BalancerReports, EndpointId, EndpointOrigin, EndpointStats,
        RevisionNumber, RoutingTable, TableName,
    };
    use crate::registry::Published;
    use crate::testing;

    fn state(endpoint: EndpointState) -> ServiceState {
        let endpoint = Endpoint {
            service: "web".into(),
            origin: EndpointOrigin::Managed {
                replica: "web-1-a".into(),
                container: "c".into(),
                started_at: jiff::Timestamp::UNIX_EPOCH,
            },
            revision: RevisionNumber(1),
            address: [10, 0, 0, 1].into(),
            ports: [].into(),
            http2_ports: [].into(),
            via: crate::model::EndpointVia::Direct,
            state: endpoint,
            weight: 1,
        };
        ServiceState {
            service: testing::service("web"),
            service_revision: 1,
            rollout: None,
            rollout_revision: None,
            traffic: None,
            revisions: [].into(),
            outcomes: [].into(),
            replicas: Vec::new(),
            statuses: [].into(),
            endpoints: [("web-1-a".to_owned(), endpoint)].into(),
        }
    }

    /// What an old balancer reports: its table and its requests in flight.
    type OldReport = (u64, u64);

    fn name(revision: u64) -> TableName {
        crate::model::arbitrary::table_name(revision)
    }

    /// Table 2 is published, without endpoints, and the new balancer serves it; this is what the old one reports: its table and its
    /// requests in flight.
    fn barrier(old: Option<OldReport>) -> Barrier {
        let mut published = Published::default();
        published.record(&RoutingTable::empty(name(2)));
        let process = |id: &str, pid| BalancerProcess { id: id.into(), pid: Some(pid) };
        let mut reports = BalancerReports::default();
        reports.set_running(vec![process("new", 2), process("old", 1)]);
        let report = |applied: u64| BalancerReport { applied: Some(name(applied)), ..testing::report("i") };
        reports.set(&"new".into(), Some(report(2)));
        let old = old.map(|(applied, in_flight)| {
            let stats = EndpointStats { in_flight, ..EndpointStats::default() };
            let id = EndpointId::new(&"c".into(), jiff::Timestamp::UNIX_EPOCH);
            BalancerReport { draining: true, endpoints: [(id, stats)].into(), ..report(applied) }
        });
        reports.set(&"old".into(), old);
        Barrier { published: published.into(), reports }
    }

    #[test]
    fn waits_name_the_balancer_that_holds_up_an_endpoint() {
        let unacknowledged = "balancer old (process 1) has not acknowledged the last table";
        let rows: [(EndpointState, Option<OldReport>, &[&str]); 7] = [
            (EndpointState::Draining, Some((2, 0)), &[]),
            (EndpointState::Draining, Some((1, 0)), &[unacknowledged]),
            (EndpointState::Draining, None, &["balancer old (process 1) is not connected"]),
            (
                EndpointState::Draining,
                Some((2, 1)),
                &["balancer old (process 1) is ending and has 1 request in flight to web-1-a"],
            ),
            (
                EndpointState::Draining,
                Some((2, 3)),
                &["balancer old (process 1) is ending and has 3 requests in flight to web-1-a"],
            ),
            (EndpointState::Ready, Some((1, 0)), &[unacknowledged]),
            (EndpointState::Unready, Some((1, 0)), &[]),
        ];
        for (endpoint, old, expected) in rows {
            assert_eq!(balancer_waits(&state(endpoint), &barrier(old)), expected, "{endpoint:?} {old:?}");
        }
    }
}
