//! Keeps the replica count of a failed or paused rollout: replaces no replica, recreates missing ones.

use super::bounds::Bounds;
use super::moves::Move;
use super::pass::Pass;
use super::{Blocker, pause, strategies};
use crate::model::{Revision, RolloutState};

/// Keeps the count where the rollout is halted, and says whether that took a move; `None` where the rollout proceeds.
pub(super) fn maintain_count_without_rollout(pass: &mut Pass<'_>) -> Option<bool> {
    if let RolloutState::Failed { failure, .. } = &pass.rollout.state {
        let revision = failure.revision;
        pass.changes.blockers.push(Blocker::Paused { revision });
        let missing = missing_of_failed(pass);
        return Some(missing.is_some_and(|start| pass.take(start)));
    }
    if pause::in_force(pass.view, &pass.rollout).is_some() {
        pass.changes.blockers.push(Blocker::PausedByUser { revision: pass.rollout.target });
        let missing = missing_of_paused(pass);
        return Some(missing.is_some_and(|start| pass.take(start)));
    }
    None
}

/// Replicas of the failed revision count only while they serve, or may. Where the stable revision has the same template they
/// all count: another container would be no different.
fn missing_of_failed<'a>(pass: &Pass<'a>) -> Option<Move<'a>> {
    let census = &pass.census;
    let made = revision_of_missing(pass);
    let counted = if made.same_template(pass.target) {
        census.running()
    } else {
        let target = census.current.iter().chain(&census.matching);
        target.filter(|s| s.may_serve).count() + census.old.len()
    };
    start(pass, made, pass.bounds.wanted.saturating_sub(counted))
}

fn missing_of_paused<'a>(pass: &Pass<'a>) -> Option<Move<'a>> {
    let missing = pass.bounds.wanted.saturating_sub(pass.census.running());
    start(pass, revision_of_missing(pass), missing)
}

/// New replicas are of the stable revision, which is known to run; at a first creation, of the target.
fn revision_of_missing<'a>(pass: &Pass<'a>) -> &'a Revision {
    let stable = pass.rollout.stable.and_then(|stable| pass.view.revisions.get(&stable));
    stable.unwrap_or(pass.target)
}

/// Starts replicas within the bounds of their revision, which may not be the target.
fn start<'a>(pass: &Pass<'a>, revision: &'a Revision, missing: usize) -> Option<Move<'a>> {
    pass.start(revision, missing, bounds_of_missing(pass, revision))
}

fn bounds_of_missing(pass: &Pass<'_>, revision: &Revision) -> Bounds {
    strategies::of(pass.view, revision).bounds(pass.view, revision)
}

/// The most replicas that may run now. A halted rollout keeps the count within the bounds of the revision that it starts
/// replicas of, and a replica that one pass has started must be no surplus to the next.
pub(super) fn ceiling(pass: &Pass<'_>) -> usize {
    let ceiling = pass.bounds.ceiling;
    if is_halted(pass) {
        ceiling.max(bounds_of_missing(pass, revision_of_missing(pass)).ceiling)
    } else {
        ceiling
    }
}

fn is_halted(pass: &Pass<'_>) -> bool {
    matches!(pass.rollout.state, RolloutState::Failed { .. })
        || pause::in_force(pass.view, &pass.rollout).is_some()
}
