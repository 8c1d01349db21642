//! What a manifests directory declares: whose a service is, and what is said of the directory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{MutexGuard, PoisonError};

use super::refused::Refused;
use super::{ApplyDocument, Controller, WriteResult};
use crate::model::{AppName, Condition, ConditionKind, Reason, Service, ServiceName, ServiceSpec, key};

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

/// The directory this controller follows, and what its follower last said.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    source: Option<String>,
    condition: Option<Condition>,
    held: Vec<ServiceName>,
    confirmed: BTreeSet<ServiceName>,
}

impl Controller {
    /// Says that a directory is followed from now on: its services are its alone.
    pub fn follows(&self, source: impl Into<String>) {
        self.followed().source = Some(source.into());
    }

    /// What this source declared before and what is not being deleted.
    ///
    /// # Errors
    /// The store's.
    pub async fn declared_by(&self, source: &str) -> Result<BTreeMap<ServiceName, Declared>, Refused> {
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

    /// Applies documents of a source.
    ///
    /// # Errors
    /// As [`Controller::apply`].
    pub async fn apply_declared(
        &self,
        source: &str,
        documents: &[ApplyDocument],
    ) -> Result<Vec<WriteResult>, Refused> {
        let command = format!("manifests in {source}");
        self.apply_as(Some(source), &self.clock.uuid(), documents, false, command.as_str()).await
    }

    /// Deletes services that a source does not declare any more.
    ///
    /// # Errors
    /// As [`Controller::delete`].
    pub async fn delete_declared(
        &self,
        source: &str,
        names: &[ServiceName],
    ) -> Result<Vec<WriteResult>, Refused> {
        let command = format!("manifests in {source}");
        let deleted =
            self.delete_as(Some(source), &self.clock.uuid(), names, false, command.as_str()).await?;
        let mut followed = self.followed();
        followed.confirmed.retain(|name| !names.contains(name));
        Ok(deleted)
    }

    /// Whether a document may write the service of its name.
    pub(crate) fn check_owner(
        &self,
        source: Option<&str>,
        document: &ApplyDocument,
        service: &Service,
    ) -> Result<(), Refused> {
        if service.deleted_at.is_some() {
            return Err(Refused::BeingDeleted(document.name.clone()));
        }
        if service.metadata.app != document.app {
            let (there, here) = (service.metadata.app.clone(), document.app.clone());
            return Err(Refused::OtherApp { name: document.name.clone(), there, here });
        }
        self.check_source(service, source)
    }

    /// Refuses a write by another source than the service's own. A source that is not followed any more owns nothing.
    pub(crate) fn check_source(&self, service: &Service, writer: Option<&str>) -> Result<(), Refused> {
        let may = match service.source.as_deref() {
            None => writer.is_none(),
            own if own == self.followed().source.as_deref() => own == writer,
            Some(_) => true,
        };
        let (name, there) = (service.name().clone(), service.source.clone());
        if may { Ok(()) } else { Err(Refused::OtherSource { name, there }) }
    }

    /// How the directory stands: what keeps it from being acted upon, and what of it would go.
    pub fn source_says(&self, condition: Option<(Reason, String)>, held: Vec<ServiceName>) {
        let condition = condition.map(|(reason, message)| Condition {
            kind: ConditionKind::Degraded,
            status: true,
            reason,
            message,
        });
        let mut followed = self.followed();
        if followed.condition != condition {
            self.moved.send_modify(|n| *n += 1);
        }
        followed.confirmed.retain(|name| held.contains(name));
        followed.condition = condition;
        followed.held = held;
    }

    /// Passes when the user let held removals happen.
    pub async fn source_confirmed(&self) {
        self.confirmed.notified().await;
    }

    /// The removals that the user let happen.
    pub fn source_confirmations(&self) -> BTreeSet<ServiceName> {
        self.followed().confirmed.clone()
    }

    /// Lets the directory's held removals happen; the names of its services.
    pub(crate) fn confirm_declared(&self) -> Vec<String> {
        let mut followed = self.followed();
        let held = std::mem::take(&mut followed.held);
        if held.is_empty() {
            return Vec::new();
        }
        followed.confirmed.extend(held.iter().cloned());
        followed.condition = None;
        self.confirmed.notify_one();
        held.iter().map(|name| format!("service {name}")).collect()
    }

    /// What holds of the directory.
    pub(crate) fn source_condition(&self) -> Option<Condition> {
        self.followed().condition.clone()
    }

    fn followed(&self) -> MutexGuard<'_, Followed> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
