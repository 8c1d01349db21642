//! What the reconciler remembers of services between passes, and the part of it that it publishes for reading.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::RwLock;

use super::error_count::{FailedRequestCount, RolloutErrorCount};
use super::queue::PassQueue;
use super::readiness::ReadyIntervals;
use super::volume_removal::VolumeRemoval;
use super::wait::DeadlineWait;
use crate::controller::service_state::ServiceState;
use crate::model::{Mono, ServiceName};
use crate::orchestrator::{Blocker, Changes};
use crate::registry::Barrier;

/// What the reconciler publishes of a service. Readers never change it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::controller) struct ServiceFacts {
    pub(in crate::controller) ready: ReadyIntervals,
    pub(in crate::controller) error_count: RolloutErrorCount,
    /// What the last pass waited for.
    pub(in crate::controller) blockers: Vec<Blocker>,
    /// When the last pass was.
    pub(in crate::controller) passed_at: Mono,
    /// Why the volumes of the deleted service are still there.
    pub(in crate::controller) volumes_in_use: Option<String>,
}

/// The published facts of all services.
#[derive(Debug, Clone, Default)]
pub(in crate::controller) struct FactsReader(Arc<RwLock<BTreeMap<ServiceName, Arc<ServiceFacts>>>>);

impl FactsReader {
    /// The facts after the last pass over a service; the defaults before the first one.
    pub(in crate::controller) fn of(&self, name: &ServiceName) -> Arc<ServiceFacts> {
        self.0.read().get(name).cloned().unwrap_or_default()
    }
}

#[derive(Debug, Default)]
pub(super) struct ServiceMemory {
    pub(super) facts: ServiceFacts,
    pub(super) wait: DeadlineWait,
    pub(super) removal: VolumeRemoval,
}

impl ServiceMemory {
    /// Takes in a pass that was committed.
    pub(super) fn committed(
        &mut self,
        state: &ServiceState,
        changes: &Changes,
        barrier: &Barrier,
        now: Mono,
    ) {
        self.wait.committed(changes);
        self.facts.blockers = changes.blockers.clone();
        self.facts.passed_at = now;
        let before = state.rollout.as_ref();
        if let Some(after) = changes.rollout.as_ref().or(before) {
            let counted = FailedRequestCount::of(&barrier.reports, state.service.name());
            self.facts.error_count.pass(before, after, counted);
        }
    }
}

/// Everything that passes leave behind for later ones.
#[derive(Debug, Default)]
pub(in crate::controller) struct ReconcilerMemory {
    pub(super) queue: PassQueue,
    /// Services with endpoints that a balancer has not acknowledged: a report of a balancer wakes them.
    pub(super) awaiting: BTreeSet<ServiceName>,
    pub(super) services: BTreeMap<ServiceName, ServiceMemory>,
    published: FactsReader,
}

impl ReconcilerMemory {
    /// Changes what is remembered of a service, and publishes it.
    pub(super) fn update<T>(
        &mut self,
        name: &ServiceName,
        change: impl FnOnce(&mut ServiceMemory) -> T,
    ) -> T {
        let memory = self.services.entry(name.clone()).or_default();
        let result = change(memory);
        memory.facts.volumes_in_use = memory.removal.failure().map(str::to_owned);
        let mut published = self.published.0.write();
        if published.get(name).is_none_or(|facts| **facts != memory.facts) {
            published.insert(name.clone(), Arc::new(memory.facts.clone()));
        }
        result
    }

    pub(super) fn forget(&mut self, name: &ServiceName) {
        self.services.remove(name);
        self.awaiting.remove(name);
        self.published.0.write().remove(name);
    }

    pub(super) fn removals(&mut self) -> impl Iterator<Item = &mut VolumeRemoval> {
        self.services.values_mut().map(|memory| &mut memory.removal)
    }

    pub(in crate::controller) fn facts(&self) -> FactsReader {
        self.published.clone()
    }
}
