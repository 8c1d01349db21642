//! The controller: the user's writes, the orchestrator's loop, the agent's run, and what is shown of it all.
//!
//! Purpose: reads views for the pure planners and commits what they decide; the one place where store, registry, engine
//! and agent meet.
//! Invariants: a wake-up only marks a service; a pass rereads everything, runs once at a time and writes nothing where
//! nothing changes; every document of an apply is checked and resolved before the first write; while the Engine is away
//! no deadline runs.
//! Deliberately absent: decisions about replicas (`orchestrator`) and containers (`agent`), HTTP (`api`), YAML.

mod capacity;
mod error;
mod nodes;
mod queries;
mod reconciler;
mod service_state;
mod writes;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, watch};

pub use error::{Conflict, ControllerError, UnresolvedImage};
pub use nodes::logs::LogQuery;
pub use queries::{
    API_VERSION, Awaited, Counted, DaemonStatus, LogRecord, MetricsSubscription, NodeObject,
    OperationOutcome, OperationProgress, ReplicaObject, ReplicaProgress, RevisionObject, ServiceObject,
    ServiceStatus,
};
// Parts of this module's own signatures: whoever calls it needs no other door.
pub use crate::agent::{AgentSilent, EngineError, LogOptions};
pub use crate::orchestrator::CapacityShortage;
pub use writes::{
    ApplyDocument, ApplyOptions, Declared, DocumentProblem, FieldChange, Overridden, Removals, RolloutChange,
    RolloutCommand, RolloutPhase, WriteAction, WriteResult, diff,
};

use crate::agent::{AgentHandle, AgentState, EngineState};
use crate::clock::Clock;
use crate::model::{BalancerReport, Mono, NodeId, ServiceName};
use crate::registry::Registry;
use crate::store::Store;
use nodes::NodeLinks;
use queries::BalancerOutage;
use reconciler::{Memory, Queue};
use writes::Followed;

/// What a controller is made from.
pub struct ControllerParts {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Endpoints and tables.
    pub registry: Arc<Registry>,
    /// Time, randomness, ids.
    pub clock: Arc<dyn Clock>,
    /// This host's agent.
    pub agent: AgentHandle,
    /// This host.
    pub node: NodeId,
    /// The balancer's last word.
    pub reports: watch::Receiver<Option<BalancerReport>>,
    /// Addresses of the HTTP entry point.
    pub http: Vec<SocketAddr>,
    /// The manifests directory that is followed: its services are its alone, from the first request on.
    pub manifests: Option<String>,
}

/// The controller of one daemon.
pub struct Controller {
    store: Arc<dyn Store>,
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    agent: AgentHandle,
    links: NodeLinks,
    state: watch::Receiver<AgentState>,
    nodes: Vec<NodeId>,
    reports: watch::Receiver<Option<BalancerReport>>,
    http: Vec<SocketAddr>,
    started: Mono,
    queue: Mutex<Queue>,
    wake: Notify,
    /// A pass asked for the removal of volumes.
    volumes_wanted: Notify,
    memory: Mutex<BTreeMap<ServiceName, Memory>>,
    unacknowledged: Mutex<BTreeSet<ServiceName>>,
    followed: Mutex<Followed>,
    /// The user let removals of the followed directory happen.
    confirmed: Notify,
    /// Held by whoever writes for a user, so that a daemon's own writers queue up and never conflict.
    writing: tokio::sync::Mutex<()>,
    balancer_away: Mutex<BalancerOutage>,
    /// Counts what could change an answer: passes, reports, the agent's state. Streams look again when it moves.
    moved: watch::Sender<u64>,
    /// How many want the balancer's counters.
    watchers: watch::Sender<usize>,
}

impl Controller {
    /// A controller that does nothing until [`Controller::run`].
    pub fn new(parts: ControllerParts) -> Arc<Self> {
        let ControllerParts { store, registry, clock, agent, node, reports, http, manifests } = parts;
        let started = clock.mono();
        Arc::new(Self {
            store,
            registry,
            links: NodeLinks::of_one(node.clone(), agent.requests()),
            state: agent.state(),
            agent,
            clock,
            nodes: vec![node],
            reports,
            http,
            started,
            queue: Mutex::default(),
            wake: Notify::new(),
            volumes_wanted: Notify::new(),
            memory: Mutex::default(),
            unacknowledged: Mutex::default(),
            followed: Mutex::new(Followed::of(manifests)),
            confirmed: Notify::new(),
            writing: tokio::sync::Mutex::default(),
            balancer_away: Mutex::default(),
            moved: watch::Sender::new(0),
            watchers: watch::Sender::new(0),
        })
    }

    /// Wants a pass over a service. Carries no meaning: the pass rereads everything.
    pub fn mark(&self, name: ServiceName) {
        self.queued(|queue| queue.mark(name));
        self.wake.notify_one();
    }

    fn balancer_away(&self) -> MutexGuard<'_, BalancerOutage> {
        self.balancer_away.lock()
    }

    fn queued<T>(&self, f: impl FnOnce(&mut Queue) -> T) -> T {
        f(&mut self.queue.lock())
    }

    fn engine_answers(&self) -> bool {
        matches!(self.state.borrow().engine, EngineState::Available(_))
    }
}
