//! A replica that should run: image, network, container, probe, endpoint. Pure.
//!
//! One step per pass, the first that is missing. Never a second container while one is alive; a failing readiness check
//! never restarts a container.

use super::action::{ActionSubject, AgentAction};
use super::classify::ReplicaContainers;
use super::endpoint_address::EndpointAddress;
use super::images::{self, ImageNeed};
use super::network;
use super::plan_builder::PlanBuilder;
use super::removal::{StopTerms, draining, retire};
use super::spec;
use super::status::ReplicaStep;
use super::view::{WantedReplica, instance_of, shown_state};
use crate::engine::{ContainerState, ObservedContainer};
use crate::model::{
    ContainerId, Endpoint, EndpointId, EndpointState, FailedProbe, HealthCheck, Millis, Mono, NotReadyCause,
    ReplicaPhase, Revision, ServiceSpec,
};
use crate::probe::{ProbeAddress, ProbeState, ProbeTarget};

/// With every address or port taken, the next attempt is after this long; they leave quarantine one by one.
const ALLOCATE_RETRY: Millis = Millis::secs(5);

/// The next step of a replica that should run; `None` while an action is under way on it.
pub(super) fn run<'a>(
    builder: &mut PlanBuilder<'_>,
    wanted: &WantedReplica,
    containers: &ReplicaContainers<'a>,
) -> Option<ReplicaStep<'a>> {
    examine_failed(builder, wanted);
    if builder.is_busy(&ActionSubject::Replica(wanted.replica.name.clone())) {
        return None;
    }
    for other in &containers.superseded {
        retire(builder, other, false, &StopTerms::of(wanted));
    }
    let Some(current) = containers.current else {
        return Some(ReplicaStep::of(absent(builder, wanted, containers), containers));
    };
    for spent in containers.spent.iter().chain(&containers.last) {
        builder.act(AgentAction::Remove { container: spent.id.clone() });
    }
    if leaves(builder, wanted, current) {
        return Some(replace(builder, wanted, containers, current));
    }
    Some(match current.state {
        ContainerState::Created => start(builder, wanted, containers, current),
        ContainerState::Running => running(builder, wanted, containers, current),
        ContainerState::Paused => held_back(wanted, containers, current, NotReadyCause::ContainerPaused),
        _ => {
            let cause = NotReadyCause::cannot_start("Docker restarts the container by itself");
            held_back(wanted, containers, current, cause)
        }
    })
}

/// Examines containers that failed, before anything else is done to them.
fn examine_failed(builder: &mut PlanBuilder<'_>, wanted: &WantedReplica) {
    let replica = &wanted.replica.name;
    let memory = builder.memory;
    let failed = memory.replicas.get(replica).into_iter().flat_map(|own| own.crashes.unexamined());
    failed.for_each(|container| examine(builder, wanted, container));
}

fn examine(builder: &mut PlanBuilder<'_>, wanted: &WantedReplica, container: &ContainerId) {
    builder.act(AgentAction::Examine { replica: wanted.replica.name.clone(), container: container.clone() });
}

/// Examines a container that has failed its first probes for a while.
fn examine_starting(
    builder: &mut PlanBuilder<'_>,
    wanted: &WantedReplica,
    current: &ObservedContainer,
    since: Mono,
) {
    let own = builder.memory.replicas.get(&wanted.replica.name);
    let Some(wait) = own.map(|own| own.crashes.examine_after(&current.id, since, builder.now.mono)) else {
        return;
    };
    match wait {
        Millis(0) => examine(builder, wanted, &current.id),
        wait => builder.wake(wait),
    }
}

/// Whether the container is to be replaced: it is marked, or its endpoint is draining, from where there is no way back.
fn leaves(builder: &PlanBuilder<'_>, wanted: &WantedReplica, current: &ObservedContainer) -> bool {
    let remembered = builder.memory.replicas.get(&wanted.replica.name);
    let is_marked = remembered.and_then(|m| m.to_replace.as_ref()).is_some_and(|(id, _)| *id == current.id);
    is_marked || own_endpoint(wanted, current).is_some_and(|e| e.state == EndpointState::Draining)
}

fn replace<'a>(
    builder: &mut PlanBuilder<'_>,
    wanted: &WantedReplica,
    containers: &ReplicaContainers<'a>,
    current: &ObservedContainer,
) -> ReplicaStep<'a> {
    let endpoint = own_endpoint(wanted, current);
    let registered = endpoint.is_some_and(|e| e.state != EndpointState::Draining);
    let phase = retire(builder, current, registered, &StopTerms::of(wanted));
    let to_replace = builder.memory.replicas.get(&wanted.replica.name).and_then(|m| m.to_replace.clone());
    // The user should read why, not that it is being stopped.
    let phase = to_replace.map_or(phase, |(_, cause)| ReplicaPhase::Starting { cause: Some(cause) });
    ReplicaStep { endpoint: endpoint.and_then(draining), ..ReplicaStep::of(phase, containers) }
}

fn own_endpoint<'w>(wanted: &'w WantedReplica, current: &ObservedContainer) -> Option<&'w Endpoint> {
    wanted.endpoint.as_ref().filter(|e| instance_of(current) == Some(e.id()))
}

/// No container is alive: creates one, as soon as it may.
fn absent(
    builder: &mut PlanBuilder<'_>,
    wanted: &WantedReplica,
    containers: &ReplicaContainers<'_>,
) -> ReplicaPhase {
    for spent in &containers.spent {
        builder.act(AgentAction::Remove { container: spent.id.clone() });
    }
    let remembered = builder.memory.replicas.get(&wanted.replica.name).cloned().unwrap_or_default();
    let ended = remembered.retry.as_ref().map(|r| r.cause.clone());
    if let Some(retry) = remembered.retry.filter(|r| r.at > builder.now.mono) {
        builder.wake(retry.at.since(builder.now.mono));
        return ReplicaPhase::BackOff { cause: retry.cause, retry_at: retry.wall };
    }
    let waiting = |cause| ReplicaPhase::Waiting { cause };
    let Some(revision) = &wanted.revision else {
        let message = format!("revision {} is not in the store", wanted.replica.revision);
        return waiting(Some(NotReadyCause::cannot_start(message)));
    };
    match images::need(builder, &revision.image.pinned, revision.spec.pull) {
        ImageNeed::Met => {}
        ImageNeed::LookingUp => return waiting(ended),
        ImageNeed::Pulling => return ReplicaPhase::Pulling,
        ImageNeed::Unavailable(retry) => {
            builder.wake(retry.at.since(builder.now.mono));
            return ReplicaPhase::BackOff { cause: retry.cause, retry_at: retry.wall };
        }
    }
    match network::need(builder, &wanted.replica.app) {
        Ok(true) => {}
        Ok(false) => return waiting(ended),
        Err(message) => return waiting(Some(NotReadyCause::cannot_start(message))),
    }
    let highest = remembered.attempted.max(containers.highest_attempt());
    match create(builder, wanted, revision, highest) {
        Ok(true) if ended.is_none() => ReplicaPhase::Starting { cause: None },
        Ok(_) => waiting(ended),
        Err(cause) => waiting(Some(cause)),
    }
}

/// Creates and starts the next attempt; `false` while too many containers are being started already.
fn create(
    builder: &mut PlanBuilder<'_>,
    wanted: &WantedReplica,
    revision: &Revision,
    highest: u32,
) -> Result<bool, NotReadyCause> {
    let replica = &wanted.replica;
    let Some(subnet) = builder.state().networks.get(&replica.app).map(|record| record.subnet) else {
        return Err(NotReadyCause::cannot_start("the network of the app is not known"));
    };
    let env = spec::environment(&builder.view.facts, replica, revision, subnet)
        .map_err(NotReadyCause::cannot_start)?;
    if !builder.may_start() {
        return Ok(false);
    }
    let allocation = match builder.allocate(&replica.app, &revision.spec.ports) {
        Ok(allocation) => allocation,
        Err(cause) => {
            builder.wake(ALLOCATE_RETRY);
            return Err(cause);
        }
    };
    builder.take_start();
    // An unanswered create has its number too: should its container come up after all, it is superseded.
    let attempt = wanted.status.as_ref().map_or(0, |s| s.attempt).max(highest) + 1;
    let spec = Box::new(spec::container(builder.view, replica, revision, attempt, env, allocation));
    let (replica, cursors) = (replica.name.clone(), builder.cursors().clone());
    Ok(builder.act(AgentAction::Create { replica, attempt, cursors, spec }))
}

/// A container that was created and never started: a lost response, or an earlier run of the agent.
fn start<'a>(
    builder: &mut PlanBuilder<'_>,
    wanted: &WantedReplica,
    containers: &ReplicaContainers<'a>,
    current: &ObservedContainer,
) -> ReplicaStep<'a> {
    if builder.take_start() {
        let (replica, container) = (wanted.replica.name.clone(), current.id.clone());
        builder.act(AgentAction::Start { replica, container });
    }
    ReplicaStep::of(ReplicaPhase::Starting { cause: None }, containers)
}

/// Alive, and unreachable for a reason outside its health: out of rotation until that is over.
fn held_back<'a>(
    wanted: &WantedReplica,
    containers: &ReplicaContainers<'a>,
    current: &ObservedContainer,
    cause: NotReadyCause,
) -> ReplicaStep<'a> {
    let endpoint = own_endpoint(wanted, current);
    let was_ready = endpoint.is_some() || shown_state(wanted, current).is_some();
    let phase = match was_ready {
        true => ReplicaPhase::Unready { cause },
        false => ReplicaPhase::Starting { cause: Some(cause) },
    };
    let endpoint = endpoint.map(|e| Endpoint { state: EndpointState::Unready, ..e.clone() });
    ReplicaStep { endpoint, ..ReplicaStep::of(phase, containers) }
}

/// Running: probed, and in the registry once it passes.
fn running<'a>(
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
        true => own_endpoint(wanted, current).map(|e| e.state),
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
        examine_starting(builder, wanted, current, *since);
    }
    let endpoint = match phase {
        ReplicaPhase::Ready if has_endpoint => Some(EndpointState::Ready),
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
    Some(ProbeTarget { id: instance.clone(), place, health: spec.health.clone() })
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
        replica: replica.name.clone(),
        revision: replica.revision,
        address: address.ip(),
        ports: address.ports(&revision.spec.ports),
        via: address.via(),
        state,
        container: current.id.clone(),
        started_at: current.started_at?,
    })
}

/// With the Engine away: only the probes still count, for endpoints that were registered before.
pub(super) fn while_away<'a>(
    builder: &mut PlanBuilder<'_>,
    wanted: &WantedReplica,
    containers: &ReplicaContainers<'a>,
) -> Option<ReplicaStep<'a>> {
    let current = containers.current.filter(|c| c.state == ContainerState::Running)?;
    let endpoint = own_endpoint(wanted, current).filter(|e| e.state != EndpointState::Draining);
    match wanted.replica.runs() && endpoint.is_some() {
        true => Some(running(builder, wanted, containers, current)),
        false => None,
    }
}
