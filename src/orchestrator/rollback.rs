//! What happens when a rollout fails: a rollback to the last revision that completed, or a pause.
//!
//! Going back is a rollout like any other, with `stable` as its target: what still runs of it counts again and is never
//! stopped, missing replicas are started, and the failed revision's replicas are the old ones. A rollback
//! that fails too is not rolled back: the rollout pauses, and resumes if its target recovers ([`super::recovery`]). Spec
//! and count stay as the user wrote them.

use super::census::available;
use super::deadline::is_running;
use super::observation::observation;
use super::pass::Pass;
use super::strategies::{self, Completion};
use super::verdict;
use crate::model::{
    EventKind, EventReason, FailureReason, Millis, OnFailure, Revision, RevisionOutcome, RolloutFailure,
    RolloutState,
};

/// Fails a rollout whose target cannot get healthy, or that made no progress for its deadline.
pub(super) fn fail_if_hopeless(pass: &mut Pass<'_>) {
    // A rollout that this pass completes has not failed, however long it took.
    if !is_running(pass) || strategies::of_pass(pass).completion(pass) == Completion::Complete {
        return;
    }
    let deadline = pass.view.service.spec.rollout.deadline;
    let reason = match verdict::hopeless(pass) {
        Some(case) => FailureReason::Replica(case),
        None if pass.waited() >= deadline => too_late(pass, deadline),
        None => return,
    };
    let failed = pass.rollout.target;
    let failure = RolloutFailure { revision: failed, reason, at: pass.now.wall };
    let message = failure.to_string();
    let first = matches!(pass.rollout.state, RolloutState::Progressing { .. });
    let may_go_back = first && pass.view.service.spec.rollout.on_failure == OnFailure::Rollback;
    // The revision that a rollback returns to has completed once, and keeps that outcome.
    if first {
        pass.record(failed, RevisionOutcome::Failed { failure: failure.clone() });
    }
    let stable = pass.rollout.stable.filter(|s| may_go_back && *s != failed);
    pass.event(EventKind::Warning, EventReason::RolloutFailed, message);
    let Some(stable) = stable.and_then(|s| pass.view.revisions.get(&s)) else {
        let back_from = pass.rollout.state.back_from().cloned();
        pass.enter(RolloutState::Failed { failure, back_from });
        return;
    };
    go_back(pass, stable, failure);
}

/// Starts the rollback to the stable revision.
pub(super) fn go_back<'a>(pass: &mut Pass<'a>, stable: &'a Revision, failure: RolloutFailure) {
    pass.aim_at(stable, strategies::of(pass.view, stable).bounds(pass.view, stable));
    let most_available = u32::try_from(available(&pass.census.current)).unwrap_or(u32::MAX);
    pass.enter(RolloutState::RollingBack { failure, waited: Millis(0), most_available });
    pass.event(EventKind::Warning, EventReason::RollingBack, format!("back to revision {}", stable.number));
}

/// The first diagnosis of the target; where there is none, a line for each replica of the target that is not
/// available; where all of them are, for every other one that is not.
fn too_late(pass: &Pass<'_>, deadline: Millis) -> FailureReason {
    if let Some(case) = verdict::at_deadline(pass, deadline) {
        return FailureReason::Replica(case);
    }
    let of_target = pass.census.current.iter().filter(|s| !s.available);
    let mut observed: Vec<String> = of_target.map(|s| observation(s.view)).collect();
    if observed.is_empty() {
        let others = pass.census.old.iter().filter(|s| !s.available);
        observed.extend(others.map(|s| observation(s.view)));
    }
    FailureReason::DeadlineExceeded { deadline, observed }
}
