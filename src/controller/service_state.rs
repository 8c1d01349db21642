//! Reading one service whole from the store.

use std::collections::BTreeMap;

use crate::model::{
    Endpoint, OutcomeRecord, Replica, ReplicaName, ReplicaStatus, Revision, RevisionNumber, Rollout, Service,
    ServiceName, Traffic, key,
};
use crate::store::{Store, StoreError};

/// All that is stored of one service. Read key by key; a commit compares the two revisions kept here, and statuses that
/// moved on meanwhile mark the service for another pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceState {
    pub(crate) service: Service,
    pub(crate) service_revision: u64,
    pub(crate) rollout: Option<Rollout>,
    pub(crate) rollout_revision: Option<u64>,
    pub(crate) traffic: Option<Traffic>,
    pub(crate) revisions: BTreeMap<RevisionNumber, Revision>,
    pub(crate) outcomes: BTreeMap<RevisionNumber, OutcomeRecord>,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) statuses: BTreeMap<ReplicaName, ReplicaStatus>,
    pub(crate) endpoints: BTreeMap<ReplicaName, Endpoint>,
}

impl ServiceState {
    /// A service by name; `None` where there is none.
    pub(crate) async fn read(store: &dyn Store, name: &ServiceName) -> Result<Option<Self>, StoreError> {
        let Some(service) = store.get(&key::service(name)).await? else { return Ok(None) };
        let rollout = store.get(&key::rollout(name)).await?;
        let traffic = store.get(&key::traffic(name)).await?;
        let mut revisions = BTreeMap::new();
        for entry in store.list(&key::revisions_of(name)).await?.entries {
            let revision: Revision = entry.decode()?;
            revisions.insert(revision.number, revision);
        }
        let mut outcomes = BTreeMap::new();
        for entry in store.list(&key::outcomes_of(name)).await?.entries {
            let record: OutcomeRecord = entry.decode()?;
            outcomes.insert(record.revision, record);
        }
        let mut replicas = Vec::new();
        for entry in store.list(&key::replicas_of(name)).await?.entries {
            replicas.push(entry.decode::<Replica>()?);
        }
        let mut statuses = BTreeMap::new();
        for entry in store.list(&key::statuses_of(name)).await?.entries {
            let status: ReplicaStatus = entry.decode()?;
            statuses.insert(status.replica.clone(), status);
        }
        let mut endpoints = BTreeMap::new();
        for entry in store.list(&key::endpoints_of(name)).await?.entries {
            let endpoint: Endpoint = entry.decode()?;
            endpoints.insert(endpoint.replica.clone(), endpoint);
        }
        Ok(Some(Self {
            service: service.decode()?,
            service_revision: service.mod_revision,
            rollout: rollout.as_ref().map(|entry| entry.decode()).transpose()?,
            rollout_revision: rollout.map(|entry| entry.mod_revision),
            traffic: traffic.map(|entry| entry.decode()).transpose()?,
            revisions,
            outcomes,
            replicas,
            statuses,
            endpoints,
        }))
    }

    /// Replicas that are not stored any more and have a status all the same.
    pub(crate) fn stray_statuses(&self) -> impl Iterator<Item = &ReplicaName> {
        self.statuses.keys().filter(|name| !self.replicas.iter().any(|replica| replica.name == **name))
    }

    /// The names of all services.
    pub(crate) async fn names(store: &dyn Store) -> Result<Vec<ServiceName>, StoreError> {
        let listing = store.list(key::SERVICES).await?;
        Ok(listing.entries.iter().filter_map(|entry| key::service_of(&entry.key)).collect())
    }
}
