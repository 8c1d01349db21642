//! Cleanup: orphaned containers, and endpoints without a running container. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::action::AgentAction;
use super::classify::ClassifiedContainers;
use super::node_plan::{EndpointWrite, NodePlan};
use super::plan_builder::PlanBuilder;
use super::removal::{StopTerms, retire};
use super::view::{NodeView, WantedReplica, instance_of, is_up};
use crate::engine::{ContainerState, LABEL_REVISION, LABEL_SERVICE, ObservedContainer};
use crate::model::{ContainerId, Endpoint, EndpointId, EndpointState, RevisionNumber, ServiceName};

fn instances(view: &NodeView, matches: impl Fn(&ObservedContainer) -> bool) -> BTreeSet<EndpointId> {
    view.ours().filter(|container| matches(container)).filter_map(instance_of).collect()
}

/// Withdraws endpoints whose process does not run from our balancer at once, and deletes those from the store whose container
/// exited or was restarted. Returns the replicas without the deleted endpoints.
pub(super) fn withdraw_dead(builder: &mut PlanBuilder<'_>) -> Vec<WantedReplica> {
    let view = builder.view;
    // A paused process keeps its identity but answers nothing.
    let running = instances(view, |container| container.state == ContainerState::Running);
    let exists = instances(view, is_up);
    let withdraw = |endpoint: &Endpoint, plan: &mut NodePlan| {
        let id = endpoint.id();
        if !running.contains(&id) && endpoint.state == EndpointState::Ready {
            plan.withdraw.push(id.clone());
        }
        exists.contains(&id)
    };
    let mut delete = Vec::new();
    let mut kept = Vec::new();
    for wanted in view.replicas.values() {
        let stays = wanted.endpoint.as_ref().is_none_or(|e| withdraw(e, &mut builder.plan));
        let endpoint = wanted.endpoint.clone().filter(|_| stays);
        delete.extend(wanted.endpoint.as_ref().filter(|_| !stays));
        kept.push(WantedReplica { endpoint, ..wanted.clone() });
    }
    for stray in &view.stray_endpoints {
        withdraw(stray, &mut builder.plan);
        delete.push(stray);
    }
    let deletion = |endpoint: &Endpoint| {
        let replica = endpoint.replica()?.clone();
        Some(EndpointWrite::Delete { service: endpoint.service.clone(), replica })
    };
    builder.plan.endpoints.extend(delete.into_iter().filter_map(deletion));
    kept
}

/// Removes containers of ours without a stored replica: exited ones at once, running ones if the deletion guard allows it.
pub(super) fn remove_orphans(builder: &mut PlanBuilder<'_>, classified: &ClassifiedContainers<'_>) {
    for dead in &classified.dead_orphans {
        builder.act(AgentAction::Remove { container: dead.id.clone() });
    }
    let view = builder.view;
    let may_run =
        |c: &&ObservedContainer| !matches!(c.state, ContainerState::Exited { .. } | ContainerState::Dead);
    let owned = view.ours().filter(may_run).count();
    let ids: BTreeSet<ContainerId> = classified.orphans.iter().map(|c| c.id.clone()).collect();
    let allows = builder.memory.deletion_guard.allows(&ids, owned, builder.now.mono);
    let endpoints = if classified.orphans.is_empty() { BTreeMap::new() } else { view.endpoints() };
    for orphan in &classified.orphans {
        if !allows && !builder.memory.deletion_guard.is_confirmed(&orphan.id) {
            builder.plan.held.push((orphan.id.clone(), orphan.name.clone()));
            continue;
        }
        builder.plan.released.push(orphan.id.clone());
        let registered = instance_of(orphan).is_some_and(|id| endpoints.contains_key(&id));
        retire(builder, orphan, registered, &stop_terms(view, orphan));
    }
}

/// The stop terms of an orphan: those of its revision, if that is still stored.
fn stop_terms(view: &NodeView, orphan: &ObservedContainer) -> StopTerms {
    let service = orphan.labels.get(LABEL_SERVICE).map(ServiceName::new);
    let number = orphan.labels.get(LABEL_REVISION).and_then(|text| text.parse().ok()).map(RevisionNumber);
    StopTerms::of(service.zip(number).and_then(|key| view.revisions.get(&key)))
}
