//! Services and what belongs to them: replicas, endpoints, revisions, events, the progress of an operation.

use std::sync::Arc;

use super::balancer_waits::balancer_waits;
use super::deadline::deadline;
use super::handle::Queries;
use super::progress::{cut_since, deleted, progress, replicas};
use super::read_model::ServicesSnapshot;
use super::served_certificates::CertificateSnapshot;
use super::snapshots::{Awaited, ProgressSnapshot, ReplicaSnapshot, RevisionSnapshot, ServiceSnapshot};
use super::waits::waits;
use crate::controller::error::ControllerError;
use crate::controller::reconciler::FailedRequestCount;
use crate::controller::service_state::ServiceState;
use crate::controller::writes::live;
use crate::model::{
    Condition, Endpoint, Event, EventReason, Generation, ImageVolume, LastExit, Millis, ObjectRef, Reason,
    ReplicaName, ReplicaStatus, ResolvedImage, Service, ServiceName, StoreId, Volume,
};
use crate::orchestrator::{self, Assessment, VolumeRemovalState};

impl Queries {
    /// All services, or those named; unknown names are refused together.
    ///
    /// # Errors
    /// [`ControllerError::NotFound`], or the store's.
    pub async fn services(&self, names: &[ServiceName]) -> Result<Vec<ServiceSnapshot>, ControllerError> {
        let states = self.states(names).await?;
        Ok(states.iter().map(|state| self.service_snapshot(state)).collect())
    }

    /// The replicas of all services, or of those named.
    ///
    /// # Errors
    /// As [`Queries::services`].
    pub async fn replicas(&self, names: &[ServiceName]) -> Result<Vec<ReplicaSnapshot>, ControllerError> {
        let barrier = self.registry.barrier();
        let states = self.states(names).await?;
        Ok(states.iter().flat_map(|state| replicas(state, &self.assess(state), &barrier)).collect())
    }

    /// The endpoints of all services, or of those named.
    ///
    /// # Errors
    /// As [`Queries::services`].
    pub async fn endpoints(&self, names: &[ServiceName]) -> Result<Vec<Endpoint>, ControllerError> {
        let states = self.states(names).await?;
        Ok(states.iter().flat_map(|state| state.endpoints.values().cloned()).collect())
    }

    /// The certificates of all HTTPS hosts, or of those of these services.
    ///
    /// # Errors
    /// As [`Queries::services`].
    pub async fn certificates(
        &self,
        names: &[ServiceName],
    ) -> Result<Vec<CertificateSnapshot>, ControllerError> {
        self.states(names).await?;
        let mut found = self.certificates.report().certificates;
        found.retain(|one| names.is_empty() || names.iter().any(|name| one.services.contains(name)));
        Ok(found)
    }

    /// The kept revisions of all services, or of those named, with their outcomes.
    ///
    /// # Errors
    /// As [`Queries::services`].
    pub async fn revisions(&self, names: &[ServiceName]) -> Result<Vec<RevisionSnapshot>, ControllerError> {
        let mut objects = Vec::new();
        for state in self.states(names).await? {
            let target = state.rollout.as_ref().map(|rollout| rollout.target);
            objects.extend(state.revisions.values().map(|revision| RevisionSnapshot {
                record: state.outcomes.get(&revision.number).cloned(),
                current: target == Some(revision.number),
                revision: revision.clone(),
            }));
        }
        Ok(objects)
    }

    /// The kept events of all services, or of one, oldest first; those of a deleted service for a day.
    ///
    /// # Errors
    /// [`ControllerError::NotFound`] for a service that neither exists nor has events, or the store's.
    pub async fn events(&self, service: Option<&ServiceName>) -> Result<Vec<Event>, ControllerError> {
        let mut events = self.model.events(service).await?;
        if let Some(name) = service.filter(|_| events.is_empty()) {
            self.states(std::slice::from_ref(name)).await?;
        }
        events.sort_by_key(|event| event.at);
        Ok(events)
    }

    /// Whether there is such a service.
    ///
    /// # Errors
    /// The store's.
    pub async fn exists(&self, name: &ServiceName) -> Result<bool, ControllerError> {
        match self.states(std::slice::from_ref(name)).await {
            Ok(_) => Ok(true),
            Err(ControllerError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// How far the operation that wrote `generation` has come; `None` once the service is gone.
    ///
    /// # Errors
    /// The store's.
    pub async fn progress(
        &self,
        name: &ServiceName,
        generation: Generation,
        awaited: Awaited,
    ) -> Result<Option<ProgressSnapshot>, ControllerError> {
        let read = self.model.services(std::slice::from_ref(name)).await?;
        let Some(state) = read.services.get(name) else { return Ok(None) };
        let mut held_by = self.conditions();
        let barrier = self.registry.barrier();
        let assessment = self.assess(state);
        let paused = assessment.conditions.iter().filter(|c| c.reason == Reason::RolloutPaused);
        held_by.extend(paused.cloned());
        let in_use = self.facts.of(name).volumes_in_use.clone();
        held_by.extend(in_use.map(|message| Condition::degraded(Reason::VolumeInUse, message)));
        held_by.extend(self.unopened_ports.condition(name));
        let failed = self.failed_requests(name);
        Ok(Some(progress(state, &assessment, &barrier, generation, awaited, held_by, failed)))
    }

    /// The end of a service that is gone: its last event says that it was deleted. `None` where there was none, or it
    /// is too long ago.
    ///
    /// # Errors
    /// The store's.
    pub async fn deletion(&self, name: &ServiceName) -> Result<Option<ProgressSnapshot>, ControllerError> {
        let events = self.model.events(Some(name)).await?;
        let last = events.into_iter().rfind(|event| event.reason == EventReason::ServiceDeleted);
        Ok(last.map(|event| deleted(name, event.cut)))
    }

    async fn states(&self, names: &[ServiceName]) -> Result<Vec<Arc<ServiceState>>, ControllerError> {
        let ServicesSnapshot { services, .. } = self.model.services(names).await?;
        let missing: Vec<ObjectRef> =
            names.iter().filter(|name| !services.contains_key(*name)).map(ObjectRef::from).collect();
        if !missing.is_empty() {
            return Err(ControllerError::NotFound(missing));
        }
        if names.is_empty() {
            return Ok(services.into_values().collect());
        }
        Ok(names.iter().filter_map(|name| services.get(name).cloned()).collect())
    }

    /// What the orchestrator says of the service as it is now; nothing else decides which replicas are available.
    fn assess(&self, state: &ServiceState) -> Assessment {
        let now = self.clock.mono();
        let facts = self.facts.of(state.service.name());
        let ready_for = facts.ready.at(state, &self.registry.barrier(), now).lengths(now);
        let view = state.view(&ready_for, self.nodes.ids(), Millis(0), VolumeRemovalState::default());
        orchestrator::assess(&view)
    }

    /// Requests that failed in the rollout under way, or in the last one.
    fn failed_requests(&self, name: &ServiceName) -> Option<u64> {
        let counted = FailedRequestCount::of(&self.registry.reports().borrow(), name);
        self.facts.of(name).error_count.failed(counted.as_ref())
    }

    fn service_snapshot(&self, state: &ServiceState) -> ServiceSnapshot {
        let name = state.service.name();
        let assessment = self.assess(state);
        let facts = self.facts.of(name);
        let mut waits = waits(&facts.blockers, self.clock.mono().since(facts.passed_at));
        waits.extend(balancer_waits(state, &self.registry.barrier()));
        let mut troubles = assessment.troubles;
        troubles.extend(facts.volumes_in_use.clone());
        troubles.extend(self.unopened_ports.of(name));
        troubles.extend(self.certificates.of(name));
        let mut conditions = assessment.conditions.to_vec();
        self.unopened_ports.show_in(&mut conditions, name);
        self.certificates.show_in(&mut conditions, name);
        ServiceSnapshot {
            service: shown(state),
            rollout: state.rollout.clone(),
            deadline: deadline(state, self.clock.wall()),
            conditions,
            wanted: assessment.wanted,
            available: assessment.available,
            image: image(state),
            troubles,
            waits,
            failed_requests: self.failed_requests(name),
            cut: cut_since(state, Generation::default()),
            volumes: docker_names(&state.service, &self.store),
            restart_count: running(state).fold(0, |sum, status| sum.saturating_add(status.restart_count())),
            last_exit: last_exit(state),
        }
    }
}

/// The service with the overrides that are in force; all that are stored, where that is not known.
fn shown(state: &ServiceState) -> Service {
    let stored = &state.service;
    let overrides = live(state).map_or_else(|_| stored.overrides.clone(), |live| live.service.overrides);
    Service { overrides, ..stored.clone() }
}

/// The image of the revision that should run, which after a rollback is not the spec's; the spec's until a pass has
/// observed the release.
fn image(state: &ServiceState) -> ResolvedImage {
    let rollout =
        state.rollout.as_ref().filter(|r| r.observed_generation == state.service.metadata.generation);
    let target = rollout.and_then(|rollout| state.revisions.get(&rollout.target));
    target.map_or_else(|| state.service.image.clone(), |revision| revision.image.clone())
}

/// The statuses of the replicas that are meant to run.
fn running(state: &ServiceState) -> impl Iterator<Item = &ReplicaStatus> {
    state.replicas.iter().filter(|replica| replica.runs()).filter_map(|r| state.statuses.get(&r.name))
}

fn last_exit(state: &ServiceState) -> Option<(ReplicaName, LastExit)> {
    let exits = running(state).filter_map(|s| Some((s.replica.clone(), s.history.last_exit.clone()?)));
    exits.max_by_key(|(_, exit)| exit.at)
}

/// Names in Docker of the volumes that a service declares, for the slots it wants.
fn docker_names(service: &Service, store: &StoreId) -> Vec<String> {
    let slots = |volume: &Volume| if volume.per_replica { service.spec.replica_count() } else { 1 };
    let names = |volume: &Volume| {
        let volume = volume.clone();
        let app = service.metadata.app.clone();
        (1..=slots(&volume)).filter_map(move |slot| volume.docker_name(&app, slot, store))
    };
    let of_image = |volume: ImageVolume<'_>| {
        let name = |slot| volume.docker_name(&service.metadata.app, service.name(), slot, store);
        (1..=service.spec.replica_count()).map(name).collect::<Vec<_>>()
    };
    let named = service.spec.volumes.iter().flat_map(names);
    named.chain(service.release().image_volumes().into_iter().flat_map(of_image)).collect()
}
