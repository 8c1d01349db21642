//! The deletion guard: many running containers without a replica are a sign that our own state is missing. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ContainerId, DELETION_GUARD_WINDOW, Mono, deletion_allowed};

/// What the deletion guard remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::agent) struct DeletionGuard {
    /// Orphans that were stopped or removed, and when.
    released: BTreeMap<ContainerId, Mono>,
    /// Orphans whose removal the user confirmed.
    confirmed: BTreeSet<ContainerId>,
}

impl DeletionGuard {
    /// Whether the agent may remove these orphans: all of those not confirmed, or none. `owned` counts the running
    /// containers of ours, orphans included.
    pub(in crate::agent) fn allows(&self, orphans: &BTreeSet<ContainerId>, owned: usize, now: Mono) -> bool {
        let recent =
            |id: &ContainerId| self.released.get(id).is_some_and(|at| now.since(*at) < DELETION_GUARD_WINDOW);
        let gone = self.released.keys().filter(|id| recent(id) && !orphans.contains(*id)).count();
        let wanted = orphans.iter().filter(|id| !self.confirmed.contains(*id)).count();
        deletion_allowed(wanted + gone, owned + gone)
    }

    /// Whether the user confirmed the removal.
    pub(in crate::agent) fn is_confirmed(&self, id: &ContainerId) -> bool {
        self.confirmed.contains(id)
    }

    /// The user confirmed these removals.
    pub(in crate::agent) fn confirm(&mut self, ids: impl IntoIterator<Item = ContainerId>) {
        self.confirmed.extend(ids);
    }

    /// An orphan was asked to stop, or removed.
    pub(in crate::agent) fn release(&mut self, id: &ContainerId, now: Mono) {
        self.released.entry(id.clone()).or_insert(now);
    }

    /// Drops what the window has passed.
    pub(in crate::agent) fn forget(&mut self, existing: &BTreeSet<ContainerId>, now: Mono) {
        self.released.retain(|id, at| existing.contains(id) || now.since(*at) < DELETION_GUARD_WINDOW);
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
    fn guard_allows_three_or_thirty_per_cent() {
        let rows =
            [(3, 3, true), (4, 4, false), (4, 13, false), (4, 14, true), (30, 100, true), (31, 100, false)];
        for (orphans, owned, expected) in rows {
            assert_eq!(
                DeletionGuard::default().allows(&ids(0..orphans), owned, Mono(0)),
                expected,
                "{orphans} of {owned}"
            );
        }
    }

    #[test]
    fn guard_sums_the_removals_of_ten_minutes() {
        let mut guard = DeletionGuard::default();
        ids(0..3).iter().for_each(|id| guard.release(id, Mono(0)));
        assert!(guard.allows(&ids(0..3), 3, Mono(1)), "those being removed count once");
        assert!(!guard.allows(&ids(3..4), 1, Mono(599_999)));
        assert!(guard.allows(&ids(3..4), 1, Mono(600_000)));
        guard.forget(&ids(3..4), Mono(600_000));
        assert!(guard.allows(&ids(3..6), 3, Mono(1)), "forgotten");
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
