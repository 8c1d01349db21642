//! Services that need a pass, now or at a time. Pure.
//!
//! A wake-up carries no meaning: each name is queued once, and its pass reads everything again.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Mono, ServiceName};

#[derive(Debug, Default)]
pub(super) struct PassQueue {
    dirty: BTreeSet<ServiceName>,
    due: BTreeMap<ServiceName, Mono>,
}

impl PassQueue {
    /// Queues a pass for now.
    pub(super) fn mark(&mut self, name: ServiceName) {
        self.dirty.insert(name);
    }

    /// Queues a pass for that time instead of an earlier one; `None` cancels it.
    pub(super) fn mark_at(&mut self, name: ServiceName, at: Option<Mono>) {
        match at {
            Some(at) => self.due.insert(name, at),
            None => self.due.remove(&name),
        };
    }

    /// The next name whose pass is due.
    pub(super) fn pop(&mut self, now: Mono) -> Option<ServiceName> {
        let due: Vec<ServiceName> =
            self.due.iter().filter(|(_, at)| **at <= now).map(|(name, _)| name.clone()).collect();
        for name in due {
            self.due.remove(&name);
            self.dirty.insert(name);
        }
        self.dirty.pop_first()
    }

    /// When the next pass is due, if none is due now.
    pub(super) fn next_due(&self) -> Option<Mono> {
        self.due.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_wake_ups_queue_one_pass() {
        let mut queue = PassQueue::default();
        (0..10).for_each(|_| queue.mark("users".into()));
        assert_eq!(queue.pop(Mono(0)), Some("users".into()));
        assert_eq!(queue.pop(Mono(0)), None);
    }

    #[test]
    fn pass_at_a_time_is_due_then_and_only_once() {
        let mut queue = PassQueue::default();
        queue.mark_at("users".into(), Some(Mono(10)));
        queue.mark_at("web".into(), Some(Mono(20)));
        queue.mark_at("web".into(), None);
        assert_eq!((queue.pop(Mono(9)), queue.next_due()), (None, Some(Mono(10))));
        assert_eq!((queue.pop(Mono(10)), queue.next_due()), (Some("users".into()), None));
    }
}
