//! The reconciler's parts.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::memory::ReconcilerMemory;
use crate::clock::Clock;
use crate::controller::nodes::{NodeLinks, NodeStates};
use crate::model::ServiceName;
use crate::registry::Registry;
use crate::store::Store;

/// Plans services and commits the plans, one pass at a time. With a store that several controllers share, only the one
/// that holds the leader's lease runs it; with the embedded store that is always this one.
pub struct Reconciler {
    pub(in crate::controller) store: Arc<dyn Store>,
    pub(in crate::controller) registry: Arc<Registry>,
    pub(in crate::controller) clock: Arc<dyn Clock>,
    pub(in crate::controller) links: Arc<NodeLinks>,
    pub(in crate::controller) nodes: NodeStates,
    /// Counts what can change an answer to a user.
    pub(in crate::controller) version: watch::Sender<u64>,
    pub(in crate::controller) memory: Mutex<ReconcilerMemory>,
    pub(in crate::controller) wake: Notify,
    pub(in crate::controller) removal_requested: Notify,
}

impl Reconciler {
    /// Queues a pass over a service. A wake-up carries no meaning: the pass reads everything again.
    pub fn mark(&self, name: ServiceName) {
        self.memory.lock().queue.mark(name);
        self.wake.notify_one();
    }
}
