//! A container that runs once: its image, start, end and removal.

use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, WaitContainerOptions,
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};

use super::calls::in_path;
use super::{DockerEngine, QUICK, SLOW};
use crate::engine::classify::CallObject;
use crate::engine::{ContainerState, Engine, EngineError, OneOffSpec, translate};
use crate::model::ContainerId;

/// A tar archive without entries: two blocks of zeros.
const EMPTY_TAR: &[u8] = &[0; 1024];
/// The call in errors.
const CALL: &str = "run";

impl DockerEngine {
    pub(super) async fn run_and_remove(&self, spec: &OneOffSpec) -> Result<i64, EngineError> {
        in_path("an image", &spec.image)?;
        match self.image(&spec.image).await {
            Err(error) if error.is_not_found() => self.import_empty_image(&spec.image).await?,
            found => found.map(|_| ())?,
        }
        let ended = match self.create_one_off(spec).await {
            Ok(id) => {
                let ended = self.start_and_wait(&id, spec).await;
                self.remove(&id).await.and(ended)
            }
            Err(error) => Err(error),
        };
        // The next run makes it again; what matters is how the program ended.
        if let Err(error) = self.untag(&spec.image).await {
            tracing::debug!(image = spec.image, %error, "cannot remove the empty image");
        }
        ended
    }

    async fn import_empty_image(&self, image: &str) -> Result<(), EngineError> {
        let (repository, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
        let options = CreateImageOptionsBuilder::new().from_src("-").repo(repository).tag(tag).build();
        let body = bollard::body_full(Bytes::from_static(EMPTY_TAR));
        self.ask(CALL, CallObject::Image(image), QUICK, |docker| async move {
            docker.create_image(Some(options), Some(body), None).try_collect::<Vec<_>>().await
        })
        .await
        .map(|_| ())
    }

    async fn create_one_off(&self, spec: &OneOffSpec) -> Result<ContainerId, EngineError> {
        let options = CreateContainerOptionsBuilder::new().name(&spec.name).build();
        let body = translate::one_off(spec);
        let created = self.ask(CALL, CallObject::Create(&spec.image), SLOW, |docker| async move {
            docker.create_container(Some(options), body).await
        });
        Ok(ContainerId::new(created.await?.id))
    }

    /// The client reports an exit code other than 0 as an error of the wait, so an inspection says how it ended.
    async fn start_and_wait(&self, id: &ContainerId, spec: &OneOffSpec) -> Result<i64, EngineError> {
        self.start(id).await?;
        let container = id.as_str();
        self.ask(CALL, CallObject::Container(container), spec.limit.std(), |docker| async move {
            docker.wait_container(container, None::<WaitContainerOptions>).collect::<Vec<_>>().await;
            Ok(())
        })
        .await?;
        match self.inspect(id).await?.state {
            ContainerState::Exited { code, .. } => Ok(code),
            other => {
                let message = format!("{} did not end: {other:?}", spec.name);
                Err(EngineError::Unanswered { call: CALL, message })
            }
        }
    }
}
