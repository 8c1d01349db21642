//! The measure of the deletion brake: how much may go at once before it looks like a mistake.

use super::Millis;

/// So many may always go.
const ALWAYS: usize = 3;
/// Beyond that, so many per cent of all there are.
const PERCENT: usize = 30;
/// Removals within this time are summed.
pub const DELETION_GUARD_WINDOW: Millis = Millis::secs(600);

/// Whether so many of `all` may go within [`DELETION_GUARD_WINDOW`].
pub fn deletion_allowed(count: usize, all: usize) -> bool {
    count <= ALWAYS.max(all * PERCENT / 100)
}
