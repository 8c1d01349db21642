//! Commands: delete for objects of every kind; for services scale, another image, restart, undo, and requests about a
//! rollout.

use std::collections::BTreeMap;

use super::commit::WriteRequest;
use super::handle::Writes;
use super::kinds::{dispatch, service};
use super::object::{Object, ObjectChange, WriteStamp};
use super::prepared_change::PreparedChange;
use super::rollout_phase::RolloutCommand;
use super::snapshot::WriteSnapshot;
use super::types::{RolloutChange, WriteResult};
use super::undo_target::undo_target;
use crate::controller::error::ControllerError;
use crate::controller::shared_volumes::shared_volumes;
use crate::model::image_reference::with_image;
use crate::model::{Author, ObjectRef, RevisionNumber, ScaleTarget, Service, ServiceName, ServiceSpec, key};

/// What becomes of a request about an object that is being deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeletionPolicy {
    Refuse,
    /// Deleting twice is deleting once.
    Accept,
}

impl Writes {
    /// Sets replica counts. A relative one starts from the count that the write replaces, so that two at once add up.
    ///
    /// # Errors
    /// As [`Writes::apply`]; an unknown service, or a count that a service may not have, refuses the whole request.
    pub async fn scale(
        &self,
        request_id: &str,
        targets: &BTreeMap<ServiceName, ScaleTarget>,
        by: impl Into<Author>,
    ) -> Result<Vec<WriteResult>, ControllerError> {
        if let Some(answer) = self.answered(request_id).await? {
            return Ok(answer);
        }
        self.check_images_to_start(targets).await?;
        let objects: Vec<ObjectRef> = targets.keys().map(ObjectRef::from).collect();
        let fits = async {
            let mut specs = Vec::new();
            for name in targets.keys() {
                let service = self.existing(name).await?;
                let count = count_of(targets, &service)?;
                specs.push((name.clone(), ServiceSpec { replicas: Some(count), ..service.spec }));
            }
            self.check_resources(&specs, &[]).await
        };
        self.change_objects(
            request_id,
            &objects,
            DeletionPolicy::Refuse,
            by.into(),
            fits,
            |snapshot, stamp| {
                let service = &snapshot.service()?.service;
                Ok(service::scale(service, count_of(targets, service)?, stamp)?)
            },
        )
        .await
    }

    /// Deletes objects: they are marked, their routes are free at once, and the replicas of services drain and are
    /// removed. The volumes of services stay, unless `volumes`.
    ///
    /// # Errors
    /// As [`Writes::apply`]; a volume that another service declares as well refuses the whole request.
    pub async fn delete(
        &self,
        request_id: &str,
        objects: &[ObjectRef],
        volumes: bool,
        by: impl Into<Author>,
    ) -> Result<Vec<WriteResult>, ControllerError> {
        let services: Vec<ServiceName> = objects.iter().filter_map(ObjectRef::service_name).collect();
        let may_go = async {
            for object in objects {
                let snapshot = self.snapshot(object).await?;
                let object = snapshot.existing()?;
                if let Some(service) = object.as_service().filter(|_| volumes) {
                    self.check_volumes_unshared(service, &services).await?;
                }
                self.check_source(object, None)?;
            }
            Ok(())
        };
        self.change_objects(
            request_id,
            objects,
            DeletionPolicy::Accept,
            by.into(),
            may_go,
            |snapshot, stamp| Ok(dispatch::delete(snapshot.existing()?, volumes, stamp)?),
        )
        .await
    }

    /// Refuses to delete volumes that a service outside of `names` declares as well.
    async fn check_volumes_unshared(
        &self,
        service: &Service,
        names: &[ServiceName],
    ) -> Result<(), ControllerError> {
        match shared_volumes(self.store.as_ref(), service, names).await?.pop_first() {
            Some((volume, by)) => {
                Err(ControllerError::VolumeShared { volume, service: service.name().clone(), by })
            }
            None => Ok(()),
        }
    }

    /// Rolls one service to another image, to new containers or back to an earlier revision, or pauses, resumes or aborts
    /// its rollout.
    ///
    /// # Errors
    /// As [`Writes::apply`]; [`ControllerError::NotNow`] where the phase of the rollout does not allow the change.
    pub async fn rollout(
        &self,
        request_id: &str,
        name: &ServiceName,
        change: &RolloutChange,
        by: impl Into<Author>,
    ) -> Result<Vec<WriteResult>, ControllerError> {
        let by = by.into();
        if let Some(answer) = self.answered(request_id).await? {
            return Ok(answer);
        }
        let prepared = self.prepare(name, change, &by.command).await?;
        let fits = async {
            let PreparedChange::Undo { revision, .. } = &prepared else { return Ok(()) };
            let after = self.existing(name).await?.spec.with_release_of(&revision.spec);
            self.check_resources(&[(name.clone(), after)], &[]).await
        };
        self.change_objects(
            request_id,
            &[ObjectRef::from(name)],
            DeletionPolicy::Refuse,
            by,
            fits,
            |snapshot, stamp| prepared.change(name, snapshot, stamp),
        )
        .await
    }

    async fn prepare(
        &self,
        name: &ServiceName,
        change: &RolloutChange,
        command: &str,
    ) -> Result<PreparedChange, ControllerError> {
        Ok(match change {
            RolloutChange::Image { image } => {
                let service = self.existing(name).await?;
                let image = with_image(&service.spec.image, image);
                let resolved = self.resolve_one(name, command, &image, &service).await?;
                let read = service.metadata.generation;
                PreparedChange::Image { image, resolved: Box::new(resolved), read }
            }
            RolloutChange::Undo { to } => self.prepare_undo(name, *to).await?,
            RolloutChange::Restart => {
                let moved = self.moved_tag(&self.existing(name).await?.image).await;
                PreparedChange::Restart { moved: moved.map(Box::new) }
            }
            RolloutChange::Retry => PreparedChange::Command(RolloutCommand::Retry),
            RolloutChange::Pause => PreparedChange::Command(RolloutCommand::Pause),
            RolloutChange::Resume => PreparedChange::Command(RolloutCommand::Resume),
            RolloutChange::Abort => PreparedChange::Command(RolloutCommand::Abort),
        })
    }

    /// To the revision asked for, or to what served before; its image must still be there.
    async fn prepare_undo(
        &self,
        name: &ServiceName,
        to: Option<RevisionNumber>,
    ) -> Result<PreparedChange, ControllerError> {
        let snapshot = self.snapshot(&name.into()).await?;
        let read = snapshot.generation();
        let state = snapshot.service()?;
        let found = to.or_else(|| undo_target(state)).and_then(|number| state.revisions.get(&number));
        let Some(revision) = found else {
            let kept = state.revisions.keys().copied().collect();
            return Err(ControllerError::NoRevision { name: name.clone(), wanted: to, kept });
        };
        self.check_image_of(revision).await?;
        let moved = self.moved_tag(&revision.image).await;
        Ok(PreparedChange::Undo { revision: Box::new(revision.clone()), moved: moved.map(Box::new), read })
    }

    /// Changes objects that must exist; `check` decides about the whole request before the first is written, under the
    /// write lock.
    async fn change_objects(
        &self,
        request_id: &str,
        objects: &[ObjectRef],
        deletion: DeletionPolicy,
        by: Author,
        check: impl Future<Output = Result<(), ControllerError>>,
        change: impl Fn(&WriteSnapshot, &WriteStamp<'_>) -> Result<ObjectChange, ControllerError>,
    ) -> Result<Vec<WriteResult>, ControllerError> {
        let by = by.bounded();
        let _lock = self.lock.lock().await;
        if let Some(answer) = self.answered(request_id).await? {
            return Ok(answer);
        }
        self.check_existing(objects, deletion).await?;
        check.await?;
        let total = objects.len();
        let mut request = WriteRequest { request_id, by: &by, total, results: Vec::new(), source: None };
        for object in objects {
            self.write(&mut request, object, &by.command, &change).await?;
        }
        Ok(request.results)
    }

    /// Refuses the whole request before its first write where an object does not exist, or is being deleted and may not.
    async fn check_existing(
        &self,
        objects: &[ObjectRef],
        deletion: DeletionPolicy,
    ) -> Result<(), ControllerError> {
        let mut missing = Vec::new();
        let mut being_deleted = None;
        for object in objects {
            match self.store.get(&key::object(object)).await? {
                None => missing.push(object.clone()),
                Some(entry) if Object::decode(object.kind, &entry)?.header().is_being_deleted => {
                    being_deleted.get_or_insert(object.clone());
                }
                Some(_) => {}
            }
        }
        if !missing.is_empty() {
            return Err(ControllerError::NotFound(missing));
        }
        match being_deleted {
            Some(object) if deletion == DeletionPolicy::Refuse => Err(ControllerError::BeingDeleted(object)),
            _ => Ok(()),
        }
    }
}

/// The count that a service is to have. A default would scale a service to nothing whose stored name is not that of its
/// key.
fn count_of(targets: &BTreeMap<ServiceName, ScaleTarget>, service: &Service) -> Result<u32, ControllerError> {
    let name = service.name();
    let Some(target) = targets.get(name) else {
        return Err(ControllerError::BadValue(format!("no replica count is given for {name}")));
    };
    let count = target.of(service.spec.replica_count());
    count.map_err(|error| ControllerError::BadValue(format!("cannot scale {name}: {error}")))
}
