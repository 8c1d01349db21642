//! The manifests directory that is followed: what it declared before, and what its follower reports of it.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::handle::Writes;
use super::object::Object;
use crate::controller::error::ControllerError;
use crate::model::{AppName, Condition, ObjectKind, ObjectRef, ObjectSpec, Reason, key};

/// An object as a directory declared it before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredObject {
    pub app: AppName,
    pub annotations: BTreeMap<String, String>,
    /// The spec as it was last applied.
    pub applied: Option<ObjectSpec>,
}

/// Removals of a directory's objects that the deletion guard held back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DirectoryRemovals {
    /// They stay until the user confirms.
    pub held: BTreeSet<ObjectRef>,
    /// The user confirmed; they are not gone yet.
    pub confirmed: BTreeSet<ObjectRef>,
}

/// The state of the followed directory, shared by its follower and those who show it.
pub struct ManifestsDirectory {
    source: Option<String>,
    status: Mutex<DirectoryStatus>,
    /// The user confirmed removals.
    confirmed: Notify,
    /// Raised when the conditions change.
    version: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct DirectoryStatus {
    /// Why the directory is not acted upon.
    stopped: Option<Condition>,
    removals: DirectoryRemovals,
}

impl ManifestsDirectory {
    pub(in crate::controller) fn new(source: Option<String>, version: watch::Sender<u64>) -> Self {
        Self { source, status: Mutex::default(), confirmed: Notify::new(), version }
    }

    /// Why the directory is not acted upon, if it is not. What was held or confirmed stays so.
    pub fn set_stopped(&self, why: Option<(Reason, String)>) {
        self.change(|status| {
            status.stopped = why.map(|(reason, message)| Condition::degraded(reason, message));
        });
    }

    /// Which removals are held, and which happen now; whatever else was held or confirmed is declared again, or gone.
    pub fn set_held(&self, held: BTreeSet<ObjectRef>, going: &[ObjectRef]) {
        self.change(|DirectoryStatus { removals, .. }| {
            removals.confirmed.retain(|object| held.contains(object) || going.contains(object));
            // The user may have confirmed it while it was decided upon.
            removals.held = held;
            removals.held.retain(|object| !removals.confirmed.contains(object));
        });
    }

    fn change(&self, change: impl FnOnce(&mut DirectoryStatus)) {
        let mut status = self.status.lock();
        let before = self.conditions_of(&status);
        change(&mut status);
        if self.conditions_of(&status) != before {
            self.version.send_modify(|n| *n += 1);
        }
    }

    /// Returns when the user confirmed held removals.
    pub async fn confirmed(&self) {
        self.confirmed.notified().await;
    }

    /// The removals that are held or confirmed.
    pub fn removals(&self) -> DirectoryRemovals {
        self.status.lock().removals.clone()
    }

    /// Confirms the held removals; returns the objects.
    pub(in crate::controller) fn confirm(&self) -> Vec<String> {
        let mut status = self.status.lock();
        let held = std::mem::take(&mut status.removals.held);
        if held.is_empty() {
            return Vec::new();
        }
        status.removals.confirmed.extend(held.iter().cloned());
        self.confirmed.notify_one();
        held.iter().map(ObjectRef::phrase).collect()
    }

    /// The conditions of the directory.
    pub fn conditions(&self) -> Vec<Condition> {
        self.conditions_of(&self.status.lock())
    }

    fn conditions_of(&self, status: &DirectoryStatus) -> Vec<Condition> {
        let held: Vec<String> = status.removals.held.iter().map(ObjectRef::phrase).collect();
        let held = (!held.is_empty()).then(|| {
            let source = self.source.as_deref().unwrap_or_default();
            let what = format!("{source} no longer declares {}", held.join(", "));
            Condition::degraded(
                Reason::DeletionHeld,
                format!("{what}; nothing is removed until `ctl confirm`"),
            )
        });
        status.stopped.iter().cloned().chain(held).collect()
    }
}

impl Writes {
    /// What this source declared before and what is not being deleted.
    ///
    /// # Errors
    /// The store's.
    pub async fn declared_by(
        &self,
        source: &str,
    ) -> Result<BTreeMap<ObjectRef, DeclaredObject>, ControllerError> {
        let mut declared = BTreeMap::new();
        for kind in ObjectKind::ALL.iter().copied() {
            for entry in self.store.list(&key::objects_of(kind)).await?.entries {
                let object = Object::decode(kind, &entry)?;
                let header = object.header();
                if header.source != Some(source) || header.is_being_deleted {
                    continue;
                }
                let name = object.reference();
                let applied = self.store.get(&key::applied(&name)).await?;
                let before = DeclaredObject {
                    app: header.app.clone(),
                    annotations: header.annotations.clone(),
                    applied: applied.map(|entry| entry.decode()).transpose()?,
                };
                declared.insert(name, before);
            }
        }
        Ok(declared)
    }
}
