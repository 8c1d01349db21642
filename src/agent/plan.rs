//! The decision of a pass: from the node as observed and what the agent remembers to what it does next. Pure.
//!
//! This file is the sequence only; each step is in a file of its own. Later steps rely on earlier ones: endpoints without
//! a process are withdrawn before a replica is judged, and image tags wait until there is nothing else to do.

use super::action::AgentAction;
use super::classify::{ClassifiedContainers, ReplicaContainers, classify};
use super::memory::{AgentMemory, fold};
use super::node_plan::NodePlan;
use super::plan_builder::PlanBuilder;
use super::status::record;
use super::view::NodeView;
use super::{cleanup, conditions, gateway, images, known_volumes, lifecycle, network, removal};
use crate::model::{Desired, Now};

/// Folds what the view shows into the memory, and decides from both; returns the plan and the memory for the next pass.
pub fn plan(view: &NodeView, memory: AgentMemory, now: Now) -> (NodePlan, AgentMemory) {
    let classified = classify(view, &memory);
    let memory = fold(memory, view, &classified, now);
    let mut builder = PlanBuilder::new(view, &memory, now);
    match view.engine_answers {
        true => decide(&mut builder, &classified),
        false => decide_while_away(&mut builder, &classified),
    }
    let plan = builder.finish();
    (plan, memory)
}

fn decide(builder: &mut PlanBuilder<'_>, classified: &ClassifiedContainers<'_>) {
    let none = ReplicaContainers::default();
    known_volumes::remember(builder);
    for wanted in &cleanup::withdraw_dead(builder) {
        let containers = classified.replicas.get(&wanted.replica.name).unwrap_or(&none);
        let step = match wanted.replica.desired {
            Desired::Run => lifecycle::run(builder, wanted, containers),
            Desired::Retain { .. } => removal::retain(builder, wanted, containers),
            Desired::Remove { .. } => removal::remove(builder, wanted, containers),
        };
        if let Some(step) = step {
            record(builder, wanted, step);
        }
    }
    cleanup::remove_orphans(builder, classified);
    network::remove_unused(builder);
    if is_quiet(builder) {
        images::protect(builder);
    }
    gateway::remove_leftovers(builder);
    if is_quiet(builder) {
        gateway::check(builder);
    }
    conditions::report(builder);
}

/// With the Engine away, nothing is changed: only the probes still count.
fn decide_while_away(builder: &mut PlanBuilder<'_>, classified: &ClassifiedContainers<'_>) {
    let none = ReplicaContainers::default();
    for wanted in builder.view.replicas.values() {
        let containers = classified.replicas.get(&wanted.replica.name).unwrap_or(&none);
        if let Some(step) = lifecycle::while_away(builder, wanted, containers) {
            record(builder, wanted, step);
        }
    }
}

/// Whether no replica waits for a container: then there is time for housekeeping.
fn is_quiet(builder: &PlanBuilder<'_>) -> bool {
    let is_urgent = |action: &AgentAction| {
        !matches!(
            action,
            AgentAction::Remove { .. } | AgentAction::Signal { .. } | AgentAction::Examine { .. }
        )
    };
    builder.view.busy.is_empty() && !builder.plan.actions.iter().any(is_urgent)
}
