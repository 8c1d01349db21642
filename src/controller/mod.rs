//! The controller, in four parts: `writes`, `reconciler`, `queries` and `nodes`.
//!
//! Purpose: commits what users and the pure planners decide, and answers what users ask; the one place where store,
//! registry and agent meet.
//! Invariants: the parts share the store and no state: what one remembers, no other changes.
//! Deliberately absent: decisions about replicas (`orchestrator`) and containers (`agent`), HTTP (`api`), YAML.

mod daemon_control;
mod error;
mod nodes;
mod queries;
mod reconciler;
mod service_state;
mod shared_volumes;
mod store_keeper;
mod writes;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

pub use daemon_control::{DaemonControl, DaemonControlError};
pub use error::{ClaimHolder, Conflict, ControllerError, UnresolvedImage};
pub use nodes::logs::LogQuery;
pub use nodes::{Nodes, VolumeSnapshot};
pub use queries::{
    Awaited, CertificateReport, CertificateSnapshot, DaemonConditions, DaemonSnapshot, ExplainedEndpoint,
    ExplainedOutcome, ExplainedRequest, ExplainedRoute, LogEntry, MetricsSubscription, NodeSnapshot,
    OperationEnd, ProgressSnapshot, Queries, ReplicaSnapshot, RevisionSnapshot, RolloutDeadline,
    RouteExplanation, RouteResult, ServedCertificates, ServiceSnapshot, UnopenedPorts,
};
// Types in this module's signatures that other modules define.
pub use crate::agent::{
    AgentSilent, AgentState, Confirmed, EngineError, EngineInfo, EngineState, LogOptions, NodeVolume,
    VolumeSource,
};
pub use crate::certificates::AuthorityCertificate;
pub use crate::orchestrator::CapacityShortage;
pub use reconciler::Reconciler;
pub use store_keeper::{KeptStore, StoreCheck, StoreKeeper, StoreKeepingError};
pub use writes::{
    ApplyDocument, ApplyOptions, DeclaredObject, DirectoryRemovals, DocumentProblem, FieldChange,
    FieldsError, ManifestsDirectory, Overridden, RolloutChange, RolloutCommand, RolloutPhase,
    RolloutRejection, WriteAction, WriteResult, Writes, diff,
};

use crate::agent::AgentHandle;
use crate::clock::Clock;
use crate::model::NodeId;
use crate::registry::Registry;
use crate::store::Store;
use nodes::{NodeLinks, NodeStates};
use queries::ReadModel;

/// What a controller is made from.
pub struct ControllerParts {
    pub store: Arc<dyn Store>,
    pub registry: Arc<Registry>,
    pub clock: Arc<dyn Clock>,
    /// The agent of this node.
    pub agent: AgentHandle,
    /// This node.
    pub node: NodeId,
    /// Addresses of the HTTP entry point.
    pub http: Vec<SocketAddr>,
    /// Addresses of the HTTPS entry point.
    pub https: Vec<SocketAddr>,
    /// The manifests directory that is followed: no one else may change its services, from the first request on.
    pub manifests: Option<String>,
}

/// The parts of one daemon's controller.
pub struct Controller {
    reconciler: Arc<Reconciler>,
    queries: Arc<Queries>,
    nodes: Arc<Nodes>,
    writes: Arc<Writes>,
    directory: Arc<ManifestsDirectory>,
}

impl Controller {
    /// A controller that does nothing until [`Controller::run`].
    pub fn new(parts: ControllerParts) -> Arc<Self> {
        let ControllerParts { store, registry, clock, agent, node, http, https, manifests } = parts;
        let version = watch::Sender::new(0);
        let links = Arc::new(NodeLinks::of_one(node.clone(), agent.requests()));
        let states = NodeStates::of_one(node, agent.state());
        let directory = Arc::new(ManifestsDirectory::new(manifests.clone(), version.clone()));
        let writes = Arc::new(Writes {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            links: Arc::clone(&links),
            agent: agent.state(),
            http: http.clone(),
            https: https.clone(),
            followed: manifests,
            lock: tokio::sync::Mutex::default(),
        });
        let reconciler = Arc::new(Reconciler {
            store: Arc::clone(&store),
            registry: Arc::clone(&registry),
            clock: Arc::clone(&clock),
            links: Arc::clone(&links),
            nodes: states.clone(),
            version: version.clone(),
            memory: Mutex::default(),
            wake: Notify::new(),
            removal_requested: Notify::new(),
        });
        let queries = Arc::new(Queries {
            store: store.identity().id.clone(),
            model: ReadModel::new(Arc::clone(&store)),
            started: clock.mono(),
            registry,
            clock: Arc::clone(&clock),
            nodes: states,
            facts: reconciler.memory.lock().facts(),
            directory: Arc::clone(&directory),
            daemon_conditions: Arc::new(DaemonConditions::new(version.clone())),
            unopened_ports: Arc::new(UnopenedPorts::new(version.clone())),
            certificates: Arc::new(ServedCertificates::new(version.clone())),
            version,
            http,
            https,
            balancer_outages: Mutex::default(),
            metrics_subscribers: watch::Sender::new(0),
        });
        let nodes = Arc::new(Nodes { store, clock, agent, links, queries: Arc::clone(&queries) });
        Arc::new(Self { reconciler, queries, nodes, writes, directory })
    }

    /// The loop that plans services and commits the plans.
    pub fn reconciler(&self) -> &Arc<Reconciler> {
        &self.reconciler
    }

    /// What users and sources may change.
    pub fn writes(&self) -> &Arc<Writes> {
        &self.writes
    }

    /// The manifests directory that is followed.
    pub fn directory(&self) -> &Arc<ManifestsDirectory> {
        &self.directory
    }

    /// What is read and watched.
    pub fn queries(&self) -> &Arc<Queries> {
        &self.queries
    }

    /// Commands to the agents of nodes.
    pub fn nodes(&self) -> &Arc<Nodes> {
        &self.nodes
    }

    /// Runs the reconciler until `shutdown`; containers keep running. The agent runs separately.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        tokio::join!(self.reconciler.run(shutdown.clone()), self.queries.follow_balancer(shutdown));
    }

    /// Allows the removals that are held back, and lets replicas start without these volumes.
    ///
    /// # Errors
    /// [`ControllerError::Agent`]; nothing was allowed then.
    pub async fn confirm(&self, lost_volumes: BTreeSet<String>) -> Result<Confirmed, ControllerError> {
        let Confirmed { removed: containers, lost_volumes } = self.nodes.agent.confirm(lost_volumes).await?;
        let mut removed = self.directory.confirm();
        removed.extend(containers);
        Ok(Confirmed { removed, lost_volumes })
    }
}
