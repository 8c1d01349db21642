//! Which exits of containers are failures, and which were handled. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::view::{NodeView, instance_of, is_up};
use crate::engine::ObservedContainer;
use crate::model::{ContainerId, EndpointId};

/// A start that the Engine refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StartRefusal {
    message: String,
    /// Whether the spec can never work.
    pub(super) is_fault: bool,
}

/// What is remembered of exits.
#[derive(Debug, Clone, Default)]
pub(in crate::agent) struct ExitMemory {
    /// Instances observed running while the Engine answered without interruption: only their exits count.
    observed_running: BTreeSet<EndpointId>,
    /// Exited containers that were counted already.
    handled_exits: BTreeSet<ContainerId>,
    start_refusals: BTreeMap<ContainerId, StartRefusal>,
    /// Containers that a user asked to kill.
    killed_on_request: BTreeSet<ContainerId>,
}

impl ExitMemory {
    pub(super) fn fold(&mut self, view: &NodeView, existing: &BTreeSet<ContainerId>) {
        self.handled_exits.retain(|id| existing.contains(id));
        self.start_refusals.retain(|id, _| existing.contains(id));
        self.killed_on_request.retain(|id| existing.contains(id));
        let running: BTreeSet<EndpointId> =
            view.ours().filter(|c| is_up(c)).filter_map(instance_of).collect();
        self.observed_running.retain(|id| running.contains(id));
        if view.engine_answers {
            self.observed_running.extend(running);
        }
    }

    pub(super) fn observed_running(&mut self, container: &ObservedContainer) {
        self.observed_running.extend(instance_of(container));
    }

    pub(super) fn was_observed_running(&self, id: &EndpointId) -> bool {
        self.observed_running.contains(id)
    }

    pub(super) fn handled(&mut self, id: &ContainerId) {
        self.handled_exits.insert(id.clone());
    }

    pub(super) fn is_handled(&self, id: &ContainerId) -> bool {
        self.handled_exits.contains(id)
    }

    pub(super) fn start_refused(&mut self, container: &ContainerId, message: String, is_fault: bool) {
        self.start_refusals.insert(container.clone(), StartRefusal { message, is_fault });
    }

    /// A user asked to kill these.
    pub(in crate::agent) fn killed_on_request(&mut self, ids: BTreeSet<ContainerId>) {
        self.killed_on_request.extend(ids);
    }

    pub(super) fn was_killed_on_request(&self, id: &ContainerId) -> bool {
        self.killed_on_request.contains(id)
    }

    pub(super) fn refusal(&self, id: &ContainerId) -> Option<&StartRefusal> {
        self.start_refusals.get(id)
    }

    /// The Engine's message when it refused to start a container.
    pub(in crate::agent) fn refusal_message(&self, id: &ContainerId) -> Option<&str> {
        self.refusal(id).map(|refusal| refusal.message.as_str())
    }

    pub(super) fn engine_lost(&mut self) {
        self.observed_running.clear();
    }
}
