//! Stopping a container: drain, barrier, in-flight zero or drain time, stop signal, grace, SIGKILL, removal. Pure.
//!
//! One step per pass, and each is derived from what is observed: a restarted agent continues where the last one was. A
//! running container gets its stop signal only after every balancer has acknowledged a table without its endpoint. An
//! exited container is removed at once.

use std::sync::Arc;

use super::action::{ActionSubject, AgentAction};
use super::classify::ReplicaContainers;
use super::container_events;
use super::images;
use super::plan_builder::PlanBuilder;
use super::previous;
use super::status::ReplicaStep;
use super::view::{WantedReplica, instance_of};
use crate::engine::{ContainerState, ObservedContainer};
use crate::model::{
    ContainerId, CutRequests, DEFAULT_STOP_SIGNAL, Endpoint, EndpointId, EndpointState, Millis, ReplicaPhase,
    Revision, RolloutPolicy, StopPolicy,
};

/// SIGKILL is sent again after this long: the first may have been lost.
pub(super) const KILL_AGAIN_AFTER: Millis = Millis::secs(10);

/// Drain time, stop signal and grace of a container, from its revision.
#[derive(Debug, Clone)]
pub(super) struct StopTerms {
    drain: Millis,
    signal: String,
    grace: Millis,
}

impl StopTerms {
    /// Of the container's revision; the defaults if it is not known.
    pub(super) fn of(revision: Option<&Arc<Revision>>) -> Self {
        match revision {
            Some(revision) => Self {
                drain: revision.spec.rollout.drain,
                signal: revision.release().stop_signal().to_owned(),
                grace: revision.spec.stop.grace,
            },
            None => Self {
                drain: RolloutPolicy::default().drain,
                signal: DEFAULT_STOP_SIGNAL.to_owned(),
                grace: StopPolicy::default().grace,
            },
        }
    }
}

/// How far the removal of a container has come.
#[derive(Debug)]
pub(super) struct Retirement {
    /// The phase of its replica.
    pub(super) phase: ReplicaPhase,
    /// Requests that its stop signal cuts, in the pass that sends it.
    cut: Option<CutRequests>,
}

impl Retirement {
    fn uncut(phase: ReplicaPhase) -> Self {
        Self { phase, cut: None }
    }
}

/// Takes the next step to stop a container. `registered` says that the store has its endpoint in rotation: then the next step
/// is to deregister it, and nothing else happens.
pub(super) fn retire(
    builder: &mut PlanBuilder<'_>,
    container: &ObservedContainer,
    registered: bool,
    stop_terms: &StopTerms,
) -> Retirement {
    let instance = match container.state {
        ContainerState::Removing => return Retirement::uncut(ReplicaPhase::Stopping),
        ContainerState::Created | ContainerState::Exited { .. } | ContainerState::Dead => None,
        ContainerState::Running | ContainerState::Paused | ContainerState::Restarting => {
            instance_of(container)
        }
    };
    let Some(instance) = instance else {
        builder.act(AgentAction::Remove { container: container.id.clone() });
        return Retirement::uncut(ReplicaPhase::Stopping);
    };
    let now = builder.now.mono;
    let deregistered = builder.memory.barrier.deregistered_since(&instance);
    let deregistered = deregistered.filter(|_| builder.view.barrier.acked_absent(&instance) && !registered);
    let Some(deregistered) = deregistered else {
        builder.plan.awaits_balancer = true;
        return Retirement::uncut(ReplicaPhase::Draining);
    };
    let Some(sent) = builder.memory.barrier.signals(&instance) else {
        let in_flight = builder.view.barrier.in_flight(&instance);
        // Off its network no request of it can end.
        let drain = (!builder.view.is_off_network(container)).then_some(stop_terms.drain);
        let until = deregistered.after(drain.unwrap_or_default());
        if in_flight != Some(0) && now < until {
            builder.plan.awaits_balancer = true;
            builder.wake(until.since(now));
            return Retirement::uncut(ReplicaPhase::Draining);
        }
        // A frozen process handles no signal.
        let is_frozen = container.state == ContainerState::Paused;
        let ends = match is_frozen {
            true => builder.act(AgentAction::Remove { container: container.id.clone() }),
            false => signal(builder, container, instance, &stop_terms.signal, false),
        };
        let cut = match ends {
            true => container_events::drain_exceeded(builder, container, in_flight, drain),
            false => None,
        };
        return Retirement { phase: ReplicaPhase::Stopping, cut };
    };
    let next = sent.kill_at.map_or(sent.stop_at.after(stop_terms.grace), |at| at.after(KILL_AGAIN_AFTER));
    if now >= next {
        if signal(builder, container, instance, "SIGKILL", true) && sent.kill_at.is_none() {
            container_events::grace_exceeded(builder, container, &stop_terms.signal, stop_terms.grace);
        }
    } else {
        builder.wake(next.since(now));
    }
    Retirement::uncut(ReplicaPhase::Stopping)
}

/// Sends a signal; `false` while another action on the container is under way.
fn signal(
    builder: &mut PlanBuilder<'_>,
    container: &ObservedContainer,
    instance: EndpointId,
    signal: &str,
    kill: bool,
) -> bool {
    let container = container.id.clone();
    builder.act(AgentAction::Signal { container, instance, signal: signal.to_owned(), kill })
}

/// The endpoint as draining, from where there is no way back; `None` if it already is.
pub(super) fn draining(endpoint: &Endpoint) -> Option<Endpoint> {
    let is_draining = endpoint.state == EndpointState::Draining;
    (!is_draining).then(|| Endpoint { state: EndpointState::Draining, ..endpoint.clone() })
}

/// Out of rotation, stopped and removed, with everything that belongs to it.
pub(super) fn remove<'a>(
    builder: &mut PlanBuilder<'_>,
    wanted: &WantedReplica,
    containers: &ReplicaContainers<'a>,
) -> Option<ReplicaStep<'a>> {
    if builder.is_busy(&ActionSubject::Replica(wanted.replica.name.clone())) {
        return None;
    }
    Some(retire_all(builder, wanted, containers, None))
}

/// Takes the next step with each container but the one that is kept.
fn retire_all<'a>(
    builder: &mut PlanBuilder<'_>,
    wanted: &WantedReplica,
    containers: &ReplicaContainers<'a>,
    kept: Option<&ContainerId>,
) -> ReplicaStep<'a> {
    let stop_terms = StopTerms::of(wanted.revision.as_ref());
    let registered = |container: &ObservedContainer| {
        wanted.endpoint_of(container).is_some_and(|e| e.state != EndpointState::Draining)
    };
    let leaving = containers.all().filter(|c| Some(&c.id) != kept);
    let retired: Vec<Retirement> = leaving.map(|c| retire(builder, c, registered(c), &stop_terms)).collect();
    let phases: Vec<&ReplicaPhase> = retired.iter().map(|retired| &retired.phase).collect();
    let phase = match phases.as_slice() {
        [] if !is_gone(wanted) && images::untag_deleted(builder, wanted) => ReplicaPhase::Stopping,
        [] => ReplicaPhase::Gone,
        some if some.contains(&&ReplicaPhase::Draining) => ReplicaPhase::Draining,
        _ => ReplicaPhase::Stopping,
    };
    let mut step = ReplicaStep::of(phase, containers);
    step.endpoint = wanted.endpoint.as_ref().and_then(draining);
    // One container at a time serves for a replica.
    step.cut = retired.into_iter().find_map(|retired| retired.cut);
    step
}

/// Out of rotation and stopped; one container is retained: the last that ended by itself, since it shows why, else the last one.
pub(super) fn retain<'a>(
    builder: &mut PlanBuilder<'_>,
    wanted: &WantedReplica,
    containers: &ReplicaContainers<'a>,
) -> Option<ReplicaStep<'a>> {
    // A container that is being created would start after the replica was reported as stopped.
    if builder.is_busy(&ActionSubject::Replica(wanted.replica.name.clone())) {
        return None;
    }
    let failed = containers.ended().find(|c| previous::is_last_exit(builder.memory, Some(wanted), c));
    if containers.current.is_some() || !containers.superseded.is_empty() {
        return Some(retire_all(builder, wanted, containers, failed.map(|c| &c.id)));
    }
    let Some(kept) = failed.or(containers.last) else { return remove(builder, wanted, containers) };
    for other in containers.ended().filter(|c| c.id != kept.id) {
        builder.act(AgentAction::Remove { container: other.id.clone() });
    }
    Some(ReplicaStep { shown: Some(kept), ..ReplicaStep::of(ReplicaPhase::Retained, containers) })
}

/// Whether the replica was reported as gone already.
fn is_gone(wanted: &WantedReplica) -> bool {
    wanted.status.as_ref().is_some_and(|status| status.phase == ReplicaPhase::Gone)
}
