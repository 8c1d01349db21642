//! What the agent knows of its Engine, and when it lists the objects of the Engine again. Makes no calls.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::action::ActionSubject;
use super::availability::Availability;
use super::observe::{EngineListing, Hints, Observation, Ticks};
use crate::engine::{ContainerState, EngineInfo, ObservedContainer};
use crate::model::{ContainerId, Millis, Mono};

/// Everything is listed at least this often.
pub(super) const RESYNC_EVERY: Millis = Millis::secs(30);
/// With an action under way for this long a listing finds out whether the Engine hangs, long before the action's own
/// deadline, so that no rollout runs out of time meanwhile. A pull does not count: its time has no bound.
const RESYNC_WHILE_ACTING: Millis = Millis::secs(5);

/// The Engine as last observed.
#[derive(Debug, Default)]
pub(super) struct EngineWatch {
    pub(super) availability: Availability,
    pub(super) observation: Observation,
    pub(super) hints: Arc<Hints>,
    pub(super) ticks: Ticks,
    listed_at: Option<Mono>,
    is_listing: bool,
    /// Since when an action other than a pull, or a removal in the Engine, has been under way without interruption.
    acting_since: Option<Mono>,
}

impl EngineWatch {
    pub(super) fn note_actions(&mut self, busy: &BTreeSet<ActionSubject>, now: Mono) {
        let is_removing = |c: &ObservedContainer| c.state == ContainerState::Removing;
        // Nothing waits for a check of the gateway, which takes seconds where packets are dropped.
        let may_take_time = |subject: &ActionSubject| {
            matches!(subject, ActionSubject::Pull(_) | ActionSubject::GatewayCheck(_))
        };
        let is_acting = busy.iter().any(|subject| !may_take_time(subject))
            || self.observation.containers().any(is_removing);
        let since = self.acting_since.unwrap_or(now);
        self.acting_since = is_acting.then_some(since);
    }

    /// How long until the next full listing is due.
    pub(super) fn next_listing(&self, now: Mono) -> Millis {
        if self.is_listing {
            // Its end wakes the agent.
            return RESYNC_EVERY;
        }
        let regular = self.availability.next_listing(self.listed_at, RESYNC_EVERY, now);
        let Some(since) = self.acting_since.filter(|_| self.availability.answers()) else { return regular };
        let sooner = self.listed_at.max(Some(since)).map(|at| at.after(RESYNC_WHILE_ACTING).since(now));
        sooner.map_or(regular, |wait| wait.min(regular))
    }

    /// Whether to start a full listing now; if so, it counts as started.
    pub(super) fn start_listing(&mut self, now: Mono) -> bool {
        let is_requested = self.hints.take_list_all();
        let is_due = is_requested || self.next_listing(now) == Millis(0);
        let starts = is_due && !self.is_listing && self.availability.may_list(now);
        if is_requested && !starts {
            // A listing under way was requested before whatever requested this one.
            self.hints.list_all();
        }
        self.is_listing |= starts;
        starts
    }

    /// Containers to inspect because of an event.
    pub(super) fn take_inspections(&self, busy: &BTreeSet<ActionSubject>) -> Vec<ContainerId> {
        if !self.availability.answers() {
            return Vec::new();
        }
        let is_creating = busy.iter().any(|subject| matches!(subject, ActionSubject::Replica(_)));
        self.hints.take_news(&self.observation, is_creating)
    }

    /// A full listing has come back.
    pub(super) fn listed(&mut self, tick: u64, listing: EngineListing, info: Option<EngineInfo>, now: Mono) {
        self.availability.back(info);
        self.listed_at = Some(now);
        self.observation.listed(tick, listing);
    }

    /// A full listing has ended, with or without a result.
    pub(super) fn listing_ended(&mut self) {
        self.is_listing = false;
    }
}
