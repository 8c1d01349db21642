//! The user's word against a rollout: a pause that it stands still for, an abort that it goes back for.
//!
//! Level-triggered: the word is looked at in every pass and means something only while there is a rollout to halt. A
//! paused service is kept at its count; nothing is replaced, and no deadline runs. An abort is a rollback like any other,
//! so it never stops what serves of the stable revision.

use super::ServiceView;
use super::pass::Pass;
use super::rollback::go_back;
use crate::model::{
    EventKind, EventReason, FailureReason, InterventionKind, RevisionOutcome, Rollout, RolloutFailure,
    RolloutIntervention, RolloutState,
};

/// The pause that is in force. One that is left over from a rollout that ended means nothing.
pub(super) fn pause<'a>(view: &'a ServiceView, rollout: &Rollout) -> Option<&'a RolloutIntervention> {
    let under_way = matches!(rollout.state, RolloutState::Progressing { .. });
    view.service
        .intervention
        .as_ref()
        .filter(|intervention| under_way && intervention.kind == InterventionKind::Pause)
}

/// Does what the user's word says, and tells when a pause begins or ends.
pub(super) fn obey(pass: &mut Pass<'_>) {
    let view = pass.view;
    if let Some(intervention) =
        view.service.intervention.as_ref().filter(|intervention| intervention.kind == InterventionKind::Abort)
    {
        abort(pass, intervention);
    }
    match (pause(view, &pass.rollout), pass.rollout.paused) {
        (Some(intervention), false) => {
            let message = format!("revision {} is paused by {}", pass.rollout.target, intervention.by.told());
            pass.rollout.paused = true;
            pass.event(EventKind::Normal, EventReason::RolloutPaused, message);
        }
        (None, true) => {
            pass.rollout.paused = false;
            if matches!(pass.rollout.state, RolloutState::Progressing { .. }) {
                // The user says that it gets on from here: it has its whole deadline for that.
                pass.restart_wait();
                let message = format!("revision {} goes on", pass.rollout.target);
                pass.event(EventKind::Normal, EventReason::RolloutResumed, message);
            }
        }
        (Some(_), true) | (None, false) => {}
    }
}

/// Back to the stable revision, out of a rollout that is under way or stands still because it failed.
fn abort(pass: &mut Pass<'_>, intervention: &RolloutIntervention) {
    let target = pass.rollout.target;
    let failure = match &pass.rollout.state {
        RolloutState::Progressing { .. } => {
            let reason = FailureReason::Aborted { by: intervention.by.clone() };
            RolloutFailure { revision: target, reason, at: pass.now.wall }
        }
        RolloutState::Failed { failure } => failure.clone(),
        RolloutState::RollingBack { .. } | RolloutState::RolledBack { .. } | RolloutState::Complete => return,
    };
    let stable = pass.rollout.stable.filter(|stable| *stable != target);
    let Some(stable) = stable.and_then(|number| pass.view.revisions.get(&number)) else { return };
    if matches!(failure.reason, FailureReason::Aborted { .. }) {
        pass.record(target, RevisionOutcome::Aborted { failure: failure.clone() });
    }
    let message = format!("revision {target} is aborted by {}", intervention.by.told());
    pass.event(EventKind::Warning, EventReason::RolloutAborted, message);
    go_back(pass, stable, failure);
}
