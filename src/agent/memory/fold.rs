//! Brings the memory up to date with what a pass observes: exits, health, acknowledgements, leases. Pure.

use std::collections::BTreeSet;

use super::agent_memory::AgentMemory;
use super::exits::ExitMemory;
use super::replica::{ExitOrigin, ReplicaMemory};
use crate::agent::classify::{ClassifiedContainers, ReplicaContainers, start_refusal};
use crate::agent::view::{NodeView, WantedReplica, instance_of};
use crate::engine::{ContainerState, ObservedContainer};
use crate::model::{ContainerId, NotReadyCause, Now};

/// The memory after this observation.
pub(in crate::agent) fn fold(
    mut memory: AgentMemory,
    view: &NodeView,
    classified: &ClassifiedContainers<'_>,
    now: Now,
) -> AgentMemory {
    let none = ReplicaContainers::default();
    for (name, wanted) in &view.replicas {
        let containers = classified.replicas.get(name).unwrap_or(&none);
        fold_replica(&mut memory, view, wanted, containers, now);
    }
    let existing: BTreeSet<ContainerId> = view.containers.iter().map(|c| c.id.clone()).collect();
    memory.barrier.fold(view, now.mono);
    // What is kept for its log is never started again, and holds no address for that.
    let kept: BTreeSet<&ContainerId> =
        classified.replicas.values().filter_map(|containers| containers.previous).map(|c| &c.id).collect();
    let holders = view.containers.iter().filter(|container| !kept.contains(&container.id));
    memory.leases.fold(holders, |id| view.barrier.acked_absent(id), now.mono);
    memory.replicas.retain(|name, _| view.replicas.contains_key(name));
    memory.deletion_guard.forget(&existing, now.mono);
    memory.retries.forget(view, now.mono);
    memory.exits.fold(view, &existing);
    memory.gateway.retain(&view.apps);
    memory.recreatable_volumes.retain(|name| view.state.volumes.contains_key(name));
    memory
}

fn fold_replica(
    memory: &mut AgentMemory,
    view: &NodeView,
    wanted: &WantedReplica,
    containers: &ReplicaContainers<'_>,
    now: Now,
) {
    let status = wanted.status.as_ref();
    let own = memory
        .replicas
        .entry(wanted.replica.name.clone())
        .or_insert_with(|| ReplicaMemory::of_status(status, now.mono));
    own.crashes.retain(|id| containers.all().any(|c| c.id == *id));
    own.fold_health(wanted, containers.current, now.mono);
    let has_begun = containers.all().next().is_some();
    own.fold_trial(view, wanted, containers.current, has_begun, now);
    if let Some(current) = containers.current {
        own.fold_running(view, wanted, current, now.mono);
    }
    let Some(exited) = containers.last.filter(|c| !memory.exits.is_handled(&c.id)) else { return };
    let Some(cause) = exit_cause(&memory.exits, wanted, exited) else { return };
    let refusal = memory.exits.refusal(&exited.id);
    let is_fault = refusal.is_none_or(|refusal| refusal.is_fault);
    let instance = instance_of(exited);
    // One that was asked to stop, or that should not run, has not failed.
    let was_stopped = instance.as_ref().is_some_and(|id| memory.barrier.signals(id).is_some());
    let was_observed = instance.as_ref().is_some_and(|id| memory.exits.was_observed_running(id));
    let origin = match was_observed || refusal.is_some() {
        _ if !wanted.replica.runs() || was_stopped => ExitOrigin::Requested,
        true if !is_fault || memory.exits.was_killed_on_request(&exited.id) => ExitOrigin::Accident,
        true => ExitOrigin::Container,
        false => ExitOrigin::Unobserved,
    };
    let start_within = wanted.revision.as_ref().map(|revision| revision.spec.health.start_within);
    if own.fold_exit(exited, cause.clone(), origin, start_within.unwrap_or_default(), now) && is_fault {
        own.crashes.failed(exited, cause, now.mono);
    }
    memory.exits.handled(&exited.id);
}

/// Why a container exited or could not start.
fn exit_cause(
    exits: &ExitMemory,
    wanted: &WantedReplica,
    exited: &ObservedContainer,
) -> Option<NotReadyCause> {
    let (code, oom_killed) = match exited.state {
        ContainerState::Dead => {
            return Some(NotReadyCause::cannot_start("Docker reports the container as dead"));
        }
        ContainerState::Exited { code, oom_killed } => (code, oom_killed),
        _ => return start_refusal(exits, exited).map(NotReadyCause::cannot_start),
    };
    if let Some(message) = start_refusal(exits, exited) {
        return Some(NotReadyCause::cannot_start(message));
    }
    if oom_killed {
        let limit = wanted.revision.as_ref().and_then(|revision| revision.spec.resources.memory);
        return Some(NotReadyCause::OutOfMemory { limit, code: Some(code) });
    }
    let own = wanted.status.as_ref().filter(|status| status.container.as_ref() == Some(&exited.id));
    let was_healthy = own.is_some_and(|status| status.ready_after.is_some());
    Some(NotReadyCause::of_exit(code, was_healthy))
}
