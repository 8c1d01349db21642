//! What is shown: services, replicas, the daemon. Reads only.

use std::collections::BTreeMap;

use super::objects::{
    API_VERSION, Awaited, DaemonStatus, NodeObject, OperationProgress, ReplicaObject, RevisionObject,
    ServiceObject, ServiceStatus,
};
use super::progress::{progress, stats};
use super::waits::waits;
use crate::agent::{AgentState, EngineInfo, EngineState};
use crate::controller::Controller;
use crate::controller::error::ControllerError;
use crate::controller::reconciler::{RolloutErrorCount, docker_names, view};
use crate::controller::service_state::ServiceState;
use crate::model::{
    Condition, Endpoint, EngineKind, Event, Generation, Millis, Reason, ReplicaName, ResolvedImage,
    ServiceName, key,
};
use crate::orchestrator;
use crate::store::StoreEntry;

impl Controller {
    /// All services, or those named; unknown names are refused together.
    ///
    /// # Errors
    /// [`ControllerError::NotFound`], or the store's.
    pub async fn services(&self, names: &[ServiceName]) -> Result<Vec<ServiceObject>, ControllerError> {
        let stored = self.stored(names).await?;
        Ok(stored.iter().map(|stored| self.service_object(stored)).collect())
    }

    /// The replicas of all services, or of those named.
    ///
    /// # Errors
    /// As [`Controller::services`].
    pub async fn replicas(&self, names: &[ServiceName]) -> Result<Vec<ReplicaObject>, ControllerError> {
        let barrier = self.registry.barrier();
        let mut objects = Vec::new();
        for stored in self.stored(names).await? {
            let serving = self.serving(&stored);
            for replica in &stored.replicas {
                let revision = stored.revisions.get(&replica.revision);
                objects.push(ReplicaObject {
                    api_version: API_VERSION.to_owned(),
                    kind: "Replica".to_owned(),
                    status: stored.statuses.get(&replica.name).cloned(),
                    available: serving.contains_key(&replica.name),
                    in_flight: stats(&stored, &barrier, &replica.name).in_flight,
                    image: revision
                        .map_or_else(|| stored.service.image.clone(), |revision| revision.image.clone()),
                    spec: replica.clone(),
                });
            }
        }
        Ok(objects)
    }

    /// The endpoints of all services, or of those named.
    ///
    /// # Errors
    /// As [`Controller::services`].
    pub async fn endpoints(&self, names: &[ServiceName]) -> Result<Vec<Endpoint>, ControllerError> {
        Ok(self.stored(names).await?.into_iter().flat_map(|stored| stored.endpoints.into_values()).collect())
    }

    /// The kept revisions of all services, or of those named, with what became of them.
    ///
    /// # Errors
    /// As [`Controller::services`].
    pub async fn revisions(&self, names: &[ServiceName]) -> Result<Vec<RevisionObject>, ControllerError> {
        let mut objects = Vec::new();
        for stored in self.stored(names).await? {
            let ServiceState { revisions, mut outcomes, rollout, .. } = stored;
            let target = rollout.map(|rollout| rollout.target);
            objects.extend(revisions.into_values().map(|revision| RevisionObject {
                record: outcomes.remove(&revision.number),
                current: target == Some(revision.number),
                revision,
            }));
        }
        Ok(objects)
    }

    /// The kept events of all services, or of one, oldest first.
    ///
    /// # Errors
    /// [`ControllerError::NotFound`], or the store's.
    pub async fn events(&self, service: Option<&ServiceName>) -> Result<Vec<Event>, ControllerError> {
        if let Some(name) = service
            && self.store.get(&key::service(name)).await?.is_none()
        {
            return Err(ControllerError::NotFound(vec![name.clone()]));
        }
        let prefix = service.map_or_else(|| key::EVENTS.to_owned(), key::events_of);
        let listing = self.store.list(&prefix).await?;
        let mut events: Vec<Event> =
            listing.entries.iter().map(StoreEntry::decode).collect::<Result<_, _>>()?;
        events.sort_by_key(|event| event.at);
        Ok(events)
    }

    /// Where the operation that wrote `generation` stands; `None` once the service is gone.
    ///
    /// # Errors
    /// The store's.
    pub async fn progress(
        &self,
        name: &ServiceName,
        generation: Generation,
        awaited: Awaited,
    ) -> Result<Option<OperationProgress>, ControllerError> {
        let Some(stored) = ServiceState::read(self.store.as_ref(), name).await? else { return Ok(None) };
        let serving = self.serving(&stored);
        let mut held_by = self.conditions();
        let barrier = self.registry.barrier();
        let assessment = orchestrator::assess(&view(&stored, &serving, &self.nodes, Millis(0)));
        held_by.extend(assessment.conditions.into_iter().filter(|c| c.reason == Reason::RolloutPaused));
        let volume = self.remembered(name, |memory| memory.volumes.held_by());
        held_by.extend(volume.map(|message| Condition::degraded(Reason::VolumeInUse, message)));
        let failed = self.failed_requests(name);
        Ok(Some(progress(&stored, &serving, &barrier, generation, awaited, held_by, failed)))
    }

    /// The daemon itself.
    ///
    /// # Errors
    /// The store's.
    pub async fn status(&self) -> Result<DaemonStatus, ControllerError> {
        let services = self.store.list(key::SERVICES).await?;
        let barrier = self.registry.barrier();
        Ok(DaemonStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime: self.clock.mono().since(self.started),
            store: self.store.identity().id.clone(),
            store_revision: services.revision,
            node: self.node(),
            table: barrier.published.last().cloned(),
            acknowledged: barrier.report.as_ref().and_then(|report| report.applied.clone()),
            http: self.http.iter().map(ToString::to_string).collect(),
            services: u32::try_from(services.entries.len()).unwrap_or(u32::MAX),
            conditions: self.conditions(),
        })
    }

    /// This host.
    pub fn node(&self) -> NodeObject {
        let state = self.state.borrow();
        let (name, engine, available) = match &state.engine {
            EngineState::Available(info) => (info.name.clone(), engine_text(info), true),
            EngineState::Away(error) => (String::new(), error.to_string(), false),
            EngineState::Unknown => (String::new(), "not asked yet".to_owned(), false),
        };
        let id = self.nodes.first().cloned().unwrap_or_else(|| "".into());
        let (kind, unenforced) = match &state.engine {
            EngineState::Available(info) => {
                (Some(info.kind), info.unenforced.iter().map(ToString::to_string).collect())
            }
            EngineState::Away(_) | EngineState::Unknown => (None, Vec::new()),
        };
        let AgentState { exposure, containers, .. } = *state;
        NodeObject { id, name, engine, available, kind, exposure, unenforced, containers }
    }

    /// What holds of the daemon and keeps it from going on.
    pub fn conditions(&self) -> Vec<Condition> {
        let state = self.state.borrow();
        let mut conditions = state.conditions.clone();
        if let EngineState::Away(error) = &state.engine
            && !conditions.iter().any(|condition| condition.reason == Reason::EngineUnavailable)
        {
            conditions.push(Condition::degraded(Reason::EngineUnavailable, error.to_string()));
        }
        if !conditions.iter().any(|condition| condition.reason == Reason::BalancerUnacknowledged) {
            conditions.extend(self.balancer_away().condition(self.clock.mono()));
        }
        conditions.extend(self.source_conditions());
        if let Some(refusal) = self.reports.borrow().as_ref().and_then(|report| report.refused.clone()) {
            conditions.push(Condition::degraded(
                Reason::TableRefused,
                format!("table {}: {}", refusal.table, refusal.reason),
            ));
        }
        conditions
    }

    /// Lets the held removals happen; returns the names of the containers, and of the services that a manifests directory
    /// does not declare any more.
    ///
    /// # Errors
    /// [`ControllerError::Agent`]; nothing was let go then.
    pub async fn confirm(&self) -> Result<Vec<String>, ControllerError> {
        let containers = self.agent.confirm().await?;
        let mut released = self.confirm_declared();
        released.extend(containers);
        Ok(released)
    }

    /// Moves whenever an answer of this controller could have changed.
    pub fn moved(&self) -> tokio::sync::watch::Receiver<u64> {
        self.moved.subscribe()
    }

    async fn stored(&self, names: &[ServiceName]) -> Result<Vec<ServiceState>, ControllerError> {
        let all =
            if names.is_empty() { ServiceState::names(self.store.as_ref()).await? } else { names.to_vec() };
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for name in all {
            match ServiceState::read(self.store.as_ref(), &name).await? {
                Some(stored) => found.push(stored),
                None => missing.push(name),
            }
        }
        // A service may go between the listing and its read; only a name that was asked for is missed.
        if missing.is_empty() || names.is_empty() {
            Ok(found)
        } else {
            Err(ControllerError::NotFound(missing))
        }
    }

    fn serving(&self, stored: &ServiceState) -> BTreeMap<ReplicaName, Millis> {
        let (barrier, now) = (self.registry.barrier(), self.clock.mono());
        self.remembered(stored.service.name(), |memory| memory.serving.observe(stored, &barrier, now))
    }

    /// Requests that failed in the rollout under way, or in the last one.
    fn failed_requests(&self, name: &ServiceName) -> Option<u64> {
        let counted = RolloutErrorCount::of(self.registry.barrier().report.as_deref(), name);
        self.remembered(name, |memory| memory.error_count.failed(counted.as_ref()))
    }

    fn service_object(&self, stored: &ServiceState) -> ServiceObject {
        let serving = self.serving(stored);
        let view = view(stored, &serving, &self.nodes, Millis(0));
        let assessment = orchestrator::assess(&view);
        let rollout = stored.rollout.clone();
        let written = stored.service.written_at;
        let mut troubles = assessment.troubles;
        let (name, now) = (stored.service.name(), self.clock.mono());
        let (held_by_volume, waits) = self.remembered(name, |memory| {
            (memory.volumes.held_by(), waits(&memory.blockers, now.since(memory.held_at)))
        });
        troubles.extend(held_by_volume);
        ServiceObject {
            api_version: API_VERSION.to_owned(),
            kind: "Service".to_owned(),
            metadata: stored.service.metadata.clone(),
            spec: stored.service.spec.clone(),
            status: ServiceStatus {
                observed_generation: rollout
                    .as_ref()
                    .map(|rollout| rollout.observed_generation)
                    .unwrap_or_default(),
                conditions: assessment.conditions.to_vec(),
                wanted: assessment.wanted,
                available: assessment.available,
                image: image(stored),
                overrides: stored.service.overrides.clone(),
                changed_at: rollout.as_ref().map_or(written, |rollout| rollout.since.max(written)),
                rollout,
                troubles,
                waits,
                failed_requests: self.failed_requests(name),
                volumes: docker_names(&stored.service, &self.store.identity().id),
            },
        }
    }
}

/// `Docker 20.10.24 (API 1.41), rootless`.
fn engine_text(info: &EngineInfo) -> String {
    let kind = match info.kind {
        EngineKind::Native => "",
        EngineKind::Rootless => ", rootless",
        EngineKind::Desktop => ", of Docker Desktop",
    };
    format!("Docker {} (API {}){kind}", info.version, info.api_version)
}

/// The image of the revision that should run, which after a rollback is not the spec's; of a release that no pass has taken
/// in, the spec's.
fn image(stored: &ServiceState) -> ResolvedImage {
    let rollout =
        stored.rollout.as_ref().filter(|r| r.observed_generation == stored.service.metadata.generation);
    let target = rollout.and_then(|rollout| stored.revisions.get(&rollout.target));
    target.map_or_else(|| stored.service.image.clone(), |revision| revision.image.clone())
}
