//! The parts that answers are made from.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::balancer_outages::BalancerOutages;
use super::daemon_conditions::DaemonConditions;
use super::read_model::ReadModel;
use super::served_certificates::ServedCertificates;
use super::unopened_ports::UnopenedPorts;
use crate::clock::Clock;
use crate::controller::nodes::NodeStates;
use crate::controller::reconciler::FactsReader;
use crate::controller::writes::ManifestsDirectory;
use crate::model::{Mono, StoreId};
use crate::registry::Registry;

/// Answers what users ask.
pub struct Queries {
    pub(in crate::controller) model: ReadModel,
    pub(in crate::controller) store: StoreId,
    pub(in crate::controller) registry: Arc<Registry>,
    pub(in crate::controller) clock: Arc<dyn Clock>,
    pub(in crate::controller) nodes: NodeStates,
    /// What the reconciler knows besides the store.
    pub(in crate::controller) facts: FactsReader,
    pub(in crate::controller) directory: Arc<ManifestsDirectory>,
    /// Addresses of the HTTP entry point.
    pub(in crate::controller) http: Vec<SocketAddr>,
    /// Addresses of the HTTPS entry point.
    pub(in crate::controller) https: Vec<SocketAddr>,
    pub(in crate::controller) started: Mono,
    pub(in crate::controller) balancer_outages: Mutex<BalancerOutages>,
    /// Clients that subscribe to the balancer's counters.
    pub(in crate::controller) metrics_subscribers: watch::Sender<usize>,
    pub(in crate::controller) daemon_conditions: Arc<DaemonConditions>,
    pub(in crate::controller) unopened_ports: Arc<UnopenedPorts>,
    pub(in crate::controller) certificates: Arc<ServedCertificates>,
    pub(in crate::controller) version: watch::Sender<u64>,
}

impl Queries {
    /// Where other parts of the daemon report what they observe.
    pub fn daemon_conditions(&self) -> &Arc<DaemonConditions> {
        &self.daemon_conditions
    }

    /// Where the daemon reports TCP ports that it cannot open.
    pub fn unopened_ports(&self) -> &Arc<UnopenedPorts> {
        &self.unopened_ports
    }

    /// Where the daemon reports certificates.
    pub fn served_certificates(&self) -> &Arc<ServedCertificates> {
        &self.certificates
    }

    /// Changes whenever an answer could have changed.
    pub fn version(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Watches for how long balancers are away, until `shutdown`.
    pub async fn follow_balancer(&self, shutdown: CancellationToken) {
        let mut reports = self.registry.reports();
        loop {
            let current = reports.borrow_and_update().clone();
            let reported_in = self.balancer_outages.lock().observe(&current, self.clock.mono());
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
