//! What the directory let go lately without being asked: many files that go one by one are as much of a mistake as many at
//! once. Pure, and forgotten with the process.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{BRAKE_WINDOW, Mono, ServiceName, brake_lets_go};

/// What the brake remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Brake {
    /// Services let go, and when.
    released: BTreeMap<ServiceName, Mono>,
}

impl Brake {
    /// Whether so many of what was `declared` before may go as well. What is `there` is not gone: released and declared
    /// again, or not yet deleted.
    pub(super) fn lets_go(
        &self,
        wanted: usize,
        there: &BTreeSet<&ServiceName>,
        declared: usize,
        now: Mono,
    ) -> bool {
        let is_gone =
            |(name, at): &(&ServiceName, &Mono)| now.since(**at) < BRAKE_WINDOW && !there.contains(name);
        let gone = self.released.iter().filter(is_gone).count();
        brake_lets_go(wanted + gone, declared + gone)
    }

    /// These go. What is over is forgotten.
    pub(super) fn release<'a>(&mut self, names: impl IntoIterator<Item = &'a ServiceName>, now: Mono) {
        self.released.retain(|_, at| now.since(*at) < BRAKE_WINDOW);
        self.released.extend(names.into_iter().map(|name| (name.clone(), now)));
    }
}
