//! What a pass reports about the node: its conditions, and a warning for each endpoint that waits too long. Pure.

use super::gateway;
use super::known_volumes;
use super::memory::UNACKNOWLEDGED_AFTER;
use super::plan_builder::PlanBuilder;
use super::removal::KILL_AGAIN_AFTER;
use super::view::instance_of;
use crate::engine::ObservedContainer;
use crate::model::{Condition, EndpointState, Event, EventKind, EventReason, Millis, Reason, ServiceName};

/// Adds the node's conditions to the plan.
pub(super) fn report(builder: &mut PlanBuilder<'_>) {
    if !builder.plan.held.is_empty() {
        let names: Vec<&str> = builder.plan.held.iter().map(|(_, name)| name.as_str()).collect();
        let message = format!(
            "{} running containers have no replica; they are kept until `ctl confirm`: {}",
            names.len(),
            names.join(", ")
        );
        builder.plan.conditions.push(Condition::degraded(Reason::DeletionHeld, message));
    }
    known_volumes::report_missing(builder);
    gateway::report(builder);
    report_silent(builder);
    report_survivors(builder);
    match builder.memory.barrier.longest_wait(builder.now.mono) {
        None => {}
        Some(waited) if waited < UNACKNOWLEDGED_AFTER => {
            builder.wake(Millis(UNACKNOWLEDGED_AFTER.0 - waited.0));
        }
        Some(_) => report_unacknowledged(builder),
    }
}

/// Services whose silent replicas stay in rotation.
fn report_silent(builder: &mut PlanBuilder<'_>) {
    let condition = |service: &ServiceName| {
        let message = format!(
            "all replicas of {service} stopped answering their health checks within moments; the last known good ones stay in rotation"
        );
        Condition::degraded(Reason::AllSilent, message)
    };
    let conditions: Vec<Condition> = builder.all_silent.iter().map(condition).collect();
    builder.plan.conditions.extend(conditions);
}

/// Containers that SIGKILL does not end. Their replicas are not gone, so a successor in the same slot waits for them.
fn report_survivors(builder: &mut PlanBuilder<'_>) {
    let now = builder.now.mono;
    let survives = |container: &&ObservedContainer| {
        let barrier = &builder.memory.barrier;
        instance_of(container).is_some_and(|id| barrier.survives(&id, KILL_AGAIN_AFTER, now))
    };
    let names: Vec<&str> =
        builder.view.ours().filter(survives).map(|container| container.name.as_str()).collect();
    if names.is_empty() {
        return;
    }
    let message = format!(
        "{} got SIGKILL and still runs: its process waits in the kernel, as for a disk or network file system that hangs, or Docker \
         has lost it; its slot and its volumes are free once it ends",
        names.join(", ")
    );
    builder.plan.conditions.push(Condition::degraded(Reason::KillFailed, message));
}

/// An endpoint that is to leave has waited too long for a balancer.
fn report_unacknowledged(builder: &mut PlanBuilder<'_>) {
    let lags = builder.view.barrier.lags();
    builder.plan.conditions.extend(lags.iter().map(Condition::balancer_lag));
    warn(builder);
}

/// Warns once about each endpoint that waits too long for a balancer.
fn warn(builder: &mut PlanBuilder<'_>) {
    let barrier = &builder.memory.barrier;
    for wanted in builder.view.replicas.values() {
        let Some(endpoint) = wanted.endpoint.as_ref().filter(|e| e.state == EndpointState::Draining) else {
            continue;
        };
        let id = endpoint.id();
        let waited = barrier.wait(&id, builder.now.mono);
        if waited.is_none_or(|waited| waited < UNACKNOWLEDGED_AFTER) || barrier.was_warned(&id) {
            continue;
        }
        let event = Event {
            at: builder.now.wall,
            object: format!("replica/{}", wanted.replica.name),
            kind: EventKind::Warning,
            reason: EventReason::BalancerUnacknowledged,
            message: "not stopped: the balancer has not acknowledged a table without it".to_owned(),
            cut: Vec::new(),
        };
        builder.plan.events.push((wanted.replica.service.clone(), event));
        builder.plan.warned.push(id);
    }
}
