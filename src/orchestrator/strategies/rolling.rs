//! The rolling strategy: replica by replica, within the bounds.
//!
//! Old and new are counted, never paired. With 3 wanted, surge 1 and none allowed to be missing: 3 old run; a new one is
//! started (4 run); when it has served for `healthyFor`, 4 can be relied on, so one old may go (3 run); and again.

use super::replacement::{remove_old, start_missing};
use crate::orchestrator::moves::Move;
use crate::orchestrator::pass::Pass;

/// Starts a replica where there is room above the count, else removes an old one that is not needed any more.
pub(super) fn next_move<'a>(pass: &Pass<'a>) -> Option<Move<'a>> {
    start_missing(pass).or_else(|| remove_old(pass))
}
