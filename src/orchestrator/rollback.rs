//! What a passed deadline means: back to the last revision that completed, or a pause.
//!
//! Going back is a rollout like any other, with `stable` as its target: what still runs of it counts again and is never
//! stopped, what is missing is made anew, and the failed revision's replicas are the old ones. It is undone by nothing:
//! when it fails too, the rollout pauses. Spec and count stay the user's.

use super::census::available;
use super::deadline::is_running;
use super::observation::observation;
use super::pass::Pass;
use crate::model::{
    EventKind, Failure, FailureReason, Millis, OnFailure, Revision, RevisionOutcome, RolloutState,
};

/// Fails a rollout that made no progress for its deadline.
pub(super) fn fail_past_deadline(pass: &mut Pass<'_>) {
    let deadline = pass.view.service.spec.rollout.deadline;
    if !is_running(pass) || pass.waited() < deadline || has_arrived(pass) {
        return;
    }
    let failed = pass.rollout.target;
    let failure = failure(pass, deadline);
    let message = failure_message(&failure);
    let first = matches!(pass.rollout.state, RolloutState::Progressing { .. });
    let may_go_back = first && pass.view.service.spec.rollout.on_failure == OnFailure::Rollback;
    // What is gone back to has completed once, and that remains so.
    if first {
        pass.record(failed, RevisionOutcome::Failed { failure: failure.clone() });
    }
    let stable = pass.rollout.stable.filter(|s| may_go_back && *s != failed);
    pass.event(EventKind::Warning, "RolloutFailed", message);
    let Some(stable) = stable.and_then(|s| pass.view.revisions.get(&s)) else {
        pass.enter(RolloutState::Failed { failure });
        return;
    };
    go_back(pass, stable, failure);
}

/// Turns back to the stable revision.
pub(super) fn go_back<'a>(pass: &mut Pass<'a>, stable: &'a Revision, failure: Failure) {
    pass.aim_at(stable);
    let best = u32::try_from(available(&pass.census.current)).unwrap_or(u32::MAX);
    pass.enter(RolloutState::RollingBack { failure, waited: Millis(0), best });
    pass.event(EventKind::Warning, "RollingBack", format!("back to revision {}", stable.number));
}

/// A rollout that needs no more than this pass to end has not failed, however long it took.
fn has_arrived(pass: &Pass<'_>) -> bool {
    let census = &pass.census;
    census.current.len() == pass.bounds.wanted
        && census.running() == pass.bounds.wanted
        && census.current.iter().all(|s| pass.is_relied_on(s))
}

/// The failure of the target, with a line for each of its replicas that is not available; where all of them are, for
/// every other one that is not.
fn failure(pass: &Pass<'_>, deadline: Millis) -> Failure {
    let of_target = pass.census.current.iter().filter(|s| !s.available);
    let mut observed: Vec<String> = of_target.map(|s| observation(s.is)).collect();
    if observed.is_empty() {
        let others = pass.census.old.iter().filter(|s| !s.available);
        observed.extend(others.map(|s| observation(s.is)));
    }
    let reason = FailureReason::DeadlineExceeded { deadline, observed };
    Failure { revision: pass.rollout.target, reason, at: pass.now.wall }
}

fn failure_message(failure: &Failure) -> String {
    let FailureReason::DeadlineExceeded { deadline, observed } = &failure.reason else {
        return String::new(); // an abort is told by `halt`
    };
    let what = format!("revision {} made no progress for {deadline}", failure.revision);
    match observed.first() {
        Some(first) => format!("{what}: {first}"),
        None => what,
    }
}
