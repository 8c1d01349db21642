//! An object of any kind: as stored, as read for a write, and as changed by one.
//!
//! A new kind is a variant of [`Object`] and [`ObjectContext`], and an arm in each `match` here and in `kinds/dispatch.rs`.
//! Nothing else of the write side matches on kinds.

use std::collections::BTreeMap;

use super::kinds::service_context::ServiceContext;
use super::types::{FieldChange, Overridden, WriteAction, WriteResult};
use crate::model::{
    AppName, Author, Generation, ObjectKind, ObjectRef, ObjectSpec, Override, ResolvedImage, RouteClaim,
    Service, key,
};
use crate::store::{Op, StoreEntry, StoreError};

/// An object as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Object {
    Service(Box<Service>),
}

/// What is read together with an object because writes of it depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ObjectContext {
    Service(ServiceContext),
}

/// The author of a write, its time, and the id of what it creates.
#[derive(Debug, Clone)]
pub(crate) struct WriteStamp<'a> {
    pub(crate) by: &'a Author,
    pub(crate) at: jiff::Timestamp,
    /// For an object that does not exist yet.
    pub(crate) uid: String,
    /// The manifests directory that declares what is applied; `None` for a command.
    pub(crate) source: Option<String>,
}

/// An object after a request, and how it differs from before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectChange {
    /// With its next generation, or the object as it was where nothing changes.
    pub(crate) after: Object,
    pub(crate) action: WriteAction,
    pub(crate) changes: Vec<FieldChange>,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
    /// Of an apply: the spec to remember as last applied.
    pub(crate) applied: Option<ObjectSpec>,
    /// Of an apply: overrides that stay.
    pub(crate) kept: Vec<Overridden>,
    /// Of an apply: overrides in fields that the manifest changed; it may not be committed then.
    pub(crate) conflicts: Vec<Overridden>,
}

impl ObjectChange {
    pub(crate) fn result(&self) -> WriteResult {
        WriteResult {
            object: self.after.reference(),
            action: self.action,
            generation: self.after.generation(),
            image: self.after.image().cloned(),
            changes: self.changes.clone(),
            notes: self.notes.clone(),
            kept: self.kept.clone(),
            conflicts: self.conflicts.clone(),
        }
    }
}

impl Object {
    pub(crate) fn decode(kind: ObjectKind, entry: &StoreEntry) -> Result<Self, StoreError> {
        Ok(match kind {
            ObjectKind::Service => Self::Service(entry.decode()?),
        })
    }

    pub(crate) fn put(&self) -> Op {
        let key = key::object(&self.reference());
        match self {
            Self::Service(service) => Op::put(key, service),
        }
    }

    pub(crate) fn reference(&self) -> ObjectRef {
        match self {
            Self::Service(service) => service.name().into(),
        }
    }

    pub(crate) fn app(&self) -> &AppName {
        match self {
            Self::Service(service) => &service.metadata.app,
        }
    }

    pub(crate) fn annotations(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Service(service) => &service.metadata.annotations,
        }
    }

    pub(crate) fn generation(&self) -> Generation {
        match self {
            Self::Service(service) => service.metadata.generation,
        }
    }

    pub(crate) fn written_by(&self) -> &Author {
        match self {
            Self::Service(service) => &service.written_by,
        }
    }

    pub(crate) fn source(&self) -> Option<&str> {
        match self {
            Self::Service(service) => service.source.as_deref(),
        }
    }

    pub(crate) fn is_being_deleted(&self) -> bool {
        match self {
            Self::Service(service) => service.deleted_at.is_some(),
        }
    }

    pub(crate) fn overrides(&self) -> &[Override] {
        match self {
            Self::Service(service) => &service.overrides,
        }
    }

    pub(crate) fn spec(&self) -> ObjectSpec {
        match self {
            Self::Service(service) => ObjectSpec::Service(service.spec.clone()),
        }
    }

    pub(crate) fn image(&self) -> Option<&ResolvedImage> {
        match self {
            Self::Service(service) => Some(&service.image),
        }
    }

    /// The routes that it holds: none once it is being deleted.
    pub(crate) fn claims(&self) -> Vec<RouteClaim> {
        if self.is_being_deleted() { Vec::new() } else { self.spec().claims() }
    }
}
