//! What is left over: containers without a replica, endpoints without a container. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::classify::Sorted;
use super::draft::{AgentAction, Draft, EndpointWrite};
use super::removal::{Leave, retire};
use super::view::{NodeView, WantedReplica, instance_of};
use crate::engine::{ContainerState, LABEL_REVISION, LABEL_SERVICE, ObservedContainer};
use crate::model::{ContainerId, Endpoint, EndpointId, RevisionNumber, ServiceName};

/// Instances that may take requests: their process runs. A paused one keeps its identity but answers nothing.
fn alive(view: &NodeView) -> (BTreeSet<EndpointId>, BTreeSet<EndpointId>) {
    let of = |states: &[ContainerState]| {
        let there = view.ours().filter(|c| states.contains(&c.state));
        there.filter_map(instance_of).collect::<BTreeSet<_>>()
    };
    let exists = of(&[ContainerState::Running, ContainerState::Paused, ContainerState::Restarting]);
    (of(&[ContainerState::Running]), exists)
}

/// Takes endpoints out of our balancer at once whose process does not run, and out of the store those whose container
/// ended or was started anew. Returns the replicas without the endpoints that go.
pub(super) fn withdraw_dead(draft: &mut Draft<'_>) -> Vec<WantedReplica> {
    let view = draft.view;
    let (running, exists) = alive(view);
    let withdraw = |endpoint: &Endpoint, plan: &mut super::draft::NodePlan| {
        let id = endpoint.id();
        if !running.contains(&id) && endpoint.state == crate::model::EndpointState::Ready {
            plan.withdraw.push(id.clone());
        }
        exists.contains(&id)
    };
    let mut delete = Vec::new();
    let mut kept = Vec::new();
    for wanted in view.replicas.values() {
        let stays = wanted.endpoint.as_ref().is_none_or(|e| withdraw(e, &mut draft.plan));
        let endpoint = wanted.endpoint.clone().filter(|_| stays);
        delete.extend(wanted.endpoint.as_ref().filter(|_| !stays));
        kept.push(WantedReplica { endpoint, ..wanted.clone() });
    }
    for stray in &view.stray_endpoints {
        withdraw(stray, &mut draft.plan);
        delete.push(stray);
    }
    draft.plan.endpoints.extend(
        delete
            .into_iter()
            .map(|e| EndpointWrite::Delete { service: e.service.clone(), replica: e.replica.clone() }),
    );
    kept
}

/// Removes containers of ours that no stored replica has: those that ended at once, those alive if the brake lets them.
pub(super) fn remove_orphans(draft: &mut Draft<'_>, sorted: &Sorted<'_>) {
    for dead in &sorted.dead_orphans {
        draft.act(AgentAction::Remove { container: dead.id.clone() });
    }
    let view = draft.view;
    let may_run =
        |c: &&ObservedContainer| !matches!(c.state, ContainerState::Exited { .. } | ContainerState::Dead);
    let owned = view.ours().filter(may_run).count();
    let ids: BTreeSet<ContainerId> = sorted.orphans.iter().map(|c| c.id.clone()).collect();
    let lets_go = view.memory.deletion_guard.lets_go(&ids, owned, draft.now.mono);
    let endpoints = if sorted.orphans.is_empty() { BTreeMap::new() } else { view.endpoints() };
    for orphan in &sorted.orphans {
        if !lets_go && !view.memory.deletion_guard.is_confirmed(&orphan.id) {
            draft.plan.held.push((orphan.id.clone(), orphan.name.clone()));
            continue;
        }
        draft.plan.released.push(orphan.id.clone());
        let registered = instance_of(orphan).is_some_and(|id| endpoints.contains_key(&id));
        retire(draft, orphan, registered, &leave(view, orphan));
    }
}

/// How an orphan is let go: as its revision says, if that is still stored.
fn leave(view: &NodeView, orphan: &ObservedContainer) -> Leave {
    let service = orphan.labels.get(LABEL_SERVICE).map(ServiceName::new);
    let number = orphan.labels.get(LABEL_REVISION).and_then(|text| text.parse().ok()).map(RevisionNumber);
    let revision = service.zip(number).and_then(|key| view.revisions.get(&key));
    revision.map_or_else(Leave::default, |r| Leave::as_in(&r.spec))
}
