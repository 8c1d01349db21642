//! What a write starts from: an object as it was read, with what was last applied.

use super::handle::Writes;
use super::kinds::dispatch;
use super::object::{Object, ObjectChange, ObjectContext, ObjectHeader};
use super::types::WriteAction;
use crate::controller::error::ControllerError;
use crate::controller::service_state::ServiceState;
use crate::model::{Generation, ObjectRef, ObjectSpec, Override, key};

/// An object as it was read for a write.
pub(crate) struct WriteSnapshot {
    pub(super) reference: ObjectRef,
    pub(super) object: Option<Object>,
    /// The object without what failed: what a manifest is merged with.
    pub(super) live: Option<Object>,
    /// What commands changed of it whose release failed.
    pub(super) failed: Vec<Override>,
    /// Of the object's key; 0 where there is no object.
    pub(super) mod_revision: u64,
    pub(super) context: ObjectContext,
    pub(super) applied: Option<ObjectSpec>,
}

impl WriteSnapshot {
    /// The service that was read, with its rollout and revisions.
    pub(super) fn service(&self) -> Result<&ServiceState, ControllerError> {
        match &self.context {
            ObjectContext::Service(state) => Ok(state),
            ObjectContext::None => Err(ControllerError::NotFound(vec![self.reference.clone()])),
        }
    }

    /// The object that was read.
    pub(super) fn existing(&self) -> Result<&Object, ControllerError> {
        self.object.as_ref().ok_or_else(|| ControllerError::NotFound(vec![self.reference.clone()]))
    }

    pub(super) fn generation(&self) -> Generation {
        self.object.as_ref().map(|object| object.header().generation).unwrap_or_default()
    }

    /// Refuses a change that was worked out from an earlier generation than the one that it would overwrite. One that
    /// changes nothing overwrites nothing.
    pub(super) fn check_read(&self, read: Generation, change: &ObjectChange) -> Result<(), ControllerError> {
        match &self.object {
            Some(object) if object.header().generation != read && change.action != WriteAction::Unchanged => {
                Err(changed_meanwhile(object, read, Vec::new()))
            }
            _ => Ok(()),
        }
    }
}

/// The refusal of a change that was worked out from generation `read`.
pub(super) fn changed_meanwhile(
    object: &Object,
    read: Generation,
    written: Vec<ObjectRef>,
) -> ControllerError {
    let ObjectHeader { generation: found, written_by, .. } = object.header();
    ControllerError::ChangedMeanwhile {
        object: object.reference(),
        read,
        found,
        by: written_by.clone(),
        written,
    }
}

impl Writes {
    pub(super) async fn snapshot(&self, object: &ObjectRef) -> Result<WriteSnapshot, ControllerError> {
        let applied = self.store.get(&key::applied(object)).await?;
        let applied = applied.map(|entry| entry.decode()).transpose()?;
        let reference = object.clone();
        Ok(match dispatch::read(self.store.as_ref(), object).await? {
            Some((object, mod_revision, context)) => {
                let (live, failed) = context.live(&object)?;
                WriteSnapshot {
                    reference,
                    object: Some(object),
                    live: Some(live),
                    failed,
                    mod_revision,
                    context,
                    applied,
                }
            }
            None => WriteSnapshot {
                reference,
                object: None,
                live: None,
                failed: Vec::new(),
                mod_revision: 0,
                context: ObjectContext::None,
                applied,
            },
        })
    }
}
