//! What is stored about this node, read again by each pass; only what changed is decoded again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::node_state::NodeState;
use super::view::WantedReplica;
use crate::model::{
    AppName, Endpoint, NodeId, Replica, ReplicaName, ReplicaStatus, Revision, RevisionNumber, Service,
    ServiceName, key,
};
use crate::store::{Decoded, Store, StoreError};

/// The stored objects.
#[derive(Debug, Default)]
pub(super) struct StoreSnapshot {
    services: Decoded<Service>,
    revisions: Decoded<Revision>,
    replicas: Decoded<Replica>,
    statuses: Decoded<ReplicaStatus>,
    endpoints: Decoded<Endpoint>,
    pub(super) state: NodeState,
}

impl StoreSnapshot {
    /// Reads everything. Replicas come first: a revision is stored no later than the first replica of it.
    pub(super) async fn refresh(&mut self, store: &dyn Store, node: &NodeId) -> Result<(), StoreError> {
        self.replicas.refresh(store.list(key::REPLICAS).await?)?;
        self.revisions.refresh(store.list(key::REVISIONS).await?)?;
        self.services.refresh(store.list(key::SERVICES).await?)?;
        self.statuses.refresh(store.list(key::STATUS).await?)?;
        self.endpoints.refresh(store.list(key::ENDPOINTS).await?)?;
        self.state = match store.get(&key::node_state(node)).await? {
            Some(entry) => entry.decode()?,
            None => NodeState::default(),
        };
        Ok(())
    }

    /// Apps that a stored service belongs to.
    pub(super) fn apps(&self) -> BTreeSet<AppName> {
        self.services.iter().map(|s| s.metadata.app.clone()).collect()
    }

    pub(super) fn revisions(&self) -> BTreeMap<(ServiceName, RevisionNumber), Arc<Revision>> {
        self.revisions.shared().map(|r| ((r.service.clone(), r.number), r.clone())).collect()
    }

    /// The replicas of this node.
    pub(super) fn replicas(&self, node: &NodeId) -> BTreeMap<ReplicaName, WantedReplica> {
        let here = self.replicas.iter().filter(|replica| replica.node == *node);
        here.map(|replica| (replica.name.clone(), self.wanted(replica))).collect()
    }

    fn wanted(&self, replica: &Replica) -> WantedReplica {
        let service = &replica.service;
        let name = &replica.name;
        WantedReplica {
            replica: replica.clone(),
            revision: self.revisions.get(&key::revision(service, replica.revision)).cloned(),
            status: self.statuses.get(&key::status(service, name)).map(|s| (**s).clone()),
            endpoint: self.endpoints.get(&key::endpoint(service, name.as_str())).map(|e| (**e).clone()),
        }
    }

    /// Endpoints of replicas that are not stored.
    pub(super) fn stray_endpoints(&self) -> Vec<Endpoint> {
        let stray = |endpoint: &&Endpoint| {
            let replica = endpoint.replica().map(|replica| key::replica(&endpoint.service, replica));
            replica.is_some_and(|key| self.replicas.get(&key).is_none())
        };
        self.endpoints.iter().filter(stray).cloned().collect()
    }
}
