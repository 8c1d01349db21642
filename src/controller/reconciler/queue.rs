//! Which services want a pass. Pure: the loop around it waits.
//!
//! A wake-up carries no meaning: whatever happened, a name is marked once and its pass rereads everything.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Mono, ServiceName};

/// Names to look at now, and names to look at later.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    dirty: BTreeSet<ServiceName>,
    due: BTreeMap<ServiceName, Mono>,
}

impl Queue {
    /// Wants a pass as soon as possible.
    pub(crate) fn mark(&mut self, name: ServiceName) {
        self.dirty.insert(name);
    }

    /// Wants a pass at that time; replaces an earlier wish of its kind.
    pub(crate) fn mark_at(&mut self, name: ServiceName, at: Option<Mono>) {
        match at {
            Some(at) => self.due.insert(name, at),
            None => self.due.remove(&name),
        };
    }

    /// The next name whose pass is wanted now.
    pub(crate) fn pop(&mut self, now: Mono) -> Option<ServiceName> {
        let due: Vec<ServiceName> =
            self.due.iter().filter(|(_, at)| **at <= now).map(|(name, _)| name.clone()).collect();
        for name in due {
            self.due.remove(&name);
            self.dirty.insert(name);
        }
        self.dirty.pop_first()
    }

    /// When a pass is wanted next, if none is wanted now.
    pub(crate) fn next_due(&self) -> Option<Mono> {
        self.due.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_wake_ups_are_one_pass() {
        let mut queue = Queue::default();
        (0..10).for_each(|_| queue.mark("users".into()));
        assert_eq!(queue.pop(Mono(0)), Some("users".into()));
        assert_eq!(queue.pop(Mono(0)), None);
    }

    #[test]
    fn a_time_comes_and_goes() {
        let mut queue = Queue::default();
        queue.mark_at("users".into(), Some(Mono(10)));
        queue.mark_at("web".into(), Some(Mono(20)));
        queue.mark_at("web".into(), None);
        assert_eq!((queue.pop(Mono(9)), queue.next_due()), (None, Some(Mono(10))));
        assert_eq!((queue.pop(Mono(10)), queue.next_due()), (Some("users".into()), None));
    }
}
