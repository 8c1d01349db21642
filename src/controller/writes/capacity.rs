//! Whether the node has the memory and cpu for a write. Reads what is reserved; the orchestrator decides.

use super::document_merge::Merged;
use super::handle::Writes;
use super::types::ApplyDocument;
use crate::agent::EngineState;
use crate::controller::error::ControllerError;
use crate::controller::service_state::ServiceState;
use crate::model::{ObjectRef, Resources, Service, ServiceName, ServiceSpec};
use crate::orchestrator::{CapacityRequest, NodeCapacity, shortages};

impl Writes {
    /// As [`Writes::check_resources`], for documents.
    pub(super) async fn check_capacity(
        &self,
        documents: &[ApplyDocument],
        merged: &[Merged],
        leaving: &[ObjectRef],
    ) -> Result<(), ControllerError> {
        let specs = documents.iter().zip(merged).filter_map(|(document, merged)| {
            Some((ServiceName::new(&document.name), merged.spec.as_service()?.clone()))
        });
        self.check_resources(&specs.collect::<Vec<_>>(), leaving).await
    }

    /// Refuses specs whose replicas reserve more memory or cpu than all other services leave free, not counting those that
    /// are `leaving`, or whose cpu limit is above what the node has. What the Engine does not say is not checked.
    pub(super) async fn check_resources(
        &self,
        asked: &[(ServiceName, ServiceSpec)],
        leaving: &[ObjectRef],
    ) -> Result<(), ControllerError> {
        let EngineState::Available(engine) = self.agent.borrow().engine.clone() else { return Ok(()) };
        let node = NodeCapacity { memory: engine.memory, cpu: engine.cpu };
        let asks = |spec: &ServiceSpec| spec.resources != Resources::default() || spec.limits.cpu.is_some();
        if node == NodeCapacity::default() || !asked.iter().any(|(_, spec)| asks(spec)) {
            return Ok(());
        }
        let stored = ServiceState::services(self.store.as_ref()).await?;
        let is_asked = |service: &Service| asked.iter().any(|(name, _)| name == service.name());
        let stays =
            |service: &Service| service.deleted_at.is_none() && !leaving.contains(&service.name().into());
        let others: Vec<&ServiceSpec> =
            stored.iter().filter(|s| stays(s) && !is_asked(s)).map(|s| &s.spec).collect();
        let spec_of = |name: &ServiceName| stored.iter().find(|s| s.name() == name).map(|s| &s.spec);
        let asked: Vec<CapacityRequest<'_>> = asked
            .iter()
            .map(|(service, after)| CapacityRequest { service, before: spec_of(service), after })
            .collect();
        let short = shortages(&asked, &others, node);
        if short.is_empty() { Ok(()) } else { Err(ControllerError::NoCapacity(short)) }
    }
}
