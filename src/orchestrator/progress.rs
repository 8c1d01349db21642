//! Whether a rollout makes progress, and when it is complete.

use super::census::{available, is_gone};
use super::pass::Pass;
use super::strategies::{self, Completion};
use super::{Blocker, deadline, revision};
use crate::model::{Cause, Desired, EventKind, EventReason, FailureReason, RevisionOutcome, RolloutState};

/// Records progress: more of the target than ever are available, or an old replica is gone.
pub(super) fn note(pass: &mut Pass<'_>) {
    let seen = available(&pass.census.current).min(pass.bounds.wanted);
    let seen = u32::try_from(seen).unwrap_or(u32::MAX);
    let (RolloutState::Progressing { most_available, .. } | RolloutState::RollingBack { most_available, .. }) =
        &mut pass.rollout.state
    else {
        return;
    };
    let more = seen > *most_available;
    *most_available = seen.max(*most_available);
    let replaced = |d: Desired| matches!(d, Desired::Remove { cause: Cause::Replaced | Cause::RolledBack });
    if more || pass.view.replicas.iter().any(|r| is_gone(r) && replaced(r.replica.desired)) {
        pass.restart_wait();
    }
}

/// Completes the rollout if its strategy calls it complete; otherwise reports what is missing.
pub(super) fn conclude(pass: &mut Pass<'_>) {
    let waits = match &pass.rollout.state {
        RolloutState::Progressing { .. } | RolloutState::RollingBack { .. } => deadline::is_running(pass),
        // A failed first creation says what it waits for; when it resumes, `recovery` decides.
        RolloutState::Failed { .. } => pass.rollout.stable.is_none(),
        RolloutState::Complete | RolloutState::RolledBack { .. } => false,
    };
    if !waits {
        return;
    }
    let left = deadline::probation(pass).filter(|left| left.0 > 0 && !pass.census.current.is_empty());
    let awaited = match strategies::of_pass(pass).completion(pass) {
        Completion::Complete if left.is_none() && pass.rollout.state.is_under_way() => {
            arrive(pass);
            return;
        }
        Completion::Complete => Vec::new(),
        Completion::Awaits(awaited) => awaited,
    };
    if let Some(left) = left
        && pass.is_all_there()
    {
        pass.changes.blockers.push(Blocker::OnProbation { left });
    }
    pass.changes.blockers.extend(awaited);
}

fn arrive(pass: &mut Pass<'_>) {
    let target = pass.rollout.target;
    let state = std::mem::replace(&mut pass.rollout.state, RolloutState::Complete);
    if let RolloutState::RollingBack { failure, .. } = state {
        let aborted = matches!(failure.reason, FailureReason::Aborted { .. });
        let how = failure.how_it_ended();
        let message = format!("back on revision {target} after revision {} {how}", failure.revision);
        if !aborted {
            pass.record(failure.revision, RevisionOutcome::RolledBack { failure: failure.clone() });
        }
        pass.enter(RolloutState::RolledBack { failure });
        pass.event(EventKind::Warning, EventReason::RolledBack, message);
    } else {
        pass.rollout.stable = Some(target);
        pass.record(target, RevisionOutcome::Complete);
        pass.enter(RolloutState::Complete);
        let message = format!("revision {target} runs with {} replicas", pass.bounds.wanted);
        pass.event(EventKind::Normal, EventReason::RolloutCompleted, message);
    }
}

/// A first release that was replaced while it was still watched completes once its replicas have served for `healthyFor` after
/// all: while they are replaced, or after a rollback to it.
pub(super) fn complete_first(pass: &mut Pass<'_>) {
    let Some(stable) = pass.rollout.stable else { return };
    let outcome = pass.view.outcomes.get(&stable).map(|record| &record.outcome);
    if matches!(outcome, Some(RevisionOutcome::Superseded { .. })) && revision::has_settled(pass.view, stable)
    {
        pass.record(stable, RevisionOutcome::Complete);
    }
}
