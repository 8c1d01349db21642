//! Collects in the rollout which requests were cut in containers that were stopped: a status goes with its replica. Pure.

use super::{Changes, ServiceView};
use crate::model::{CutRequests, Rollout};

/// Adds what the replicas report. A write that comes while nothing is under way begins another operation; one that comes during
/// an operation belongs to it.
pub(super) fn note(view: &ServiceView, rollout: &mut Rollout) {
    let is_another = |before: &Rollout| {
        before.observed_generation != rollout.observed_generation && !before.state.is_under_way()
    };
    if view.rollout.as_ref().is_some_and(is_another) {
        rollout.cut.begin_operation(|name| view.replicas.iter().any(|r| r.replica.name == *name));
    }
    for cut in reported(view) {
        rollout.cut.add(rollout.observed_generation, cut);
    }
}

/// The same for a service that is being deleted, whose rollout does not change otherwise. Returns what the deletion has cut.
pub(super) fn note_deletion(view: &ServiceView, changes: &mut Changes) -> Vec<CutRequests> {
    let Some(before) = &view.rollout else { return Vec::new() };
    let generation = view.service.metadata.generation;
    let mut rollout = before.clone();
    for cut in reported(view) {
        rollout.cut.add(generation, cut);
    }
    let cut = rollout.cut.since(generation).cloned().collect();
    changes.rollout = (rollout != *before).then_some(rollout);
    cut
}

fn reported(view: &ServiceView) -> impl Iterator<Item = &CutRequests> {
    view.replicas.iter().filter_map(|replica| replica.status.as_ref()?.cut.as_ref())
}
