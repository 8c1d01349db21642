//! What a pass observes: the whole node, without the agent's memory. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::action::ActionSubject;
use super::node::NodeFacts;
use super::node_state::NodeState;
use crate::engine::{
    ContainerState, LABEL_ADDRESS, LABEL_ATTEMPT, LABEL_REPLICA, LABEL_REPLICA_CREATED_AT, LABEL_SERVICE,
    ObservedContainer, ObservedNetwork, has_label, is_check_of, is_of_store,
};
use crate::model::{
    AppName, Endpoint, EndpointId, EndpointState, Replica, ReplicaName, ReplicaPhase, ReplicaStatus,
    Revision, RevisionNumber, ServiceName,
};
use crate::probe::ProbeState;
use crate::registry::Barrier;

/// A replica of this node with everything stored about it.
#[derive(Debug, Clone)]
pub struct WantedReplica {
    pub replica: Replica,
    /// `None` if the store lacks it, which never happens to a sound store.
    pub revision: Option<Arc<Revision>>,
    /// What the agent last wrote.
    pub status: Option<ReplicaStatus>,
    pub endpoint: Option<Endpoint>,
}

impl WantedReplica {
    /// Its stored endpoint, if that is of what runs in this container.
    pub(super) fn endpoint_of(&self, container: &ObservedContainer) -> Option<&Endpoint> {
        self.endpoint.as_ref().filter(|endpoint| instance_of(container) == Some(endpoint.id()))
    }
}

/// One node as observed: with the agent's memory, the whole input of a decision.
#[derive(Debug, Clone)]
pub struct NodeView {
    pub facts: NodeFacts,
    /// Whether the Engine answers. If not, everything observed is from before.
    pub engine_answers: bool,
    pub state: NodeState,
    /// Apps that a stored service belongs to.
    pub apps: BTreeSet<AppName>,
    pub replicas: BTreeMap<ReplicaName, WantedReplica>,
    /// Stored endpoints whose replica is not stored.
    pub stray_endpoints: Vec<Endpoint>,
    pub revisions: BTreeMap<(ServiceName, RevisionNumber), Arc<Revision>>,
    /// Containers with a store label, of whatever store.
    pub containers: Vec<ObservedContainer>,
    /// Networks with a store label, of whatever store.
    pub networks: Vec<ObservedNetwork>,
    /// Subnets of all networks.
    pub subnets: Vec<String>,
    pub probes: BTreeMap<EndpointId, ProbeState>,
    /// What the balancers have acknowledged.
    pub barrier: Barrier,
    pub busy: BTreeSet<ActionSubject>,
}

impl NodeView {
    /// Name of an app's network.
    pub fn network_name(&self, app: &AppName) -> String {
        format!("coxswain-{app}-{}", self.facts.store.short())
    }

    /// Whether the container is of our store, and not one that checks something: only then may anything be done to it.
    pub fn is_ours(&self, container: &ObservedContainer) -> bool {
        let labels = &container.labels;
        is_of_store(labels, &self.facts.store) && !is_check_of(labels, &self.facts.store)
    }

    /// Whether the container runs and is not on its app's network: nothing reaches it.
    pub(super) fn is_off_network(&self, container: &ObservedContainer) -> bool {
        let wanted = self.wanted_of(container);
        let is_connected = match wanted {
            Some(wanted) => container.addresses.contains_key(&self.network_name(&wanted.replica.app)),
            None => !container.addresses.is_empty(),
        };
        container.state == ContainerState::Running && !is_connected
    }

    /// The stored replica that a container is of. One of the same name that was made at another time is not: the store was
    /// replaced by an older copy since.
    pub(super) fn wanted_of(&self, container: &ObservedContainer) -> Option<&WantedReplica> {
        let wanted = self.replicas.get(&replica_of(container)?)?;
        let is_its = match wanted.replica.created_at {
            Some(created_at) => {
                has_label(&container.labels, LABEL_REPLICA_CREATED_AT, &created_at.to_string())
            }
            // By an earlier version, which had no such label.
            None => true,
        };
        is_its.then_some(wanted)
    }

    /// Containers of our store, without those that check something.
    pub fn ours(&self) -> impl Iterator<Item = &ObservedContainer> {
        self.containers.iter().filter(|c| self.is_ours(c))
    }

    /// Stored endpoints by their identity.
    pub fn endpoints(&self) -> BTreeMap<EndpointId, &Endpoint> {
        let wanted = self.replicas.values().filter_map(|w| w.endpoint.as_ref());
        wanted.chain(&self.stray_endpoints).map(|endpoint| (endpoint.id(), endpoint)).collect()
    }
}

/// The service of a container, by its label.
pub(super) fn service_of(container: &ObservedContainer) -> Option<ServiceName> {
    container.labels.get(LABEL_SERVICE).map(ServiceName::new)
}

/// The replica of a container, by its label.
pub(super) fn replica_of(container: &ObservedContainer) -> Option<ReplicaName> {
    container.labels.get(LABEL_REPLICA).map(ReplicaName::new)
}

/// The attempt of a container, by its label; 0 where the label is not a number.
pub(super) fn attempt_of(container: &ObservedContainer) -> u32 {
    container.labels.get(LABEL_ATTEMPT).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Whether its process exists, frozen or not.
pub(super) fn is_up(container: &ObservedContainer) -> bool {
    matches!(container.state, ContainerState::Running | ContainerState::Paused | ContainerState::Restarting)
}

/// The identity of what runs in a container; `None` before its first start.
pub(super) fn instance_of(container: &ObservedContainer) -> Option<EndpointId> {
    container.started_at.map(|at| EndpointId::new(&container.id, at))
}

/// The address that a container holds or will hold when it is started again: from its label, so that an exited one counts.
pub(super) fn address_of(container: &ObservedContainer) -> Option<Ipv4Addr> {
    container.labels.get(LABEL_ADDRESS).and_then(|text| text.parse().ok())
}

/// The last known readiness of this container by its status: for replicas without an endpoint.
pub(super) fn shown_state(wanted: &WantedReplica, container: &ObservedContainer) -> Option<EndpointState> {
    let status = wanted.status.as_ref().filter(|s| s.container.as_ref() == Some(&container.id))?;
    match status.phase {
        ReplicaPhase::Ready => Some(EndpointState::Ready),
        ReplicaPhase::Unready { .. } => Some(EndpointState::Unready),
        _ => None,
    }
}
