//! What a manifests directory declares: whose a service is, and what is said of the directory.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::MutexGuard;

use super::before::Before;
use super::commit::Run;
use super::edit::{self, Writer};
use super::request::{ApplyDocument, WriteResult};
use crate::controller::Controller;
use crate::controller::error::ControllerError;
use crate::model::{AppName, Condition, Mono, Reason, Service, ServiceName, ServiceSpec, key};

/// A service as a directory declared it before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its app.
    pub app: AppName,
    /// Its notes.
    pub annotations: BTreeMap<String, String>,
    /// The spec as it was last applied.
    pub applied: Option<ServiceSpec>,
}

/// Removals of a directory's services that the deletion brake held back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removals {
    /// They stay until the user lets them go.
    pub held: BTreeSet<ServiceName>,
    /// The user let them go; they are not gone yet.
    pub confirmed: BTreeSet<ServiceName>,
}

/// The directory this controller follows, and what its follower last said.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    source: Option<String>,
    /// Why it is not acted upon.
    stopped: Option<Condition>,
    removals: Removals,
}

impl Followed {
    pub(crate) fn of(source: Option<String>) -> Self {
        Self { source, ..Self::default() }
    }

    pub(in crate::controller) fn conditions(&self) -> Vec<Condition> {
        let held: Vec<&str> = self.removals.held.iter().map(ServiceName::as_str).collect();
        let held = (!held.is_empty()).then(|| {
            let source = self.source.as_deref().unwrap_or_default();
            let what = format!("{source} does not declare {} any more", held.join(", "));
            Condition::degraded(
                Reason::DeletionHeld,
                format!("{what}; nothing is removed until `ctl confirm`"),
            )
        });
        self.stopped.iter().cloned().chain(held).collect()
    }
}

impl Controller {
    /// What this source declared before and what is not being deleted.
    ///
    /// # Errors
    /// The store's.
    pub async fn declared_by(
        &self,
        source: &str,
    ) -> Result<BTreeMap<ServiceName, Declared>, ControllerError> {
        let mut declared = BTreeMap::new();
        for entry in self.store.list(key::SERVICES).await?.entries {
            let service: Service = entry.decode()?;
            if service.source.as_deref() != Some(source) || service.deleted_at.is_some() {
                continue;
            }
            let applied = self.store.get(&key::applied(service.name())).await?;
            let applied = applied.map(|entry| entry.decode()).transpose()?;
            let (app, annotations) = (service.metadata.app, service.metadata.annotations);
            declared.insert(service.metadata.name, Declared { app, annotations, applied });
        }
        Ok(declared)
    }

    /// Applies documents of a source, and deletes services that it does not declare any more: all or nothing.
    ///
    /// # Errors
    /// As [`Controller::apply`].
    pub async fn declare(
        &self,
        source: &str,
        documents: &[ApplyDocument],
        leaving: &[ServiceName],
    ) -> Result<Vec<WriteResult>, ControllerError> {
        let command = format!("manifests in {source}");
        self.apply_as(Some(source), &self.clock.uuid(), documents, leaving, false, command.as_str()).await
    }

    /// Deletes what leaves with a run, before its documents are written: they may want its routes.
    pub(super) async fn delete_leaving(
        &self,
        run: &mut Run<'_>,
        leaving: &[ServiceName],
    ) -> Result<(), ControllerError> {
        let (source, origin) = (run.source, run.by.command.as_str());
        for name in leaving {
            let delete = |before: &Before, writer: &Writer<'_>| match before.service() {
                Some(service) => {
                    self.check_source(service, source).map(|()| edit::delete(service, false, writer))
                }
                None => Err(ControllerError::NotFound(vec![name.clone()])),
            };
            self.edit(run, name, origin, delete).await?;
        }
        Ok(())
    }

    /// Time for what is decided outside of the controller.
    pub fn mono(&self) -> Mono {
        self.clock.mono()
    }

    /// Whether a document may write the service of its name.
    pub(crate) fn check_owner(
        &self,
        source: Option<&str>,
        document: &ApplyDocument,
        service: &Service,
    ) -> Result<(), ControllerError> {
        if service.deleted_at.is_some() {
            return Err(ControllerError::BeingDeleted(document.name.clone()));
        }
        if service.metadata.app != document.app {
            let (there, here) = (service.metadata.app.clone(), document.app.clone());
            return Err(ControllerError::OtherApp { name: document.name.clone(), there, here });
        }
        self.check_source(service, source)
    }

    /// Refuses a write by another source than the service's own. A source that is not followed any more owns nothing.
    pub(crate) fn check_source(
        &self,
        service: &Service,
        writer: Option<&str>,
    ) -> Result<(), ControllerError> {
        let may = match service.source.as_deref() {
            None => writer.is_none(),
            own if own == self.followed().source.as_deref() => own == writer,
            Some(_) => true,
        };
        let (name, there) = (service.name().clone(), service.source.clone());
        if may { Ok(()) } else { Err(ControllerError::OtherSource { name, there }) }
    }

    /// What keeps the directory from being acted upon, if anything does. What was held or confirmed stays so.
    pub fn source_stopped(&self, why: Option<(Reason, String)>) {
        self.source_changes(|followed| {
            followed.stopped = why.map(|(reason, message)| Condition::degraded(reason, message));
        });
    }

    /// What of the directory would go and is held, and what goes now; whatever else was held or confirmed is declared
    /// again, or gone.
    pub fn source_holds(&self, held: BTreeSet<ServiceName>, going: &[ServiceName]) {
        self.source_changes(|Followed { removals, .. }| {
            removals.confirmed.retain(|name| held.contains(name) || going.contains(name));
            // The user may have confirmed it while it was decided upon.
            removals.held = held;
            removals.held.retain(|name| !removals.confirmed.contains(name));
        });
    }

    fn source_changes(&self, change: impl FnOnce(&mut Followed)) {
        let mut followed = self.followed();
        let before = followed.conditions();
        change(&mut followed);
        if followed.conditions() != before {
            self.moved.send_modify(|n| *n += 1);
        }
    }

    /// Passes when the user let held removals happen.
    pub async fn source_confirmed(&self) {
        self.confirmed.notified().await;
    }

    /// The removals that are held or confirmed.
    pub fn source_removals(&self) -> Removals {
        self.followed().removals.clone()
    }

    /// Lets the directory's held removals happen; the names of its services.
    pub(crate) fn confirm_declared(&self) -> Vec<String> {
        let mut followed = self.followed();
        let held = std::mem::take(&mut followed.removals.held);
        if held.is_empty() {
            return Vec::new();
        }
        followed.removals.confirmed.extend(held.iter().cloned());
        self.confirmed.notify_one();
        held.iter().map(|name| format!("service {name}")).collect()
    }

    /// What holds of the directory.
    pub fn source_conditions(&self) -> Vec<Condition> {
        self.followed().conditions()
    }

    fn followed(&self) -> MutexGuard<'_, Followed> {
        self.followed.lock()
    }
}
