//! Time in a rollout: when it counts, when it is saved, and when to plan again.
//!
//! Time is stored as time already elapsed, so time in which no controller ran does not count. The view brings what has
//! elapsed since the last write.

use super::census::{is_gone, is_portless};
use super::pass::{Pass, SAVE_WAIT_EVERY};
use super::pause;
use crate::model::{Millis, ReplicaPhase, RolloutState};

/// Whether the rollout is under way and not paused by the user: the time that passes counts.
pub(super) fn is_running(pass: &Pass<'_>) -> bool {
    pass.rollout.state.is_under_way() && pause::in_force(pass.view, &pass.rollout).is_none()
}

/// Sets whether the clock runs, and when the plan can change without a write to the store.
pub(super) fn set_alarm(pass: &mut Pass<'_>) {
    let under_way = pass.rollout.state.is_under_way();
    pass.changes.clock_runs = is_running(pass) && !is_pulling(pass) && !waits_for_stop(pass);
    let mut alarms: Vec<Millis> = Vec::new();
    if pass.changes.clock_runs {
        let deadline = pass.view.service.spec.rollout.deadline;
        alarms.push(Millis(deadline.0.saturating_sub(pass.waited().0)));
        // What is saved by this very pass leaves the whole time until the next.
        let unsaved = Some(pass.unsaved().0).filter(|unsaved| *unsaved < SAVE_WAIT_EVERY.0);
        alarms.push(Millis(SAVE_WAIT_EVERY.0 - unsaved.unwrap_or(0)));
        alarms.extend(probation(pass));
    }
    let healthy_for = pass.view.service.spec.rollout.healthy_for;
    let awaited = under_way || matches!(pass.rollout.state, RolloutState::Failed { .. });
    for replica in pass.view.replicas.iter().filter(|r| r.replica.runs() && !is_gone(r)) {
        let Some(served) = replica.serving_for.filter(|served| *served < healthy_for) else { continue };
        if awaited || is_portless(pass.view, replica) {
            alarms.push(Millis(healthy_for.0 - served.0));
        }
    }
    pass.changes.wake_after = alarms.into_iter().filter(|a| a.0 > 0).min();
}

/// The time spent pulling an image counts apart.
fn is_pulling(pass: &Pass<'_>) -> bool {
    let mut current = pass.census.current.iter().filter_map(|s| s.view.status.as_ref());
    current.any(|status| status.phase == ReplicaPhase::Pulling)
}

/// The time in which the next replica waits for an earlier one to drain and stop counts apart: how long that takes, the
/// service itself has asked for in `drain` and `stop.grace`.
fn waits_for_stop(pass: &Pass<'_>) -> bool {
    pass.bounds.held > 0 && pass.census.running() < pass.bounds.wanted
}

/// Where the target is the stable revision with another health check, its replicas are the same containers and were
/// ready all along: only time shows whether the changed check holds. What is left of that time since the last progress:
/// as long as the check takes to call a replica unready, at least `healthyFor`; bounded by half the deadline, so that
/// waiting for it never fails a rollout.
pub(super) fn probation(pass: &Pass<'_>) -> Option<Millis> {
    let stable = pass.view.revisions.get(&pass.rollout.stable?)?;
    let health = &pass.target.spec.health;
    if stable.number == pass.target.number
        || stable.spec.health == *health
        || !stable.same_template(pass.target)
    {
        return None;
    }
    let policy = &pass.view.service.spec.rollout;
    let to_tell = u64::from(health.unhealthy_after).saturating_mul(health.interval.0);
    let to_tell = to_tell.saturating_add(health.timeout.0).min(policy.deadline.0 / 2);
    Some(Millis(to_tell.max(policy.healthy_for.0).saturating_sub(pass.waited().0)))
}
