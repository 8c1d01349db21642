//! An object of any kind: as stored, as read for a write, and as changed by one.
//!
//! A new kind is a variant of [`Object`], and an arm in each `match` here and in `kinds/dispatch.rs`. Nothing else of the
//! write side matches on kinds.

use std::collections::BTreeMap;

use super::types::{FieldChange, Overridden, WriteAction, WriteResult};
use crate::controller::service_state::ServiceState;
#[cfg(any(test, feature = "testing"))]
use crate::model::Gadget;
use crate::model::{
    AppName, Author, Generation, ObjectKind, ObjectRef, ObjectSpec, Override, ResolvedImage, Service,
    TrafficClaim, key,
};
use crate::store::{Op, StoreEntry, StoreError};

/// An object as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Object {
    Service(Box<Service>),
    #[cfg(any(test, feature = "testing"))]
    Gadget(Box<Gadget>),
}

/// What is read together with an object because writes of it depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ObjectContext {
    /// There is no object, or its kind has no context.
    None,
    /// The service with its rollout and revisions.
    Service(Box<ServiceState>),
}

/// What objects of every kind have.
pub(crate) struct ObjectHeader<'a> {
    pub(crate) app: &'a AppName,
    pub(crate) annotations: &'a BTreeMap<String, String>,
    pub(crate) generation: Generation,
    pub(crate) overrides: &'a [Override],
    /// `None` for a kind without an image.
    pub(crate) image: Option<&'a ResolvedImage>,
    /// The manifests directory that declares it; `None` for a command.
    pub(crate) source: Option<&'a str>,
    pub(crate) written_by: &'a Author,
    pub(crate) is_being_deleted: bool,
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
    /// A change that is not made by an apply.
    pub(crate) fn new(after: Object, action: WriteAction) -> Self {
        Self {
            after,
            action,
            changes: Vec::new(),
            notes: Vec::new(),
            applied: None,
            kept: Vec::new(),
            conflicts: Vec::new(),
        }
    }

    pub(crate) fn result(&self) -> WriteResult {
        let header = self.after.header();
        WriteResult {
            object: self.after.reference(),
            action: self.action,
            generation: header.generation,
            image: header.image.cloned(),
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
            #[cfg(any(test, feature = "testing"))]
            ObjectKind::Gadget => Self::Gadget(entry.decode()?),
        })
    }

    pub(crate) fn put(&self) -> Op {
        let key = key::object(&self.reference());
        match self {
            Self::Service(service) => Op::put(key, service),
            #[cfg(any(test, feature = "testing"))]
            Self::Gadget(gadget) => Op::put(key, gadget),
        }
    }

    pub(crate) fn reference(&self) -> ObjectRef {
        match self {
            Self::Service(service) => service.name().into(),
            #[cfg(any(test, feature = "testing"))]
            Self::Gadget(gadget) => {
                ObjectRef { kind: ObjectKind::Gadget, name: gadget.metadata.name.to_string() }
            }
        }
    }

    pub(crate) fn header(&self) -> ObjectHeader<'_> {
        match self {
            Self::Service(service) => ObjectHeader {
                app: &service.metadata.app,
                annotations: &service.metadata.annotations,
                generation: service.metadata.generation,
                overrides: &service.overrides,
                image: Some(&service.image),
                source: service.source.as_deref(),
                written_by: &service.written_by,
                is_being_deleted: service.deleted_at.is_some(),
            },
            #[cfg(any(test, feature = "testing"))]
            Self::Gadget(gadget) => ObjectHeader {
                app: &gadget.metadata.app,
                annotations: &gadget.metadata.annotations,
                generation: gadget.metadata.generation,
                overrides: &gadget.overrides,
                image: None,
                source: gadget.source.as_deref(),
                written_by: &gadget.written_by,
                is_being_deleted: gadget.is_being_deleted,
            },
        }
    }

    pub(crate) fn spec(&self) -> ObjectSpec {
        match self {
            Self::Service(service) => ObjectSpec::Service(service.spec.clone()),
            #[cfg(any(test, feature = "testing"))]
            Self::Gadget(gadget) => ObjectSpec::Gadget(gadget.spec.clone()),
        }
    }

    /// The routes that it holds: none once it is being deleted.
    pub(crate) fn claims(&self) -> Vec<TrafficClaim> {
        if self.header().is_being_deleted { Vec::new() } else { self.spec().claims() }
    }

    pub(crate) fn as_service(&self) -> Option<&Service> {
        match self {
            Self::Service(service) => Some(service),
            #[cfg(any(test, feature = "testing"))]
            Self::Gadget(_) => None,
        }
    }
}
