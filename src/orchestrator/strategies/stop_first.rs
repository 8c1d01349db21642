//! Stop-first: an old replica is gone before the one that takes its place is started, for volumes that bear one writer.
//!
//! The bounds have no surge, let at least one replica be missing, and count a replica until it is gone. With 1 wanted: the
//! old one is removed, holds its place while it drains and stops, then the new one is started.

use super::replacement::{remove_old, start_missing};
use crate::orchestrator::moves::Move;
use crate::orchestrator::pass::Pass;

/// Fills the places that are free, else frees as many as may be missing.
pub(super) fn next_move<'a>(pass: &Pass<'a>) -> Option<Move<'a>> {
    start_missing(pass).or_else(|| remove_old(pass))
}
