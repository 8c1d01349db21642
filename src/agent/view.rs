//! What a pass sees: one host, whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::address::Subnet;
use super::memory::AgentMemory;
use super::node::NodeFacts;
use crate::engine::{
    ContainerState, LABEL_ATTEMPT, LABEL_REPLICA, LABEL_STORE, ObservedContainer, ObservedNetwork,
};
use crate::model::{
    AppName, ContainerId, Endpoint, EndpointId, EndpointState, Replica, ReplicaName, ReplicaPhase,
    ReplicaStatus, Revision, RevisionNumber, ServiceName,
};
use crate::probe::ProbeState;
use crate::registry::Barrier;

/// What is kept of an app's network: it is made again with the same subnet if it went missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkRecord {
    /// `10.209.3.0/24`.
    pub subnet: Subnet,
    /// Addresses up to this place in their endless round may have been given out: a later run goes on behind it.
    pub reserved: u64,
}

/// What the agent keeps over a restart: `nodes/<id>/state`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeState {
    /// The machine's boot id when this was written.
    pub boot_id: String,
    /// Networks by app.
    pub networks: BTreeMap<AppName, NetworkRecord>,
    /// Published ports up to this place in their endless round may have been given out; `None` if none ever was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<u64>,
    /// Tags of ours that protect images of stored revisions.
    pub tags: BTreeSet<String>,
}

/// A replica of this host with all that is stored about it.
#[derive(Debug, Clone)]
pub struct WantedReplica {
    /// What is wanted.
    pub replica: Replica,
    /// Its revision; `None` if the store does not have it, which never happens to a sound store.
    pub revision: Option<Arc<Revision>>,
    /// What the agent last said.
    pub status: Option<ReplicaStatus>,
    /// Its endpoint.
    pub endpoint: Option<Endpoint>,
}

/// What an action is under way on. A pass plans nothing for these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A container of this replica is being made or started.
    Replica(ReplicaName),
    /// It is being stopped, removed or looked into: evidence is taken before anything is done to it.
    Container(ContainerId),
    /// It is looked for.
    Image(String),
    /// It is pulled.
    Pull(String),
    /// It is being made or removed.
    Network(String),
    /// It is set or taken away.
    Tag(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replica(name) => write!(f, "replica {name}"),
            Self::Container(id) => write!(f, "container {}", id.short()),
            Self::Image(text) | Self::Pull(text) => write!(f, "image {text}"),
            Self::Network(name) => write!(f, "network {name}"),
            Self::Tag(tag) => write!(f, "tag {tag}"),
        }
    }
}

/// One host: the whole input of a decision.
#[derive(Debug, Clone)]
pub struct NodeView {
    /// Who we are.
    pub facts: NodeFacts,
    /// Whether the Engine answers. If not, everything observed is of before.
    pub engine_answers: bool,
    /// What is kept of this host.
    pub state: NodeState,
    /// Apps that a stored service belongs to.
    pub apps: BTreeSet<AppName>,
    /// Replicas of this host.
    pub replicas: BTreeMap<ReplicaName, WantedReplica>,
    /// Stored endpoints whose replica is not stored.
    pub stray_endpoints: Vec<Endpoint>,
    /// Stored revisions.
    pub revisions: BTreeMap<(ServiceName, RevisionNumber), Arc<Revision>>,
    /// Containers with a store label, whoever's.
    pub containers: Vec<ObservedContainer>,
    /// Networks with a store label, whoever's.
    pub networks: Vec<ObservedNetwork>,
    /// Subnets of all networks.
    pub subnets: Vec<String>,
    /// What the probes say.
    pub probes: BTreeMap<EndpointId, ProbeState>,
    /// What the balancers have acknowledged.
    pub barrier: Barrier,
    /// What an action is under way on.
    pub busy: BTreeSet<Subject>,
    /// What earlier passes saw.
    pub memory: AgentMemory,
}

impl NodeView {
    /// Name of an app's network.
    pub fn network_name(&self, app: &AppName) -> String {
        format!("coxswain-{app}-{}", self.facts.store.short())
    }

    /// Whether the container is of our store: only then may anything be done to it.
    pub fn is_ours(&self, container: &ObservedContainer) -> bool {
        container.labels.get(LABEL_STORE).map(String::as_str) == Some(self.facts.store.as_str())
    }

    /// Containers of our store.
    pub fn ours(&self) -> impl Iterator<Item = &ObservedContainer> {
        self.containers.iter().filter(|c| self.is_ours(c))
    }

    /// Stored endpoints by their identity.
    pub fn endpoints(&self) -> BTreeMap<EndpointId, &Endpoint> {
        let wanted = self.replicas.values().filter_map(|w| w.endpoint.as_ref());
        wanted.chain(&self.stray_endpoints).map(|endpoint| (endpoint.id(), endpoint)).collect()
    }
}

/// The replica that a container was made for, by its label.
pub(super) fn replica_of(container: &ObservedContainer) -> Option<ReplicaName> {
    container.labels.get(LABEL_REPLICA).map(ReplicaName::new)
}

/// The attempt that a container is, by its label; 0 where the label is not a number.
pub(super) fn attempt_of(container: &ObservedContainer) -> u32 {
    container.labels.get(LABEL_ATTEMPT).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Whether its process lives.
pub(super) fn is_up(container: &ObservedContainer) -> bool {
    matches!(container.state, ContainerState::Running | ContainerState::Paused | ContainerState::Restarting)
}

/// The identity of what runs in a container; `None` before its first start.
pub(super) fn instance_of(container: &ObservedContainer) -> Option<EndpointId> {
    container.started_at.map(|at| EndpointId::new(&container.id, at))
}

/// The address that a container has or will have when it is started again: from its label, so that a dead one counts.
pub(super) fn address_of(container: &ObservedContainer) -> Option<Ipv4Addr> {
    container.labels.get(super::spec::LABEL_ADDRESS).and_then(|text| text.parse().ok())
}

/// Whether this container was ready before, and is, as far as its status tells: for replicas without an endpoint.
pub(super) fn shown_state(wanted: &WantedReplica, container: &ObservedContainer) -> Option<EndpointState> {
    let status = wanted.status.as_ref().filter(|s| s.container.as_ref() == Some(&container.id))?;
    match status.phase {
        ReplicaPhase::Ready => Some(EndpointState::Ready),
        ReplicaPhase::Unready { .. } => Some(EndpointState::Unready),
        _ => None,
    }
}
