//! All that is stored of one service.

use std::collections::BTreeMap;

use crate::model::{
    Endpoint, Millis, NodeId, OutcomeRecord, Replica, ReplicaName, ReplicaStatus, Revision, RevisionNumber,
    Rollout, Service, ServiceName, Traffic, key,
};
use crate::orchestrator::{ReplicaView, ServiceView, VolumeRemovalState};
use crate::store::{Compare, Store, StoreEntry, StoreError};

/// A service with all its records. Read key by key: a commit compares the two revisions kept here, and a record that
/// changes in the meantime marks the service for another pass.
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
    /// By name; that of a managed one is its replica's.
    pub(crate) endpoints: BTreeMap<String, Endpoint>,
}

/// Prefixes of the records that a service has one of.
const SINGLE: [&str; 3] = [key::SERVICES, key::ROLLOUTS, key::TRAFFIC];
/// Prefixes of the records that a service has any number of.
const MULTIPLE: [&str; 5] = [key::REVISIONS, key::OUTCOMES, key::REPLICAS, key::STATUS, key::ENDPOINTS];

impl ServiceState {
    /// The service of this name; `None` if there is none.
    pub(crate) async fn read(store: &dyn Store, name: &ServiceName) -> Result<Option<Self>, StoreError> {
        let Some(service) = store.get(&key::service(name)).await? else { return Ok(None) };
        let mut entries = vec![service];
        entries.extend(store.get(&key::rollout(name)).await?);
        entries.extend(store.get(&key::traffic(name)).await?);
        for prefix in Self::prefixes(name) {
            entries.extend(store.list(&prefix).await?.entries);
        }
        Self::from_entries(name, entries.iter())
    }

    /// The prefixes of a service's records, where it has any number of them.
    pub(crate) fn prefixes(name: &ServiceName) -> impl Iterator<Item = String> + Send {
        MULTIPLE.into_iter().map(move |prefix| format!("{prefix}{name}/"))
    }

    /// Whether a key belongs to the state of a service.
    pub(crate) fn has_record(key: &str) -> bool {
        SINGLE.iter().chain(&MULTIPLE).any(|prefix| key.starts_with(prefix))
    }

    /// The service from its records, in the order of their keys; `None` without the Service itself.
    ///
    /// # Errors
    /// A record that cannot be decoded.
    pub(crate) fn from_entries<'a>(
        name: &ServiceName,
        entries: impl Iterator<Item = &'a StoreEntry>,
    ) -> Result<Option<Self>, StoreError> {
        let mut service = None;
        let mut rollout = None;
        let mut traffic = None;
        let mut revisions = BTreeMap::new();
        let mut outcomes = BTreeMap::new();
        let mut replicas = Vec::new();
        let mut statuses = BTreeMap::new();
        let mut endpoints = BTreeMap::new();
        for entry in entries {
            let prefix = entry.key.split_inclusive('/').next().unwrap_or_default();
            match prefix {
                key::SERVICES => service = Some((entry.decode::<Service>()?, entry.mod_revision)),
                key::ROLLOUTS => rollout = Some((entry.decode::<Rollout>()?, entry.mod_revision)),
                key::TRAFFIC => traffic = Some(entry.decode::<Traffic>()?),
                key::REVISIONS => {
                    let revision: Revision = entry.decode()?;
                    revisions.insert(revision.number, revision);
                }
                key::OUTCOMES => {
                    let record: OutcomeRecord = entry.decode()?;
                    outcomes.insert(record.revision, record);
                }
                key::REPLICAS => replicas.push(entry.decode::<Replica>()?),
                key::STATUS => {
                    let status: ReplicaStatus = entry.decode()?;
                    statuses.insert(status.replica.clone(), status);
                }
                key::ENDPOINTS => {
                    let endpoint: Endpoint = entry.decode()?;
                    endpoints.insert(endpoint.name().into_owned(), endpoint);
                }
                _ => {
                    tracing::error!(service = %name, key = entry.key, "unexpected key in the state of a service")
                }
            }
        }
        let Some((service, service_revision)) = service else { return Ok(None) };
        Ok(Some(Self {
            service,
            service_revision,
            rollout_revision: rollout.as_ref().map(|(_, revision)| *revision),
            rollout: rollout.map(|(rollout, _)| rollout),
            traffic,
            revisions,
            outcomes,
            replicas,
            statuses,
            endpoints,
        }))
    }

    /// The input of a decision.
    pub(crate) fn view(
        &self,
        available: &BTreeMap<ReplicaName, Millis>,
        nodes: Vec<NodeId>,
        unsaved_wait: Millis,
        volume_removal: VolumeRemovalState,
    ) -> ServiceView {
        let replica = |replica: &Replica| ReplicaView {
            replica: replica.clone(),
            status: self.statuses.get(&replica.name).cloned(),
            serving_for: available.get(&replica.name).copied(),
        };
        ServiceView {
            service: self.service.clone(),
            rollout: self.rollout.clone(),
            traffic: self.traffic.clone(),
            revisions: self.revisions.clone(),
            outcomes: self.outcomes.clone(),
            replicas: self.replicas.iter().map(replica).collect(),
            nodes,
            unsaved_wait,
            volume_removal,
        }
    }

    /// Holds while the rollout is the one that was read.
    pub(crate) fn rollout_unchanged(&self) -> Compare {
        let key = key::rollout(self.service.name());
        match self.rollout_revision {
            Some(revision) => Compare::ModRevision(key, revision),
            None => Compare::Absent(key),
        }
    }

    /// Statuses of replicas that are no longer stored.
    pub(crate) fn stray_statuses(&self) -> impl Iterator<Item = &ReplicaName> {
        self.statuses.keys().filter(|name| !self.replicas.iter().any(|replica| replica.name == **name))
    }

    /// All services, without their records.
    ///
    /// # Errors
    /// The store's, or a service that cannot be decoded.
    pub(crate) async fn services(store: &dyn Store) -> Result<Vec<Service>, StoreError> {
        store.list(key::SERVICES).await?.entries.iter().map(StoreEntry::decode).collect()
    }

    /// The names of all services, also of those that cannot be decoded.
    pub(crate) async fn names(store: &dyn Store) -> Result<Vec<ServiceName>, StoreError> {
        let listing = store.list(key::SERVICES).await?;
        Ok(listing.entries.iter().filter_map(|entry| key::service_of(&entry.key)).collect())
    }
}
