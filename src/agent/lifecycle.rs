//! A replica that is to run: image, network, container, probe, endpoint. Pure.
//!
//! One step per pass, the first that is missing. Never a second container while one is alive; readiness never restarts.

use super::classify::OfReplica;
use super::draft::{AgentAction, Draft};
use super::images::{self, Need};
use super::network;
use super::reached::Reached;
use super::removal::{Leave, draining, retire};
use super::spec;
use super::status::Step;
use super::view::{Subject, WantedReplica, instance_of, shown_state};
use crate::engine::{ContainerState, ObservedContainer};
use crate::model::{
    ContainerId, Endpoint, EndpointId, EndpointState, FailedProbe, HealthCheck, Millis, Mono, ReplicaPhase,
    Revision, ServiceSpec, WaitReason,
};
use crate::probe::{ProbeAddress, ProbeState, ProbeTarget};

/// With every address or port taken, looked at again after so long; they come free one by one.
const ALLOT_RETRY: Millis = Millis::secs(5);

/// The next step of a replica that is to run; `None` while an action is under way on it.
pub(super) fn run<'a>(draft: &mut Draft<'_>, wanted: &WantedReplica, of: &OfReplica<'a>) -> Option<Step<'a>> {
    examine_failed(draft, wanted);
    if draft.is_busy(&Subject::Replica(wanted.replica.name.clone())) {
        return None;
    }
    for other in &of.superseded {
        retire(draft, other, false, &Leave::of(wanted));
    }
    let Some(current) = of.current else {
        return Some(Step::of(absent(draft, wanted, of), of));
    };
    for spent in of.spent.iter().chain(&of.last) {
        draft.act(AgentAction::Remove { container: spent.id.clone() });
    }
    if leaves(draft, wanted, current) {
        return Some(replace(draft, wanted, of, current));
    }
    Some(match current.state {
        ContainerState::Created => start(draft, wanted, of, current),
        ContainerState::Running => running(draft, wanted, of, current),
        ContainerState::Paused => held_back(wanted, of, current, WaitReason::ContainerPaused),
        _ => {
            let message = "Docker restarts the container by itself".to_owned();
            held_back(wanted, of, current, WaitReason::EngineRefused { message })
        }
    })
}

/// Looks into containers that failed, before anything else is done to them.
fn examine_failed(draft: &mut Draft<'_>, wanted: &WantedReplica) {
    let replica = &wanted.replica.name;
    let view = draft.view;
    let failed = view.memory.replicas.get(replica).into_iter().flat_map(|own| own.crashes.unexamined());
    failed.for_each(|container| examine(draft, wanted, container));
}

fn examine(draft: &mut Draft<'_>, wanted: &WantedReplica, container: &ContainerId) {
    draft.act(AgentAction::Examine { replica: wanted.replica.name.clone(), container: container.clone() });
}

/// Looks into a container that has failed its first probes for a while.
fn examine_starting(draft: &mut Draft<'_>, wanted: &WantedReplica, current: &ObservedContainer, since: Mono) {
    let own = draft.view.memory.replicas.get(&wanted.replica.name);
    let Some(wait) = own.map(|own| own.crashes.look_after(&current.id, since, draft.now.mono)) else {
        return;
    };
    match wait {
        Millis(0) => examine(draft, wanted, &current.id),
        wait => draft.wake(wait),
    }
}

/// Whether the container is to be replaced: it is condemned, or its endpoint is draining, from where there is no way
/// back.
fn leaves(draft: &Draft<'_>, wanted: &WantedReplica, current: &ObservedContainer) -> bool {
    let remembered = draft.view.memory.replicas.get(&wanted.replica.name);
    let condemned = remembered.and_then(|m| m.condemned.as_ref()).is_some_and(|(id, _)| *id == current.id);
    condemned || own_endpoint(wanted, current).is_some_and(|e| e.state == EndpointState::Draining)
}

fn replace<'a>(
    draft: &mut Draft<'_>,
    wanted: &WantedReplica,
    of: &OfReplica<'a>,
    current: &ObservedContainer,
) -> Step<'a> {
    let endpoint = own_endpoint(wanted, current);
    let registered = endpoint.is_some_and(|e| e.state != EndpointState::Draining);
    let phase = retire(draft, current, registered, &Leave::of(wanted));
    let condemned = draft.view.memory.replicas.get(&wanted.replica.name).and_then(|m| m.condemned.clone());
    // What people should read is why, not that it is being stopped.
    let phase = condemned.map_or(phase, |(_, reason)| ReplicaPhase::Starting { reason: Some(reason) });
    Step { endpoint: endpoint.and_then(draining), ..Step::of(phase, of) }
}

fn own_endpoint<'w>(wanted: &'w WantedReplica, current: &ObservedContainer) -> Option<&'w Endpoint> {
    wanted.endpoint.as_ref().filter(|e| instance_of(current) == Some(e.id()))
}

/// No container is alive: makes one, as soon as it may be.
fn absent(draft: &mut Draft<'_>, wanted: &WantedReplica, of: &OfReplica<'_>) -> ReplicaPhase {
    for spent in &of.spent {
        draft.act(AgentAction::Remove { container: spent.id.clone() });
    }
    let remembered = draft.view.memory.replicas.get(&wanted.replica.name).cloned().unwrap_or_default();
    let ended = remembered.retry.as_ref().map(|r| r.reason.clone());
    if let Some(retry) = remembered.retry.filter(|r| r.at > draft.now.mono) {
        draft.wake(retry.at.since(draft.now.mono));
        return ReplicaPhase::BackOff { reason: retry.reason, retry_at: retry.wall };
    }
    let waiting = |reason| ReplicaPhase::Waiting { reason };
    let Some(revision) = &wanted.revision else {
        let message = format!("revision {} is not in the store", wanted.replica.revision);
        return waiting(Some(WaitReason::EngineRefused { message }));
    };
    match images::need(draft, &revision.image.pinned, revision.spec.pull) {
        Need::Met => {}
        Need::Looking => return waiting(ended),
        Need::Pulling => return ReplicaPhase::Pulling,
        Need::Unavailable(retry) => {
            draft.wake(retry.at.since(draft.now.mono));
            return ReplicaPhase::BackOff { reason: retry.reason, retry_at: retry.wall };
        }
    }
    match network::need(draft, &wanted.replica.app) {
        Ok(true) => {}
        Ok(false) => return waiting(ended),
        Err(message) => return waiting(Some(WaitReason::EngineRefused { message })),
    }
    let highest = remembered.attempted.max(of.highest_attempt());
    match create(draft, wanted, revision, highest) {
        Ok(true) if ended.is_none() => ReplicaPhase::Starting { reason: None },
        Ok(_) => waiting(ended),
        Err(reason) => waiting(Some(reason)),
    }
}

/// Makes and starts the next attempt; `false` while too many containers are being started already.
fn create(
    draft: &mut Draft<'_>,
    wanted: &WantedReplica,
    revision: &Revision,
    highest: u32,
) -> Result<bool, WaitReason> {
    let replica = &wanted.replica;
    let refused = |message: &str| WaitReason::EngineRefused { message: message.to_owned() };
    let Some(subnet) = draft.state().networks.get(&replica.app).map(|record| record.subnet) else {
        return Err(refused("the network of the app is not known"));
    };
    let env = spec::environment(&draft.view.facts, replica, revision, subnet)
        .map_err(|message| refused(&message))?;
    if !draft.may_start() {
        return Ok(false);
    }
    let allotment = match draft.allot(&replica.app, &revision.spec.ports) {
        Ok(allotment) => allotment,
        Err(reason) => {
            draft.wake(ALLOT_RETRY);
            return Err(reason);
        }
    };
    draft.take_start();
    // One whose making was not answered has its number too: should its container come up after all, it is superseded.
    let attempt = wanted.status.as_ref().map_or(0, |s| s.attempt).max(highest) + 1;
    let spec = Box::new(spec::container(draft.view, replica, revision, attempt, env, allotment));
    let (replica, rounds) = (replica.name.clone(), draft.rounds().clone());
    Ok(draft.act(AgentAction::Create { replica, attempt, rounds, spec }))
}

/// A container that was made and never started: a lost answer, or an earlier run of the agent.
fn start<'a>(
    draft: &mut Draft<'_>,
    wanted: &WantedReplica,
    of: &OfReplica<'a>,
    current: &ObservedContainer,
) -> Step<'a> {
    if draft.take_start() {
        let (replica, container) = (wanted.replica.name.clone(), current.id.clone());
        draft.act(AgentAction::Start { replica, container });
    }
    Step::of(ReplicaPhase::Starting { reason: None }, of)
}

/// Alive, and for a reason outside its health not to be reached: out of rotation until that is over.
fn held_back<'a>(
    wanted: &WantedReplica,
    of: &OfReplica<'a>,
    current: &ObservedContainer,
    reason: WaitReason,
) -> Step<'a> {
    let endpoint = own_endpoint(wanted, current);
    let was_ready = endpoint.is_some() || shown_state(wanted, current).is_some();
    let phase = match was_ready {
        true => ReplicaPhase::Unready { reason },
        false => ReplicaPhase::Starting { reason: Some(reason) },
    };
    let endpoint = endpoint.map(|e| Endpoint { state: EndpointState::Unready, ..e.clone() });
    Step { endpoint, ..Step::of(phase, of) }
}

/// Running: probed, and in the registry once it passes.
fn running<'a>(
    draft: &mut Draft<'_>,
    wanted: &WantedReplica,
    of: &OfReplica<'a>,
    current: &ObservedContainer,
) -> Step<'a> {
    let Some(revision) = wanted.revision.as_deref() else {
        return Step::of(
            wanted.status.as_ref().map_or(ReplicaPhase::Starting { reason: None }, |s| s.phase.clone()),
            of,
        );
    };
    let reached = Reached::of(current, &draft.view.network_name(&wanted.replica.app));
    let (Some(instance), Some(reached)) = (instance_of(current), reached) else {
        return Step::of(ReplicaPhase::Starting { reason: None }, of);
    };
    let probe = target(&revision.spec, &instance, reached);
    let state = probe.as_ref().and_then(|_| draft.view.probes.get(&instance));
    let has_endpoint = !revision.spec.ports.is_empty();
    let shown = match has_endpoint {
        true => own_endpoint(wanted, current).map(|e| e.state),
        false => shown_state(wanted, current),
    };
    let phase = match (&probe, &revision.spec.health.check) {
        (Some(_), _) => judged(shown, state),
        (None, HealthCheck::None(_)) => ReplicaPhase::Ready,
        (None, _) => {
            let message = "the port of its health check is not published".to_owned();
            ReplicaPhase::Starting { reason: Some(WaitReason::EngineRefused { message }) }
        }
    };
    if let (ReplicaPhase::Starting { .. }, Some(ProbeState::Starting { since, last: Some(_) })) =
        (&phase, state)
    {
        examine_starting(draft, wanted, current, *since);
    }
    let endpoint = match phase {
        ReplicaPhase::Ready if has_endpoint => Some(EndpointState::Ready),
        ReplicaPhase::Unready { .. } if has_endpoint => Some(EndpointState::Unready),
        _ => None,
    };
    let endpoint = endpoint.map(|state| register(wanted, revision, current, reached, state));
    Step { endpoint: endpoint.flatten(), probe, ..Step::of(phase, of) }
}

/// From the probe's state and what was shown so far to the phase. What is ready stays so until its probe has an opinion:
/// a restart of the agent alone changes nothing.
fn judged(shown: Option<EndpointState>, state: Option<&ProbeState>) -> ReplicaPhase {
    let failing = |probe: &FailedProbe| WaitReason::HealthCheckFailing { message: probe.message.clone() };
    match (shown, state) {
        (_, Some(ProbeState::Ready { .. })) => ReplicaPhase::Ready,
        (Some(_), Some(ProbeState::Failing { last, .. } | ProbeState::TooLate { last, .. })) => {
            ReplicaPhase::Unready { reason: failing(last) }
        }
        (Some(EndpointState::Ready), _) => ReplicaPhase::Ready,
        (Some(_), Some(ProbeState::Starting { last: Some(last), .. })) => {
            ReplicaPhase::Unready { reason: failing(last) }
        }
        (Some(_), _) => ReplicaPhase::Unready { reason: failing(&"not probed yet".into()) },
        (None, Some(ProbeState::Starting { last: Some(last), .. })) => {
            ReplicaPhase::Starting { reason: Some(failing(last)) }
        }
        (None, Some(ProbeState::Failing { last, .. } | ProbeState::TooLate { last, .. })) => {
            ReplicaPhase::Starting { reason: Some(failing(last)) }
        }
        (None, _) => ReplicaPhase::Starting { reason: None },
    }
}

/// What is probed; `None` where nothing is, or nothing can be.
fn target(spec: &ServiceSpec, instance: &EndpointId, reached: Reached<'_>) -> Option<ProbeTarget> {
    let place = match spec.health.check {
        HealthCheck::None(_) => return None,
        HealthCheck::Exec(_) => ProbeAddress::direct((reached.address(), 0).into()),
        HealthCheck::Http(_) | HealthCheck::Tcp(_) | HealthCheck::Grpc(_) => {
            reached.place(spec.port(spec.health.port.as_deref())?.port)?
        }
    };
    Some(ProbeTarget { id: instance.clone(), place, health: spec.health.clone() })
}

fn register(
    wanted: &WantedReplica,
    revision: &Revision,
    current: &ObservedContainer,
    reached: Reached<'_>,
    state: EndpointState,
) -> Option<Endpoint> {
    let replica = &wanted.replica;
    Some(Endpoint {
        service: replica.service.clone(),
        replica: replica.name.clone(),
        revision: replica.revision,
        address: reached.address(),
        ports: reached.ports(&revision.spec.ports),
        state,
        container: current.id.clone(),
        started_at: current.started_at?,
    })
}

/// With the Engine away: only what the probes say still counts, for what was in the registry before.
pub(super) fn while_away<'a>(
    draft: &mut Draft<'_>,
    wanted: &WantedReplica,
    of: &OfReplica<'a>,
) -> Option<Step<'a>> {
    let current = of.current.filter(|c| c.state == ContainerState::Running)?;
    let endpoint = own_endpoint(wanted, current).filter(|e| e.state != EndpointState::Draining);
    match wanted.replica.runs() && endpoint.is_some() {
        true => Some(running(draft, wanted, of, current)),
        false => None,
    }
}
