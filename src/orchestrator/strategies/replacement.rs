//! Replacement one by one: start what is missing of the target, remove old replicas, until only the target runs.

use super::rollout_strategy::Completion;
use crate::model::{Cause, Millis, RolloutState};
use crate::orchestrator::Blocker;
use crate::orchestrator::census::ClassifiedReplica;
use crate::orchestrator::moves::Move;
use crate::orchestrator::observation::observed_state;
use crate::orchestrator::pass::Pass;

/// Starts replicas of the target where there is room, else removes old ones that are not needed any more.
pub(super) fn next_move<'a>(pass: &Pass<'a>) -> Option<Move<'a>> {
    start_missing(pass).or_else(|| remove_old(pass))
}

/// Complete where the target is all that runs and all of it can be relied on.
pub(super) fn completion(pass: &Pass<'_>) -> Completion {
    let awaited: Vec<Blocker> = pass.census.current.iter().filter_map(|seen| awaited(pass, seen)).collect();
    if pass.is_all_there() && awaited.is_empty() { Completion::Complete } else { Completion::Awaits(awaited) }
}

fn awaited(pass: &Pass<'_>, seen: &ClassifiedReplica<'_>) -> Option<Blocker> {
    let replica = seen.view.replica.name.clone();
    if !seen.available {
        return Some(Blocker::NotAvailable { replica, observed: observed_state(seen.view) });
    }
    let served = seen.view.serving_for.unwrap_or_default();
    let left = Millis(pass.view.service.spec.rollout.healthy_for.0.saturating_sub(served.0));
    (!pass.is_relied_on(seen)).then_some(Blocker::NotSettled { replica, left })
}

/// Starts as many of the target as are missing and the ceiling allows: all of them at a first creation.
pub(super) fn start_missing<'a>(pass: &Pass<'a>) -> Option<Move<'a>> {
    let there = pass.census.current.len() + pass.census.matching.len();
    pass.start(pass.target, pass.bounds.wanted.saturating_sub(there), pass.bounds)
}

/// Removes old replicas: first those that serve nothing, then as many as those that can be relied on leave spare.
fn remove_old<'a>(pass: &Pass<'a>) -> Option<Move<'a>> {
    let replicas = removable(pass);
    let cause = pass.rollout.state.back_from().map_or(Cause::Replaced, |_| Cause::RolledBack);
    (!replicas.is_empty()).then_some(Move::Remove { replicas, cause })
}

fn removable<'a>(pass: &Pass<'a>) -> Vec<ClassifiedReplica<'a>> {
    let census = &pass.census;
    let bounds = pass.bounds;
    let mut old = census.old.clone();
    old.sort_by_key(|s| s.view.replica.slot);
    let (serving, others): (Vec<_>, Vec<_>) = old.into_iter().partition(|s| s.available);
    let target = census.current.iter().chain(&census.matching);
    let relied_on = target.filter(|s| pass.is_relied_on(s)).count();
    // A replica that may serve is spared until the others that surely do are enough.
    let enough = relied_on + serving.len() >= bounds.wanted;
    let idle: Vec<_> = others.into_iter().filter(|s| !s.may_serve || enough).collect();
    let idle_spare = if may_drop_idle(pass) {
        idle.len()
    } else {
        // An old replica may be idle for a moment only, and the new ones are unproven: keep as many as must serve. With
        // 3 wanted, 3 idle old and 1 new that starts: 4 - 3 - 1 = none may go until the new one serves.
        let unproven = census.current.len() + census.matching.len() - relied_on;
        census.running().saturating_sub(bounds.floor + unproven)
    };
    if !idle.is_empty() && idle_spare > 0 {
        return idle.into_iter().take(idle_spare).collect();
    }
    let spare = (serving.len() + relied_on).saturating_sub(bounds.floor);
    serving.into_iter().take(spare).collect()
}

/// Whether old replicas that serve nothing may all go at once: nothing of the service ever ran, or they are what
/// failed.
fn may_drop_idle(pass: &Pass<'_>) -> bool {
    pass.rollout.stable.is_none() || matches!(pass.rollout.state, RolloutState::RollingBack { .. })
}
