//! Since when endpoints are out of every balancer's table, and which signals their containers got. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::view::{NodeView, instance_of, is_up};
use crate::model::{EndpointId, EndpointState, Millis, Mono};

/// How long an endpoint may wait for a balancer before the agent warns: a restart of the balancer or the controller is over
/// long before.
pub const UNACKNOWLEDGED_AFTER: Millis = Millis::secs(10);

/// The signals that were sent to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::agent) struct SentSignals {
    /// When the stop signal was sent.
    pub(in crate::agent) stop_at: Mono,
    /// When SIGKILL was last sent.
    pub(in crate::agent) kill_at: Option<Mono>,
    /// When it was sent first.
    killed_since: Option<Mono>,
}

/// What is remembered of instances that leave.
#[derive(Debug, Clone, Default)]
pub(in crate::agent) struct BarrierMemory {
    /// Since when every balancer has acknowledged a table without the endpoint.
    deregistered_since: BTreeMap<EndpointId, Mono>,
    /// Since when a draining endpoint waits for that acknowledgement.
    unacknowledged_since: BTreeMap<EndpointId, Mono>,
    /// Those of them that an event has reported.
    warned: BTreeSet<EndpointId>,
    signals: BTreeMap<EndpointId, SentSignals>,
}

impl BarrierMemory {
    pub(super) fn fold(&mut self, view: &NodeView, now: Mono) {
        let endpoints = view.endpoints();
        let mut deregistered_since = BTreeMap::new();
        let mut unacknowledged_since = BTreeMap::new();
        let mut running = BTreeSet::new();
        for id in view.ours().filter(|c| is_up(c)).filter_map(instance_of) {
            let state = endpoints.get(&id).map(|endpoint| endpoint.state);
            if state == Some(EndpointState::Ready) {
                // In rotation: neither out nor waiting.
            } else if view.barrier.acked_absent(&id) {
                let since = self.deregistered_since.get(&id).copied().unwrap_or(now);
                deregistered_since.insert(id.clone(), since);
            } else if state == Some(EndpointState::Draining) {
                let since = self.unacknowledged_since.get(&id).copied().unwrap_or(now);
                unacknowledged_since.insert(id.clone(), since);
            }
            running.insert(id);
        }
        self.deregistered_since = deregistered_since;
        self.warned.retain(|id| unacknowledged_since.contains_key(id));
        self.unacknowledged_since = unacknowledged_since;
        self.signals.retain(|id, _| running.contains(id));
    }

    /// Since when every balancer has acknowledged a table without the endpoint.
    pub(in crate::agent) fn deregistered_since(&self, id: &EndpointId) -> Option<Mono> {
        self.deregistered_since.get(id).copied()
    }

    /// The longest that any endpoint has waited for a balancer.
    pub(in crate::agent) fn longest_wait(&self, now: Mono) -> Option<Millis> {
        self.unacknowledged_since.values().min().map(|since| now.since(*since))
    }

    /// How long this endpoint has waited for a balancer.
    pub(in crate::agent) fn wait(&self, id: &EndpointId, now: Mono) -> Option<Millis> {
        self.unacknowledged_since.get(id).map(|since| now.since(*since))
    }

    pub(super) fn warned(&mut self, ids: &[EndpointId]) {
        self.warned.extend(ids.iter().cloned());
    }

    pub(in crate::agent) fn was_warned(&self, id: &EndpointId) -> bool {
        self.warned.contains(id)
    }

    pub(super) fn signalled(&mut self, instance: &EndpointId, kill: bool, now: Mono) {
        let sent = SentSignals { stop_at: now, kill_at: None, killed_since: None };
        let signals = self.signals.entry(instance.clone()).or_insert(sent);
        if kill {
            signals.kill_at = Some(now);
            signals.killed_since.get_or_insert(now);
        }
    }

    /// Whether it still runs although it got SIGKILL so long ago.
    pub(in crate::agent) fn survives(&self, instance: &EndpointId, after: Millis, now: Mono) -> bool {
        let killed = self.signals(instance).and_then(|signals| signals.killed_since);
        killed.is_some_and(|since| now.since(since) >= after)
    }

    pub(in crate::agent) fn signals(&self, instance: &EndpointId) -> Option<SentSignals> {
        self.signals.get(instance).copied()
    }
}
