//! A user's request to pause or abort a rollout.
//!
//! Level-triggered: every pass reads the request, and it has an effect only while there is a rollout to pause or abort. A
//! paused service is kept at its count; nothing is replaced, and no deadline runs. An abort is a rollback like any other,
//! so it never stops serving replicas of the stable revision.

use super::pass::Pass;
use super::pause;
use super::rollback::go_back;
use crate::model::{
    EventKind, EventReason, FailureReason, InterventionKind, RevisionOutcome, RolloutFailure,
    RolloutIntervention, RolloutState,
};

/// Carries out the user's request, and writes an event when a pause begins or ends.
pub(super) fn apply(pass: &mut Pass<'_>) {
    let view = pass.view;
    let requested = view.service.intervention.as_ref();
    if let Some(request) = requested.filter(|request| request.kind == InterventionKind::Abort) {
        abort(pass, request);
    }
    match (pause::in_force(view, &pass.rollout), pass.rollout.paused) {
        (Some(intervention), false) => {
            let message =
                format!("revision {} is paused by {}", pass.rollout.target, intervention.by.summary());
            pass.rollout.paused = true;
            pass.event(EventKind::Normal, EventReason::RolloutPaused, message);
        }
        (None, true) => {
            pass.rollout.paused = false;
            if matches!(pass.rollout.state, RolloutState::Progressing { .. }) {
                // A resumed rollout has its whole deadline before it.
                pass.restart_wait();
                let message = format!("revision {} is resumed", pass.rollout.target);
                pass.event(EventKind::Normal, EventReason::RolloutResumed, message);
            }
        }
        (Some(_), true) | (None, false) => {}
    }
}

/// Goes back to the stable revision, from a rollout that is under way or failed without a rollback.
fn abort(pass: &mut Pass<'_>, intervention: &RolloutIntervention) {
    let target = pass.rollout.target;
    let failure = match &pass.rollout.state {
        RolloutState::Progressing { .. } => {
            let reason = FailureReason::Aborted { by: intervention.by.clone() };
            RolloutFailure { revision: target, reason, at: pass.now.wall }
        }
        RolloutState::Failed { failure, .. } => failure.clone(),
        RolloutState::RollingBack { .. } | RolloutState::RolledBack { .. } | RolloutState::Complete => return,
    };
    let stable = pass.rollout.stable.filter(|stable| *stable != target);
    let Some(stable) = stable.and_then(|number| pass.view.revisions.get(&number)) else { return };
    if matches!(failure.reason, FailureReason::Aborted { .. }) {
        pass.record(target, RevisionOutcome::Aborted { failure: failure.clone() });
    }
    let message = format!("revision {target} is aborted by {}", intervention.by.summary());
    pass.event(EventKind::Warning, EventReason::RolloutAborted, message);
    go_back(pass, stable, failure);
}
