//! Waits before something that failed is tried again. Pure.

use std::collections::BTreeMap;

use crate::agent::action::ActionSubject;
use crate::agent::backoff::RETRY;
use crate::agent::view::NodeView;
use crate::model::{Millis, Mono, NotReadyCause, Now};

/// A wait: when it ends, and what caused it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::agent) struct Retry {
    /// For decisions.
    pub(in crate::agent) at: Mono,
    /// The same moment for the user.
    pub(in crate::agent) wall: jiff::Timestamp,
    pub(in crate::agent) cause: NotReadyCause,
}

impl Retry {
    pub(in crate::agent) fn after(now: Now, wait: Millis, cause: NotReadyCause) -> Self {
        Self { at: now.mono.after(wait), wall: now.wall + wait.std(), cause }
    }
}

/// Actions that failed a moment ago.
#[derive(Debug, Clone, Default)]
pub(in crate::agent) struct Retries {
    retry_not_before: BTreeMap<ActionSubject, Mono>,
    /// Networks that the Engine refused to remove, and how often in a row.
    networks_in_use: BTreeMap<String, u32>,
}

impl Retries {
    /// How long until an action on this may be tried again; `None` if it may be now.
    pub(in crate::agent) fn wait(&self, subject: &ActionSubject, now: Mono) -> Option<Millis> {
        self.retry_not_before.get(subject).filter(|until| **until > now).map(|until| until.since(now))
    }

    pub(in crate::agent) fn not_before(&mut self, subject: ActionSubject, until: Mono) {
        self.retry_not_before.insert(subject, until);
    }

    /// The Engine refused to remove a network, because something uses it; returns the wait before the next attempt.
    pub(in crate::agent) fn network_in_use(&mut self, name: &str) -> Millis {
        let streak = self.networks_in_use.entry(name.to_owned()).or_default();
        *streak += 1;
        RETRY.wait(*streak)
    }

    pub(super) fn forget(&mut self, view: &NodeView, now: Mono) {
        self.retry_not_before.retain(|_, until| *until > now);
        self.networks_in_use.retain(|name, _| view.networks.iter().any(|n| n.name == *name));
    }
}
