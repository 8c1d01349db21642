//! What the directory let go lately without being asked: many files that go one by one are as much of a mistake as many at
//! once. Pure, and forgotten with the process.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{DELETION_GUARD_WINDOW, Mono, ServiceName, deletion_allowed};

/// What the brake remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RemovalGuard {
    /// Services let go, and when.
    released: BTreeMap<ServiceName, Mono>,
}

impl RemovalGuard {
    /// Whether so many of what was `declared` before may go as well. What is `there` is not gone: released and declared
    /// again, or not yet deleted.
    pub(super) fn lets_go(
        &self,
        wanted: usize,
        there: &BTreeSet<&ServiceName>,
        declared: usize,
        now: Mono,
    ) -> bool {
        let is_gone = |(name, at): &(&ServiceName, &Mono)| {
            now.since(**at) < DELETION_GUARD_WINDOW && !there.contains(name)
        };
        let gone = self.released.iter().filter(is_gone).count();
        deletion_allowed(wanted + gone, declared + gone)
    }

    /// These go. What is over is forgotten.
    pub(super) fn release<'a>(&mut self, names: impl IntoIterator<Item = &'a ServiceName>, now: Mono) {
        self.released.retain(|_, at| now.since(*at) < DELETION_GUARD_WINDOW);
        self.released.extend(names.into_iter().map(|name| (name.clone(), now)));
    }
}
