//! The deletion guard: many running containers without a replica are a sign that our own state is missing. Pure.

use std::collections::BTreeSet;

use crate::model::{ContainerId, Mono, RecentDeletions};

/// What the deletion guard remembers.
#[derive(Debug, Clone, Default)]
pub(in crate::agent) struct DeletionGuard {
    /// Orphans that were stopped or removed.
    recent: RecentDeletions<ContainerId>,
    /// Orphans whose removal the user confirmed.
    confirmed: BTreeSet<ContainerId>,
}

impl DeletionGuard {
    /// Whether the agent may remove these orphans: all of those not confirmed, or none. `owned` counts the running
    /// containers of ours, orphans included.
    pub(in crate::agent) fn allows(&self, orphans: &BTreeSet<ContainerId>, owned: usize, now: Mono) -> bool {
        let wanted = orphans.difference(&self.confirmed).count();
        self.recent.allows(wanted, owned, |id| orphans.contains(id), now)
    }

    /// Whether the user confirmed the removal.
    pub(in crate::agent) fn is_confirmed(&self, id: &ContainerId) -> bool {
        self.confirmed.contains(id)
    }

    /// The user confirmed these removals.
    pub(in crate::agent) fn confirm(&mut self, ids: impl IntoIterator<Item = ContainerId>) {
        self.confirmed.extend(ids);
    }

    /// Orphans were asked to stop, or removed.
    pub(in crate::agent) fn release(&mut self, ids: &[ContainerId], now: Mono) {
        self.recent.record(ids, now);
    }

    /// Drops what the window has passed.
    pub(in crate::agent) fn forget(&mut self, existing: &BTreeSet<ContainerId>, now: Mono) {
        self.recent.forget(|id| existing.contains(id), now);
        self.confirmed.retain(|id| existing.contains(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(range: std::ops::Range<u32>) -> BTreeSet<ContainerId> {
        range.map(|n| ContainerId::new(format!("c{n}"))).collect()
    }

    #[test]
    fn guard_counts_orphans_that_are_being_removed_once() {
        let mut guard = DeletionGuard::default();
        guard.release(&ids(0..3).into_iter().collect::<Vec<_>>(), Mono(0));
        assert!(guard.allows(&ids(0..3), 3, Mono(1)));
        assert!(!guard.allows(&ids(3..4), 1, Mono(1)));
    }

    #[test]
    fn guard_does_not_count_confirmed_orphans() {
        let mut guard = DeletionGuard::default();
        assert!(!guard.allows(&ids(0..9), 9, Mono(0)));
        guard.confirm(ids(0..9));
        assert!(guard.allows(&ids(0..9), 9, Mono(0)));
        assert!(guard.allows(&ids(0..12), 12, Mono(0)));
        assert!(!guard.allows(&ids(0..13), 12, Mono(0)), "four more are not confirmed");
    }
}
