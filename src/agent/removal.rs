//! The way out: drain, barrier, in flight zero or drain time, stop signal, grace, SIGKILL, remove. Pure.
//!
//! One step per pass, and each is read from the world: a restarted agent goes on where the last one was. A container
//! that runs is told to stop only after every balancer acknowledged a table without its endpoint. A container that has
//! ended is removed without asking anyone.

use super::classify::OfReplica;
use super::draft::{AgentAction, Draft};
use super::images;
use super::status::Step;
use super::view::{Subject, WantedReplica, instance_of};
use crate::engine::{ContainerState, ObservedContainer};
use crate::model::{
    Endpoint, EndpointId, EndpointState, Millis, Mono, ReplicaPhase, RolloutPolicy, ServiceSpec, StopPolicy,
};

/// SIGKILL is sent again after this long: the first may have been lost.
const KILL_AGAIN_AFTER: Millis = Millis::secs(10);

/// How a container is let go, from its revision.
#[derive(Debug, Clone)]
pub(super) struct Leave {
    drain: Millis,
    stop: StopPolicy,
}

impl Default for Leave {
    fn default() -> Self {
        Self { drain: RolloutPolicy::default().drain, stop: StopPolicy::default() }
    }
}

impl Leave {
    /// As the replica's revision says; with every default if it is not known.
    pub(super) fn of(wanted: &WantedReplica) -> Self {
        wanted.revision.as_ref().map_or_else(Self::default, |r| Self::as_in(&r.spec))
    }

    /// As a spec says.
    pub(super) fn as_in(spec: &ServiceSpec) -> Self {
        Self { drain: spec.rollout.drain, stop: spec.stop.clone() }
    }
}

/// One step of a container's way out; the phase its replica is in. `registered` says that the store has its endpoint
/// in rotation: then the next step is to take it out, and nothing else happens.
pub(super) fn retire(
    draft: &mut Draft<'_>,
    container: &ObservedContainer,
    registered: bool,
    leave: &Leave,
) -> ReplicaPhase {
    let instance = match container.state {
        ContainerState::Removing => return ReplicaPhase::Stopping,
        ContainerState::Created | ContainerState::Exited { .. } | ContainerState::Dead => None,
        ContainerState::Running | ContainerState::Paused | ContainerState::Restarting => {
            instance_of(container)
        }
    };
    let Some(instance) = instance else {
        draft.act(AgentAction::Remove { container: container.id.clone() });
        return ReplicaPhase::Stopping;
    };
    let now = draft.now.mono;
    let let_go =
        draft.view.memory.let_go_at(&instance).filter(|_| draft.view.barrier.acked_absent(&instance));
    let Some(let_go) = let_go.filter(|_| !registered) else {
        draft.plan.awaits_balancer = true;
        return ReplicaPhase::Draining;
    };
    let signalled = draft.view.memory.signals.get(&instance).copied();
    let Some(signalled) = signalled else {
        let in_flight = draft.view.barrier.in_flight(&instance);
        let until = let_go.after(leave.drain);
        if in_flight != Some(0) && now < until {
            draft.plan.awaits_balancer = true;
            draft.wake(until.since(now));
            return ReplicaPhase::Draining;
        }
        if container.state == ContainerState::Paused {
            // A frozen process hears no signal.
            draft.act(AgentAction::Remove { container: container.id.clone() });
        } else {
            signal(draft, container, instance, &leave.stop.signal, false);
        }
        return ReplicaPhase::Stopping;
    };
    let next =
        signalled.kill_at.map_or(signalled.stop_at.after(leave.stop.grace), |at| at.after(KILL_AGAIN_AFTER));
    if now >= next {
        signal(draft, container, instance, "SIGKILL", true);
    } else {
        draft.wake(next.since(now));
    }
    ReplicaPhase::Stopping
}

fn signal(
    draft: &mut Draft<'_>,
    container: &ObservedContainer,
    instance: EndpointId,
    signal: &str,
    kill: bool,
) {
    let container = container.id.clone();
    draft.act(AgentAction::Signal { container, instance, signal: signal.to_owned(), kill });
}

/// The endpoint as it is on its way out: draining, from where there is no way back.
pub(super) fn draining(endpoint: &Endpoint) -> Option<Endpoint> {
    let out = endpoint.state == EndpointState::Draining;
    (!out).then(|| Endpoint { state: EndpointState::Draining, ..endpoint.clone() })
}

/// Out of rotation, stopped and removed, with everything that belongs to it.
pub(super) fn remove<'a>(
    draft: &mut Draft<'_>,
    wanted: &WantedReplica,
    of: &OfReplica<'a>,
) -> Option<Step<'a>> {
    if draft.is_busy(&Subject::Replica(wanted.replica.name.clone())) {
        return None;
    }
    let leave = Leave::of(wanted);
    let registered = |container: &ObservedContainer| {
        let endpoint = wanted.endpoint.as_ref().filter(|e| instance_of(container) == Some(e.id()));
        endpoint.is_some_and(|e| e.state != EndpointState::Draining)
    };
    let phases: Vec<ReplicaPhase> = of.all().map(|c| retire(draft, c, registered(c), &leave)).collect();
    let phase = match phases.as_slice() {
        [] if !is_gone(wanted) && images::untag_deleted(draft, wanted) => ReplicaPhase::Stopping,
        [] => ReplicaPhase::Gone,
        some if some.contains(&ReplicaPhase::Draining) => ReplicaPhase::Draining,
        _ => ReplicaPhase::Stopping,
    };
    let mut step = Step::of(phase, of);
    step.endpoint = wanted.endpoint.as_ref().and_then(draining);
    Some(step)
}

/// Out of rotation and stopped, and what has ended is kept: its last container.
pub(super) fn keep<'a>(
    draft: &mut Draft<'_>,
    wanted: &WantedReplica,
    of: &OfReplica<'a>,
) -> Option<Step<'a>> {
    // A container that is being made would come up after it was said that nothing runs.
    if draft.is_busy(&Subject::Replica(wanted.replica.name.clone())) {
        return None;
    }
    if of.current.is_none() && of.superseded.is_empty() && of.last.is_some() {
        for spent in &of.spent {
            draft.act(AgentAction::Remove { container: spent.id.clone() });
        }
        return Some(Step::of(ReplicaPhase::Retained, of));
    }
    remove(draft, wanted, of)
}

/// Whether it was said already that nothing of it is left.
fn is_gone(wanted: &WantedReplica) -> bool {
    wanted.status.as_ref().is_some_and(|status| status.phase == ReplicaPhase::Gone)
}

/// How long the wait for a balancer may take before it is told: its own restart, or the controller's, is over long before.
pub const UNACKNOWLEDGED_AFTER: Millis = Millis::secs(10);

/// Whether an endpoint on its way out has waited too long for a balancer.
pub(super) fn is_unacknowledged(draft: &mut Draft<'_>) -> bool {
    let now: Mono = draft.now.mono;
    let Some(waited) = draft.view.memory.unacknowledged_for(now) else { return false };
    if waited < UNACKNOWLEDGED_AFTER {
        draft.wake(Millis(UNACKNOWLEDGED_AFTER.0 - waited.0));
    }
    waited >= UNACKNOWLEDGED_AFTER
}
