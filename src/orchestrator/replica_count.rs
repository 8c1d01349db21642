//! Keeps the replica count of a failed or paused rollout: replaces no replica, recreates missing ones.

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

/// New replicas are of the stable revision, which is known to run; replicas of the failed one count only while they serve,
/// or may.
fn missing_of_failed<'a>(pass: &Pass<'a>) -> Option<Move<'a>> {
    let census = &pass.census;
    let stable = pass.rollout.stable.filter(|stable| *stable != pass.target.number);
    let target = census.current.iter().chain(&census.matching);
    let (revision, counted) = match stable.and_then(|stable| pass.view.revisions.get(&stable)) {
        Some(stable) => (stable, target.filter(|s| s.may_serve).count() + census.old.len()),
        None => (pass.target, census.running()),
    };
    start(pass, revision, pass.bounds.wanted.saturating_sub(counted))
}

/// New replicas are of the stable revision, which is known to run; at a first creation, of the target.
fn missing_of_paused<'a>(pass: &Pass<'a>) -> Option<Move<'a>> {
    let missing = pass.bounds.wanted.saturating_sub(pass.census.running());
    let stable = pass.rollout.stable.and_then(|stable| pass.view.revisions.get(&stable));
    start(pass, stable.unwrap_or(pass.target), missing)
}

/// Starts replicas within the bounds of their revision, which may not be the target.
fn start<'a>(pass: &Pass<'a>, revision: &'a Revision, missing: usize) -> Option<Move<'a>> {
    let bounds = strategies::of(pass.view, revision).bounds(pass.view, revision);
    pass.start(revision, missing, bounds)
}
