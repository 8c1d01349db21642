//! A failed rollout whose target serves after all resumes: a dependency came back, or the deadline was too short.
//!
//! It has to have served for `healthyFor`, so that a service that flaps does not fail and recover in turns. Until then
//! nothing is replaced ([`super::replica_count`]).

use super::pass::Pass;
use crate::model::{EventKind, EventReason, Millis, RolloutState};

/// Resumes a failed rollout, forward or back, once all replicas that are wanted are of its target and have served for
/// `healthyFor`.
pub(super) fn resume_if_recovered(pass: &mut Pass<'_>) {
    let RolloutState::Failed { back_from, .. } = &pass.rollout.state else { return };
    let settled = pass.census.current.iter().filter(|seen| seen.available && seen.settled).count();
    // A service that was scaled to nothing proves nothing.
    if settled == 0 || settled < pass.bounds.wanted {
        return;
    }
    let waited = Millis(0);
    let most_available = u32::try_from(settled).unwrap_or(u32::MAX);
    let state = match back_from.clone() {
        Some(failure) => RolloutState::RollingBack { failure, waited, most_available },
        None => RolloutState::Progressing { waited, most_available },
    };
    pass.enter(state);
    let message = format!("revision {} serves after all", pass.rollout.target);
    pass.event(EventKind::Normal, EventReason::RolloutRecovered, message);
}
