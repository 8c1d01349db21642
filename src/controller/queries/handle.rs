//! The parts that answers are made from.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::balancer_outage::BalancerOutage;
use super::read_model::ReadModel;
use crate::clock::Clock;
use crate::controller::nodes::NodeStates;
use crate::controller::reconciler::FactsReader;
use crate::model::{BalancerReport, Condition, Mono, StoreId};
use crate::registry::Registry;
use crate::store::Store;

/// What [`Queries`] are made from.
pub(in crate::controller) struct QueriesParts {
    pub(in crate::controller) store: Arc<dyn Store>,
    pub(in crate::controller) registry: Arc<Registry>,
    pub(in crate::controller) clock: Arc<dyn Clock>,
    pub(in crate::controller) nodes: NodeStates,
    pub(in crate::controller) reports: watch::Receiver<Option<BalancerReport>>,
    /// What the reconciler knows besides the store.
    pub(in crate::controller) facts: FactsReader,
    /// What holds of the manifests directory.
    pub(in crate::controller) source_conditions: Box<dyn Fn() -> Vec<Condition> + Send + Sync>,
    pub(in crate::controller) version: watch::Sender<u64>,
    /// Addresses of the HTTP entry point.
    pub(in crate::controller) http: Vec<SocketAddr>,
}

/// Answers what users ask.
pub struct Queries {
    pub(super) model: ReadModel,
    pub(super) store: StoreId,
    pub(super) registry: Arc<Registry>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) nodes: NodeStates,
    pub(super) reports: watch::Receiver<Option<BalancerReport>>,
    pub(super) facts: FactsReader,
    pub(super) source_conditions: Box<dyn Fn() -> Vec<Condition> + Send + Sync>,
    pub(super) http: Vec<SocketAddr>,
    pub(super) started: Mono,
    pub(super) balancer_outage: Mutex<BalancerOutage>,
    /// Clients that subscribe to the balancer's counters.
    pub(super) metrics_subscribers: watch::Sender<usize>,
    version: watch::Sender<u64>,
}

impl Queries {
    pub(in crate::controller) fn new(parts: QueriesParts) -> Self {
        let QueriesParts { store, registry, clock, nodes, reports, facts, source_conditions, version, http } =
            parts;
        Self {
            store: store.identity().id.clone(),
            model: ReadModel::new(store),
            started: clock.mono(),
            registry,
            clock,
            nodes,
            reports,
            facts,
            source_conditions,
            http,
            balancer_outage: Mutex::default(),
            metrics_subscribers: watch::Sender::new(0),
            version,
        }
    }

    /// Changes whenever an answer could have changed.
    pub fn version(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Watches for how long the balancer is away, until `shutdown`.
    pub async fn follow_balancer(&self, shutdown: CancellationToken) {
        let mut reports = self.reports.clone();
        loop {
            let connected = reports.borrow_and_update().is_some();
            let reported_in = self.balancer_outage.lock().observe(connected, self.clock.mono());
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = reports.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(reported_in.unwrap_or_default().std()), if reported_in.is_some() => {
                    self.version.send_modify(|version| *version += 1);
                }
            }
        }
    }
}
