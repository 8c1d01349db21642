//! The decision of a pass: one host, what it should run and what it runs, to what is to do. Pure.
//!
//! This file is the sequence only; each step lies in a file of its own. Later steps rely on earlier ones: endpoints
//! without a process are out before a replica is judged, and tags wait until nothing else is to do.

use super::classify::{OfReplica, classify};
use super::draft::{AgentAction, Draft, NodePlan};
use super::status::settle;
use super::view::NodeView;
use super::{cleanup, events, images, lifecycle, network, removal};
use crate::model::{Condition, Desired, Now, Reason};

/// Decides. The memory in the view has taken note of this view before.
pub fn plan(view: &NodeView, now: Now) -> NodePlan {
    let mut draft = Draft::new(view, now);
    let sorted = classify(view);
    let none = OfReplica::default();
    if !view.engine_answers {
        for wanted in view.replicas.values() {
            let of = sorted.replicas.get(&wanted.replica.name).unwrap_or(&none);
            if let Some(step) = lifecycle::while_away(&mut draft, wanted, of) {
                settle(&mut draft, wanted, step);
            }
        }
        return draft.finish();
    }
    for wanted in &cleanup::withdraw_dead(&mut draft) {
        let of = sorted.replicas.get(&wanted.replica.name).unwrap_or(&none);
        let step = match wanted.replica.desired {
            Desired::Run => lifecycle::run(&mut draft, wanted, of),
            Desired::Retain { .. } => removal::keep(&mut draft, wanted, of),
            Desired::Remove { .. } => removal::remove(&mut draft, wanted, of),
        };
        if let Some(step) = step {
            settle(&mut draft, wanted, step);
        }
    }
    cleanup::remove_orphans(&mut draft, &sorted);
    network::remove_unused(&mut draft);
    if is_quiet(&draft) {
        images::protect(&mut draft);
    }
    judge(&mut draft);
    draft.finish()
}

/// Whether nobody waits for a container: then there is time for housekeeping.
fn is_quiet(draft: &Draft<'_>) -> bool {
    let urgent = |action: &AgentAction| {
        !matches!(
            action,
            AgentAction::Remove { .. } | AgentAction::Signal { .. } | AgentAction::Examine { .. }
        )
    };
    draft.view.busy.is_empty() && !draft.plan.actions.iter().any(urgent)
}

fn judge(draft: &mut Draft<'_>) {
    if !draft.plan.held.is_empty() {
        let names: Vec<&str> = draft.plan.held.iter().map(|(_, name)| name.as_str()).collect();
        let message = format!(
            "{} running containers have no replica; they are kept until `ctl confirm`: {}",
            names.len(),
            names.join(", ")
        );
        draft.plan.conditions.push(Condition::degraded(Reason::DeletionHeld, message));
    }
    if removal::is_unacknowledged(draft) {
        let message =
            "the balancer has not acknowledged the last table; no container is stopped before it does";
        draft.plan.conditions.push(match draft.view.barrier.report {
            Some(_) => Condition::degraded(Reason::BalancerUnacknowledged, message.to_owned()),
            None => Condition::balancer_away(),
        });
        events::unacknowledged(draft);
    }
}
