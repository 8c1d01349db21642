//! Containers as Docker describes them: inspections, the list of all, what listens in one.

use std::collections::HashMap;

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use futures::stream::{StreamExt, TryStreamExt};

use super::calls::{in_path, incomplete};
use super::{DockerEngine, QUICK};
use crate::engine::classify::CallObject;
use crate::engine::{EngineError, LABEL_STORE, ObservedContainer, listening, translate};
use crate::model::{ContainerId, ListeningSocket};

/// Inspections at once: the Engine takes a lock per container, and each is a connection.
const INSPECTIONS: usize = 8;

impl DockerEngine {
    async fn inspect_raw(&self, name: &str) -> Result<ContainerInspectResponse, EngineError> {
        let name = in_path("a container", name)?;
        self.ask("inspect", CallObject::Container(name), QUICK, |docker| async move {
            docker.inspect_container(name, None::<InspectContainerOptions>).await
        })
        .await
    }

    pub(super) async fn inspect_any(&self, name: &str) -> Result<ObservedContainer, EngineError> {
        translate::observed(self.inspect_raw(name).await?).ok_or_else(|| incomplete("inspect"))
    }

    /// Docker's list lacks start time and exit code, so each container is inspected; one that vanishes in between is left
    /// out.
    pub(super) async fn list_inspected(&self) -> Result<Vec<ObservedContainer>, EngineError> {
        let filters = HashMap::from([("label", vec![LABEL_STORE])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self
            .ask("list", CallObject::Engine, QUICK, |docker| async move {
                docker.list_containers(Some(options)).await
            })
            .await?;
        let inspections = found.into_iter().filter_map(|c| c.id).map(|id| async move {
            match self.inspect_any(&id).await {
                Err(error) if error.is_not_found() => Ok(None),
                other => other.map(Some),
            }
        });
        let all = futures::stream::iter(inspections).buffered(INSPECTIONS);
        let all: Vec<Option<ObservedContainer>> = all.try_collect().await?;
        Ok(all.into_iter().flatten().collect())
    }

    pub(super) async fn listening_in(
        &self,
        id: &ContainerId,
    ) -> Result<Option<Vec<ListeningSocket>>, EngineError> {
        let state = self.inspect_raw(id.as_str()).await?.state;
        let pid = state.and_then(|state| state.pid).and_then(|pid| i32::try_from(pid).ok());
        let Some(pid) = pid.filter(|pid| *pid > 0) else { return Ok(None) };
        let id = id.clone();
        let read = tokio::task::spawn_blocking(move || listening::of_process(pid, &id)).await;
        read.map_err(|error| EngineError::Failed {
            call: "listening",
            status: 200,
            message: error.to_string(),
        })
    }
}
