//! How the replicas of one revision take the place of another's: one file per strategy.
//!
//! A strategy is a function from the pass to the next move. Surplus, pause, failure, rollback, adoption, deadlines and
//! invariants are common to all strategies and decided outside.

mod replacement;
mod rolling;
mod stop_first;

use super::exclusive_volumes;
use super::moves::Move;
use super::pass::Pass;
use crate::model::{Strategy, Traffic};

/// The next move of the service's strategy; `None` where it waits or has nothing left to do.
pub(super) fn next_move<'a>(pass: &Pass<'a>) -> Option<Move<'a>> {
    match pass.view.service.spec.rollout.strategy {
        Strategy::Rolling if exclusive_volumes::any_is_waited_for(pass.view, pass.target) => {
            stop_first::next_move(pass)
        }
        Strategy::Rolling => rolling::next_move(pass),
    }
}

/// Writes how requests are shared between the revisions, where that is not what is stored.
pub(super) fn share_traffic(pass: &mut Pass<'_>) {
    let wanted = match pass.view.service.spec.rollout.strategy {
        // All ready endpoints count alike, old and new.
        Strategy::Rolling => Traffic::even(pass.view.service.name().clone()),
    };
    if pass.view.traffic.as_ref() != Some(&wanted) {
        pass.changes.traffic = Some(wanted);
    }
}
