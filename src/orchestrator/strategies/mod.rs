//! How the replicas of one revision take the place of another's: one file per strategy.
//!
//! A strategy decides its bounds, its next move, when its rollout is complete, and how requests are shared until then
//! ([`RolloutStrategy`]). Surplus, pause, failure, rollback, adoption, deadlines and invariants are common to all strategies
//! and keep to those bounds.

#[cfg(test)]
mod blue_green;
mod replacement;
mod rolling;
mod rollout_strategy;
mod stop_first;

use super::ServiceView;
use super::pass::Pass;
use crate::model::{Revision, Strategy};
pub(super) use rollout_strategy::{Completion, RolloutStrategy};

/// The strategy by which replicas of `made` are started. Policy and count are the Service's; whether the old replicas must
/// be gone first depends on `made` and on the replicas that exist.
pub(super) fn of(view: &ServiceView, made: &Revision) -> &'static dyn RolloutStrategy {
    match view.service.spec.rollout.strategy {
        Strategy::Rolling if stop_first::is_needed(view, made) => &stop_first::StopFirst,
        Strategy::Rolling => &rolling::Rolling,
        #[cfg(test)]
        Strategy::BlueGreen => &blue_green::BlueGreen,
    }
}

/// The strategy of the pass: the one that leads to its target.
pub(super) fn of_pass(pass: &Pass<'_>) -> &'static dyn RolloutStrategy {
    of(pass.view, pass.target)
}

/// Writes how requests are shared between the revisions, where that is not what is stored.
pub(super) fn share_traffic(pass: &mut Pass<'_>) {
    let wanted = of_pass(pass).traffic(pass);
    if pass.view.traffic.as_ref() != Some(&wanted) {
        pass.changes.traffic = Some(wanted);
    }
}
