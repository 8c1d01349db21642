//! A running container: probed, and registered as an endpoint once it is ready. Pure.

use std::collections::BTreeSet;

use super::classify::ReplicaContainers;
use super::endpoint_address::EndpointAddress;
use super::examination;
use super::plan_builder::PlanBuilder;
use super::status::ReplicaStep;
use super::view::{WantedReplica, instance_of, shown_state};
use crate::engine::ObservedContainer;
use crate::model::{
    Endpoint, EndpointId, EndpointOrigin, EndpointState, FailedProbe, HealthCheck, HostPattern,
    NotReadyCause, Port, Protocol, ReplicaPhase, Revision, Route, ServiceSpec,
};
use crate::probe::{ProbeAddress, ProbeState, ProbeTarget};

/// Running: probed, and in the registry once it passes.
pub(super) fn running<'a>(
    builder: &mut PlanBuilder<'_>,
    wanted: &WantedReplica,
    containers: &ReplicaContainers<'a>,
    current: &ObservedContainer,
) -> ReplicaStep<'a> {
    let Some(revision) = wanted.revision.as_deref() else {
        return ReplicaStep::of(
            wanted.status.as_ref().map_or(ReplicaPhase::Starting { cause: None }, |s| s.phase.clone()),
            containers,
        );
    };
    let address = EndpointAddress::of(current, &builder.view.network_name(&wanted.replica.app));
    let (Some(instance), Some(address)) = (instance_of(current), address) else {
        return ReplicaStep::of(ReplicaPhase::Starting { cause: None }, containers);
    };
    let probe = target(&revision.spec, &instance, address);
    let state = probe.as_ref().and_then(|_| builder.view.probes.get(&instance));
    let has_endpoint = !revision.spec.ports.is_empty();
    let shown = match has_endpoint {
        true => wanted.endpoint_of(current).map(|e| e.state),
        false => shown_state(wanted, current),
    };
    let phase = match (&probe, &revision.spec.health.check) {
        (Some(_), _) => judged(shown, state),
        (None, HealthCheck::None(_)) => ReplicaPhase::Ready,
        (None, _) => {
            let cause = NotReadyCause::cannot_start("the port of its health check is not published");
            ReplicaPhase::Starting { cause: Some(cause) }
        }
    };
    if let (ReplicaPhase::Starting { .. }, Some(ProbeState::Starting { since, last: Some(_) })) =
        (&phase, state)
    {
        examination::examine_starting(builder, wanted, current, *since);
    }
    let endpoint = match phase {
        ReplicaPhase::Ready if has_endpoint => Some(EndpointState::Ready),
        ReplicaPhase::Unready { .. }
            if has_endpoint && builder.all_silent.contains(&wanted.replica.service) =>
        {
            Some(EndpointState::Ready)
        }
        ReplicaPhase::Unready { .. } if has_endpoint => Some(EndpointState::Unready),
        _ => None,
    };
    let endpoint = endpoint.map(|state| register(wanted, revision, current, address, state));
    ReplicaStep { endpoint: endpoint.flatten(), probe, ..ReplicaStep::of(phase, containers) }
}

/// The phase, from the probe's state and the phase so far. A ready container stays ready until its probe has a result: a
/// restart of the agent alone changes nothing.
fn judged(shown: Option<EndpointState>, state: Option<&ProbeState>) -> ReplicaPhase {
    let failing = |probe: &FailedProbe| NotReadyCause::unhealthy(probe.clone());
    match (shown, state) {
        (_, Some(ProbeState::Ready { .. })) => ReplicaPhase::Ready,
        (Some(_), Some(ProbeState::Failing { last, .. } | ProbeState::TooLate { last, .. })) => {
            ReplicaPhase::Unready { cause: failing(last) }
        }
        (Some(EndpointState::Ready), _) => ReplicaPhase::Ready,
        (Some(_), Some(ProbeState::Starting { last: Some(last), .. })) => {
            ReplicaPhase::Unready { cause: failing(last) }
        }
        (Some(_), _) => ReplicaPhase::Unready { cause: NotReadyCause::unhealthy("not probed yet") },
        (None, Some(ProbeState::Starting { last: Some(last), .. })) => {
            ReplicaPhase::Starting { cause: Some(failing(last)) }
        }
        (None, Some(ProbeState::Failing { last, .. } | ProbeState::TooLate { last, .. })) => {
            ReplicaPhase::Starting { cause: Some(failing(last)) }
        }
        (None, _) => ReplicaPhase::Starting { cause: None },
    }
}

/// The probe; `None` without a health check, or where the port is not published.
fn target(spec: &ServiceSpec, instance: &EndpointId, address: EndpointAddress<'_>) -> Option<ProbeTarget> {
    let place = match spec.health.check {
        HealthCheck::None(_) => return None,
        HealthCheck::Exec(_) => ProbeAddress::direct((address.ip(), 0).into()),
        HealthCheck::Http(_) | HealthCheck::Tcp(_) | HealthCheck::Grpc(_) => {
            address.place(spec.port(spec.health.port.as_deref())?.port)?
        }
    };
    let mut health = spec.health.clone();
    if let HealthCheck::Http(_) = health.check {
        health.host = health.host.or_else(|| spec.routes.iter().find_map(served_host));
    }
    Some(ProbeTarget { id: instance.clone(), place, health })
}

/// The names of the ports that speak HTTP/2.
fn http2_ports(ports: &[Port]) -> BTreeSet<String> {
    ports.iter().filter(|port| port.protocol == Protocol::H2c).map(|port| port.name.clone()).collect()
}

/// The only host of a route that leads to the service.
fn served_host(route: &Route) -> Option<String> {
    match route.hosts() {
        Some(HostPattern::Exact(host)) if route.redirect.is_none() => Some(host),
        _ => None,
    }
}

fn register(
    wanted: &WantedReplica,
    revision: &Revision,
    current: &ObservedContainer,
    address: EndpointAddress<'_>,
    state: EndpointState,
) -> Option<Endpoint> {
    let replica = &wanted.replica;
    Some(Endpoint {
        service: replica.service.clone(),
        origin: EndpointOrigin::Managed {
            replica: replica.name.clone(),
            container: current.id.clone(),
            started_at: current.started_at?,
        },
        revision: replica.revision,
        address: address.ip(),
        ports: address.ports(&revision.spec.ports),
        http2_ports: http2_ports(&revision.spec.ports),
        via: address.via(),
        state,
        weight: Endpoint::WEIGHT,
    })
}
