//! What a write starts from: an object as it was read, with what was last applied.

use super::handle::Writes;
use super::kinds::dispatch;
use super::object::{Object, ObjectChange, ObjectContext};
use super::types::WriteAction;
use crate::controller::error::ControllerError;
use crate::model::{Generation, ObjectRef, ObjectSpec, key};
use crate::store::Compare;

/// An object as it was read for a write.
pub(crate) struct WriteSnapshot {
    pub(super) object: Option<Object>,
    /// Of the object's key; 0 where there is no object.
    pub(super) mod_revision: u64,
    pub(super) context: Option<ObjectContext>,
    pub(super) applied: Option<ObjectSpec>,
}

impl WriteSnapshot {
    /// What must be unchanged next to the object when a change is committed.
    pub(super) fn further_compares(&self, change: &ObjectChange) -> Vec<Compare> {
        let found = self.object.as_ref().zip(self.context.as_ref());
        found.map_or_else(Vec::new, |(before, context)| {
            dispatch::further_compares(before, context, &change.after)
        })
    }

    /// A note for a change that replaces something in progress.
    pub(super) fn replaces(&self, change: &ObjectChange) -> Option<String> {
        let (before, context) = self.object.as_ref().zip(self.context.as_ref())?;
        dispatch::replaces(before, context, &change.after)
    }

    pub(super) fn generation(&self) -> Generation {
        self.object.as_ref().map(Object::generation).unwrap_or_default()
    }

    /// Refuses a change that was worked out from an earlier generation than the one that it would overwrite. One that
    /// changes nothing overwrites nothing.
    pub(super) fn check_read(&self, read: Generation, change: &ObjectChange) -> Result<(), ControllerError> {
        match &self.object {
            Some(object) if object.generation() != read && change.action != WriteAction::Unchanged => {
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
    ControllerError::ChangedMeanwhile {
        object: object.reference(),
        read,
        found: object.generation(),
        by: object.written_by().clone(),
        written,
    }
}

impl Writes {
    pub(super) async fn snapshot(&self, object: &ObjectRef) -> Result<WriteSnapshot, ControllerError> {
        let applied = self.store.get(&key::applied(object)).await?;
        let applied = applied.map(|entry| entry.decode()).transpose()?;
        Ok(match dispatch::read(self.store.as_ref(), object).await? {
            Some((object, mod_revision, context)) => {
                WriteSnapshot { object: Some(object), mod_revision, context: Some(context), applied }
            }
            None => WriteSnapshot { object: None, mod_revision: 0, context: None, applied },
        })
    }
}
