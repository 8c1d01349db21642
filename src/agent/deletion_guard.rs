//! The deletion brake: many running containers without a replica are a sign that our own state is missing. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ContainerId, DELETION_GUARD_WINDOW, Mono, deletion_allowed};

/// What the brake remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeletionGuard {
    /// Orphans let go, and when.
    released: BTreeMap<ContainerId, Mono>,
    /// Orphans whose removal the user confirmed.
    confirmed: BTreeSet<ContainerId>,
}

impl DeletionGuard {
    /// Whether these orphans may go: all of those not confirmed, or none of them. `owned` counts the running
    /// containers of ours, orphans included.
    pub(super) fn lets_go(&self, orphans: &BTreeSet<ContainerId>, owned: usize, now: Mono) -> bool {
        let recent =
            |id: &ContainerId| self.released.get(id).is_some_and(|at| now.since(*at) < DELETION_GUARD_WINDOW);
        let gone = self.released.keys().filter(|id| recent(id) && !orphans.contains(*id)).count();
        let wanted = orphans.iter().filter(|id| !self.confirmed.contains(*id)).count();
        deletion_allowed(wanted + gone, owned + gone)
    }

    /// Whether the user confirmed the removal.
    pub(super) fn is_confirmed(&self, id: &ContainerId) -> bool {
        self.confirmed.contains(id)
    }

    /// The user lets these go.
    pub(super) fn confirm(&mut self, ids: impl IntoIterator<Item = ContainerId>) {
        self.confirmed.extend(ids);
    }

    /// An orphan was told to stop or removed.
    pub(super) fn release(&mut self, id: &ContainerId, now: Mono) {
        self.released.entry(id.clone()).or_insert(now);
    }

    /// Forgets what is over.
    pub(super) fn forget(&mut self, existing: &BTreeSet<ContainerId>, now: Mono) {
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
    fn three_or_thirty_per_cent() {
        let rows =
            [(3, 3, true), (4, 4, false), (4, 13, false), (4, 14, true), (30, 100, true), (31, 100, false)];
        for (orphans, owned, expected) in rows {
            assert_eq!(
                DeletionGuard::default().lets_go(&ids(0..orphans), owned, Mono(0)),
                expected,
                "{orphans} of {owned}"
            );
        }
    }

    #[test]
    fn removals_of_ten_minutes_are_summed() {
        let mut deletion_guard = DeletionGuard::default();
        ids(0..3).iter().for_each(|id| deletion_guard.release(id, Mono(0)));
        assert!(deletion_guard.lets_go(&ids(0..3), 3, Mono(1)), "those on their way count once");
        assert!(!deletion_guard.lets_go(&ids(3..4), 1, Mono(599_999)));
        assert!(deletion_guard.lets_go(&ids(3..4), 1, Mono(600_000)));
        deletion_guard.forget(&ids(3..4), Mono(600_000));
        assert!(deletion_guard.lets_go(&ids(3..6), 3, Mono(1)), "forgotten");
    }

    #[test]
    fn what_is_confirmed_does_not_count() {
        let mut deletion_guard = DeletionGuard::default();
        assert!(!deletion_guard.lets_go(&ids(0..9), 9, Mono(0)));
        deletion_guard.confirm(ids(0..9));
        assert!(deletion_guard.lets_go(&ids(0..9), 9, Mono(0)));
        assert!(deletion_guard.lets_go(&ids(0..12), 12, Mono(0)));
        assert!(!deletion_guard.lets_go(&ids(0..13), 12, Mono(0)), "four more are not confirmed");
    }
}
