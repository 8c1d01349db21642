//! A replica that should run: which step comes next. Pure.
//!
//! One step per pass, the first that is missing. Never a second container while one is alive; a failing readiness check
//! never restarts a container. The steps: `creation`, `readiness`, `removal`.

use super::action::{ActionSubject, AgentAction};
use super::classify::ReplicaContainers;
use super::plan_builder::PlanBuilder;
use super::removal::{StopTerms, draining, retire};
use super::status::ReplicaStep;
use super::view::{WantedReplica, address_of, shown_state};
use super::{container_events, creation, examination, network, previous, readiness};
use crate::engine::{ContainerState, ObservedContainer};
use crate::model::{Endpoint, EndpointState, NotReadyCause, ReplicaPhase};

/// The next step of a replica that should run; `None` while an action is under way on it.
pub(super) fn run<'a>(
    builder: &mut PlanBuilder<'_>,
    wanted: &WantedReplica,
    containers: &ReplicaContainers<'a>,
) -> Option<ReplicaStep<'a>> {
    examination::examine_failed(builder, wanted);
    if builder.is_busy(&ActionSubject::Replica(wanted.replica.name.clone())) {
        return None;
    }
    for other in &containers.superseded {
        retire(builder, other, false, &StopTerms::of(wanted.revision.as_ref()));
    }
    let Some(current) = containers.current else {
        return Some(ReplicaStep::of(creation::next_step(builder, wanted, containers), containers));
    };
    for spent in containers.spent.iter().chain(&containers.last) {
        builder.act(AgentAction::Remove { container: spent.id.clone() });
    }
    if let Some(ended) = containers.previous {
        previous::keep(builder, wanted, ended);
    }
    if leaves(builder, wanted, current) {
        return Some(replace(builder, wanted, containers, current));
    }
    if builder.view.is_off_network(current) {
        return Some(reconnect(builder, wanted, containers, current));
    }
    Some(match current.state {
        ContainerState::Created => start(builder, wanted, containers, current),
        ContainerState::Running => readiness::running(builder, wanted, containers, current),
        ContainerState::Paused => held_back(wanted, containers, current, NotReadyCause::ContainerPaused),
        _ => {
            let cause = NotReadyCause::cannot_start("Docker restarts the container by itself");
            held_back(wanted, containers, current, cause)
        }
    })
}

/// Whether the container is to be replaced: it is marked, or its endpoint is draining, from where there is no way back.
fn leaves(builder: &PlanBuilder<'_>, wanted: &WantedReplica, current: &ObservedContainer) -> bool {
    let remembered = builder.memory.replicas.get(&wanted.replica.name);
    let is_marked = remembered.and_then(|m| m.to_replace.as_ref()).is_some_and(|(id, _)| *id == current.id);
    is_marked || wanted.endpoint_of(current).is_some_and(|e| e.state == EndpointState::Draining)
}

fn replace<'a>(
    builder: &mut PlanBuilder<'_>,
    wanted: &WantedReplica,
    containers: &ReplicaContainers<'a>,
    current: &ObservedContainer,
) -> ReplicaStep<'a> {
    let endpoint = wanted.endpoint_of(current);
    let registered = endpoint.is_some_and(|e| e.state != EndpointState::Draining);
    let phase = retire(builder, current, registered, &StopTerms::of(wanted.revision.as_ref())).phase;
    let to_replace = builder.memory.replicas.get(&wanted.replica.name).and_then(|m| m.to_replace.clone());
    // The user should read why, not that it is being stopped.
    let phase = to_replace.map_or(phase, |(_, cause)| ReplicaPhase::Starting { cause: Some(cause) });
    ReplicaStep { endpoint: endpoint.and_then(draining), ..ReplicaStep::of(phase, containers) }
}

/// A container that was taken off its network is connected again at its address: that is faster than a replacement, whose
/// predecessor could not finish its requests, and requests under way may yet be answered.
fn reconnect<'a>(
    builder: &mut PlanBuilder<'_>,
    wanted: &WantedReplica,
    containers: &ReplicaContainers<'a>,
    current: &ObservedContainer,
) -> ReplicaStep<'a> {
    let network = builder.view.network_name(&wanted.replica.app);
    let cause = match network::need(builder, &wanted.replica.app) {
        Err(message) => NotReadyCause::cannot_start(message),
        Ok(exists) => {
            if let Some(address) = address_of(current).filter(|_| exists) {
                let is_new = builder.act(AgentAction::Connect {
                    replica: wanted.replica.name.clone(),
                    container: current.id.clone(),
                    network: network.clone(),
                    address: address.into(),
                });
                if is_new {
                    container_events::connected_again(builder, current, &network, address);
                }
            }
            NotReadyCause::OffNetwork { network }
        }
    };
    held_back(wanted, containers, current, cause)
}

/// A container that was created and never started: a lost response, or an earlier run of the agent.
fn start<'a>(
    builder: &mut PlanBuilder<'_>,
    wanted: &WantedReplica,
    containers: &ReplicaContainers<'a>,
    current: &ObservedContainer,
) -> ReplicaStep<'a> {
    if builder.take_start() {
        let replica = wanted.replica.name.clone();
        let container = current.id.clone();
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
    let endpoint = wanted.endpoint_of(current);
    let was_ready = endpoint.is_some() || shown_state(wanted, current).is_some();
    let phase = match was_ready {
        true => ReplicaPhase::Unready { cause },
        false => ReplicaPhase::Starting { cause: Some(cause) },
    };
    let endpoint = endpoint.map(|e| Endpoint { state: EndpointState::Unready, ..e.clone() });
    ReplicaStep { endpoint, ..ReplicaStep::of(phase, containers) }
}

/// With the Engine away: only the probes still count, for endpoints that were registered before.
pub(super) fn while_away<'a>(
    builder: &mut PlanBuilder<'_>,
    wanted: &WantedReplica,
    containers: &ReplicaContainers<'a>,
) -> Option<ReplicaStep<'a>> {
    let current = containers.current.filter(|c| c.state == ContainerState::Running)?;
    let endpoint = wanted.endpoint_of(current).filter(|e| e.state != EndpointState::Draining);
    match wanted.replica.runs() && endpoint.is_some() {
        true => Some(readiness::running(builder, wanted, containers, current)),
        false => None,
    }
}
