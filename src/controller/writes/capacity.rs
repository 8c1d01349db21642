//! Whether the node has the memory for a write. Reads what is reserved; the orchestrator decides.

use super::document_merge::Merged;
use super::handle::Writes;
use super::types::ApplyDocument;
use crate::agent::EngineState;
use crate::controller::error::ControllerError;
use crate::controller::service_state::ServiceState;
use crate::model::{MemorySize, ObjectRef, Service, ServiceName, ServiceSpec};
use crate::orchestrator::{CapacityRequest, reserved, shortages};

impl Writes {
    /// As [`Writes::check_memory`], for documents.
    pub(super) async fn check_capacity(
        &self,
        documents: &[ApplyDocument],
        merged: &[Merged],
        leaving: &[ObjectRef],
    ) -> Result<(), ControllerError> {
        let specs = documents.iter().zip(merged).filter_map(|(document, merged)| {
            Some((ServiceName::new(&document.name), merged.spec.as_service()?.clone()))
        });
        self.check_memory(&specs.collect::<Vec<_>>(), leaving).await
    }

    /// Refuses specs whose replicas reserve more memory than all other services leave free, not counting those that are
    /// `leaving`. Where the Engine does not say what there is, everything fits.
    pub(super) async fn check_memory(
        &self,
        asked: &[(ServiceName, ServiceSpec)],
        leaving: &[ObjectRef],
    ) -> Result<(), ControllerError> {
        let EngineState::Available(engine) = self.agent.borrow().engine.clone() else { return Ok(()) };
        let Some(total) = engine.memory else { return Ok(()) };
        if asked.iter().all(|(_, spec)| spec.resources.memory.is_none()) {
            return Ok(());
        }
        let stored = ServiceState::services(self.store.as_ref()).await?;
        let is_asked = |service: &Service| asked.iter().any(|(name, _)| name == service.name());
        let stays =
            |service: &Service| service.deleted_at.is_none() && !leaving.contains(&service.name().into());
        let others = stored.iter().filter(|s| stays(s) && !is_asked(s));
        let others = MemorySize(others.fold(0, |sum: u64, s| sum.saturating_add(reserved(&s.spec).0)));
        let spec_of = |name: &ServiceName| stored.iter().find(|s| s.name() == name).map(|s| &s.spec);
        let asked: Vec<CapacityRequest<'_>> = asked
            .iter()
            .map(|(service, after)| CapacityRequest { service, before: spec_of(service), after })
            .collect();
        let short = shortages(&asked, others, total);
        if short.is_empty() { Ok(()) } else { Err(ControllerError::NoMemory(short)) }
    }
}
