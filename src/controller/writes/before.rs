//! What a write starts from: a service as it was read, with what was last applied and where its rollout stands.

use std::collections::BTreeMap;

use super::edit::Edit;
use super::request::WriteAction;
use super::steer::{Position, position};
use crate::controller::Controller;
use crate::controller::error::ControllerError;
use crate::model::{Generation, Revision, RevisionNumber, Rollout, Service, ServiceName, ServiceSpec, key};

/// A service as it was read for a write, with where its rollout stands.
pub(super) struct Before {
    pub(super) service: Option<(Service, u64)>,
    pub(super) applied: Option<ServiceSpec>,
    pub(super) rollout: Option<(Rollout, u64)>,
    revisions: BTreeMap<RevisionNumber, Revision>,
}

impl Before {
    pub(super) fn service(&self) -> Option<&Service> {
        self.service.as_ref().map(|(service, _)| service)
    }

    pub(super) fn generation(&self) -> Generation {
        self.service().map(|service| service.metadata.generation).unwrap_or_default()
    }

    /// Where the rollout of the service stands.
    pub(super) fn position(&self, service: &Service) -> Position {
        position(service, self.rollout.as_ref().map(|(rollout, _)| rollout), &self.revisions)
    }

    /// Refuses a change that was worked out from an earlier generation than the one that it would overwrite. One that
    /// changes nothing overwrites nothing.
    pub(super) fn check_read(&self, read: Generation, edit: &Edit) -> Result<(), ControllerError> {
        let Some(service) = self.service().filter(|service| service.metadata.generation != read) else {
            return Ok(());
        };
        if edit.action == WriteAction::Unchanged {
            return Ok(());
        }
        Err(changed_meanwhile(service, read, Vec::new()))
    }

    /// What is said where a change takes the place of a rollout that has not ended.
    pub(super) fn taken_over(&self, edit: &Edit) -> Option<String> {
        let service = self.service().filter(|service| !service.release().is(edit.after.release()))?;
        self.position(service).taken_over()
    }
}

/// The refusal of a change that was worked out from generation `read`.
pub(super) fn changed_meanwhile(
    service: &Service,
    read: Generation,
    written: Vec<ServiceName>,
) -> ControllerError {
    ControllerError::ChangedMeanwhile {
        name: service.name().clone(),
        read,
        found: service.metadata.generation,
        by: service.written_by.clone(),
        written,
    }
}

impl Controller {
    /// Reads what a write of this service starts from.
    pub(super) async fn read_before(&self, name: &ServiceName) -> Result<Before, ControllerError> {
        let service = self.store.get(&key::service(name)).await?;
        let applied = self.store.get(&key::applied(name)).await?;
        let rollout = self.store.get(&key::rollout(name)).await?;
        let mut revisions = BTreeMap::new();
        for entry in self.store.list(&key::revisions_of(name)).await?.entries {
            let revision: Revision = entry.decode()?;
            revisions.insert(revision.number, revision);
        }
        Ok(Before {
            service: service.map(|entry| entry.decode().map(|s| (s, entry.mod_revision))).transpose()?,
            applied: applied.map(|entry| entry.decode()).transpose()?,
            rollout: rollout.map(|entry| entry.decode().map(|r| (r, entry.mod_revision))).transpose()?,
            revisions,
        })
    }
}
