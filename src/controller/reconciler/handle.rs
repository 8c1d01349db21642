//! The reconciler's parts.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::memory::{FactsReader, ReconcilerMemory};
use crate::clock::Clock;
use crate::controller::nodes::{NodeLinks, NodeStates};
use crate::model::{BalancerReport, ServiceName};
use crate::registry::Registry;
use crate::store::Store;

/// What a [`Reconciler`] is made from.
pub(in crate::controller) struct ReconcilerParts {
    pub(in crate::controller) store: Arc<dyn Store>,
    pub(in crate::controller) registry: Arc<Registry>,
    pub(in crate::controller) clock: Arc<dyn Clock>,
    pub(in crate::controller) links: Arc<NodeLinks>,
    pub(in crate::controller) nodes: NodeStates,
    pub(in crate::controller) reports: watch::Receiver<Option<BalancerReport>>,
    /// Counts what can change an answer to a user.
    pub(in crate::controller) version: watch::Sender<u64>,
}

/// Plans services and commits the plans, one pass at a time. With a store that several controllers share, only the one
/// that holds the leader's lease runs it; with the embedded store that is always this one.
pub struct Reconciler {
    pub(super) store: Arc<dyn Store>,
    pub(super) registry: Arc<Registry>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) links: Arc<NodeLinks>,
    pub(super) nodes: NodeStates,
    pub(super) reports: watch::Receiver<Option<BalancerReport>>,
    pub(super) version: watch::Sender<u64>,
    pub(super) memory: Mutex<ReconcilerMemory>,
    pub(super) wake: Notify,
    pub(super) removal_requested: Notify,
}

impl Reconciler {
    /// Does nothing until it is run, or a pass is called for.
    pub(in crate::controller) fn new(parts: ReconcilerParts) -> Self {
        let ReconcilerParts { store, registry, clock, links, nodes, reports, version } = parts;
        Self {
            store,
            registry,
            clock,
            links,
            nodes,
            reports,
            version,
            memory: Mutex::default(),
            wake: Notify::new(),
            removal_requested: Notify::new(),
        }
    }

    /// Queues a pass over a service. A wake-up carries no meaning: the pass reads everything again.
    pub fn mark(&self, name: ServiceName) {
        self.memory.lock().queue.mark(name);
        self.wake.notify_one();
    }

    pub(in crate::controller) fn facts(&self) -> FactsReader {
        self.memory.lock().facts()
    }
}
