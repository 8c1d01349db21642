//! The deletion guard: how many removals at once look like a mistake. Pure.

use super::Millis;

/// Removals that are always allowed.
const ALWAYS: usize = 3;
/// Beyond that, this percentage of all.
const PERCENT: usize = 30;
/// Removals within this time are summed.
pub const DELETION_GUARD_WINDOW: Millis = Millis::secs(600);

/// Whether `count` removals of `all` are allowed within [`DELETION_GUARD_WINDOW`].
pub fn deletion_allowed(count: usize, all: usize) -> bool {
    count <= ALWAYS.max(all * PERCENT / 100)
}
