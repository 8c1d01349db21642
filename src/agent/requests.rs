//! Requests to a node's agent that go past its reconcile loop: what a user's command needs of the node's Engine.
//!
//! Purpose: the port by which the controller reaches a node. Today the only implementation is [`LocalNode`], in the same
//! process; a link to a remote node is another one.
//! Invariants: the agent changes nothing but containers and volumes of its own store; every request has a deadline.
//! Deliberately absent: what a pass of the agent does anyway (start, stop, remove replicas).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use parking_lot::Mutex;

use super::host_paths;
use super::volumes::{DoomedVolumes, NodeVolume};
use crate::engine::{
    ContainerState, Engine, EngineError, LABEL_REPLICA, LogLine, LogOptions, ObservedContainer, has_label,
    is_of_store,
};
use crate::model::image_reference::{ImageReference, is_image_id, with_default_tag};
use crate::model::{ContainerId, HostPathPolicy, Pull, ReplicaName, ResolvedImage, StoreId};

const KILL_SIGNAL: &str = "SIGKILL";

/// Lines of a container's log, as they come.
pub type LogLines = BoxStream<'static, Result<LogLine, EngineError>>;

/// Whether a container can be killed as a replica's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillTarget {
    Running,
    NotRunning,
    /// The node has no such container, or it is not this replica's.
    NotOfReplica,
}

/// Why a volume was not removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VolumeRemovalError {
    /// The Engine did not list its volumes.
    #[error(transparent)]
    NotListed(EngineError),
    /// A container uses it.
    #[error("volume {volume} is in use: {message}")]
    InUse { volume: String, message: String },
    #[error("volume {volume} cannot be removed: {error}")]
    Failed { volume: String, error: EngineError },
}

/// What a node's agent does on request.
#[async_trait]
pub trait NodeRequests: fmt::Debug + Send + Sync {
    /// Resolves an image reference, pulling it first where the policy says so. Pinned to the digest under which the
    /// reference's own repository knows the image, or to the image id where no registry does.
    async fn resolve_image(&self, image: &str, pull: Pull) -> Result<ResolvedImage, EngineError>;

    /// Whether a container may mount a path of the node.
    ///
    /// # Errors
    /// A message that names the path.
    async fn check_host_path(&self, path: &str) -> Result<(), String>;

    /// Looks up a container of a replica.
    async fn kill_target(
        &self,
        replica: &ReplicaName,
        container: &ContainerId,
    ) -> Result<KillTarget, EngineError>;

    /// Kills a replica's container with SIGKILL; returns what it found. Only [`KillTarget::Running`] is killed.
    async fn kill_container(
        &self,
        replica: &ReplicaName,
        container: &ContainerId,
    ) -> Result<KillTarget, EngineError>;

    /// Opens a container's log.
    async fn logs(&self, container: &ContainerId, options: &LogOptions) -> Result<LogLines, EngineError>;

    /// Lists the volumes of this store.
    async fn volumes(&self) -> Result<Vec<NodeVolume>, EngineError>;

    /// Removes volumes with their data.
    async fn remove_volumes(&self, doomed: &DoomedVolumes) -> Result<(), VolumeRemovalError>;
}

/// The node of this process.
pub(crate) struct LocalNode {
    engine: Arc<dyn Engine>,
    store: StoreId,
    done: Arc<DoneOnRequest>,
    host_paths: Arc<HostPathPolicy>,
}

/// What was done on request, until the agent takes note.
#[derive(Debug, Default)]
pub(crate) struct DoneOnRequest {
    /// Names in Docker of volumes that were removed: the agent does not wait for them.
    removed_volumes: Mutex<BTreeSet<String>>,
    /// Containers that were killed: their end says nothing about the program.
    killed: Mutex<BTreeSet<ContainerId>>,
}

impl DoneOnRequest {
    pub(super) fn take_removed_volumes(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.removed_volumes.lock())
    }

    pub(super) fn take_killed(&self) -> BTreeSet<ContainerId> {
        std::mem::take(&mut *self.killed.lock())
    }
}

impl LocalNode {
    pub(crate) fn new(engine: Arc<dyn Engine>, store: StoreId, done: Arc<DoneOnRequest>) -> Self {
        Self { engine, store, done, host_paths: Arc::default() }
    }

    pub(super) fn with_host_paths(self, host_paths: Arc<HostPathPolicy>) -> Self {
        Self { host_paths, ..self }
    }

    fn has_labels(&self, container: &ObservedContainer, replica: &ReplicaName) -> bool {
        let labels = &container.labels;
        is_of_store(labels, &self.store) && has_label(labels, LABEL_REPLICA, replica.as_str())
    }
}

impl fmt::Debug for LocalNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalNode").field("store", &self.store).finish_non_exhaustive()
    }
}

fn parse_image(image: &str) -> Result<ImageReference, EngineError> {
    let invalid =
        |error| EngineError::Invalid { message: format!("invalid image reference `{image}`: {error}") };
    ImageReference::parse(image).map_err(invalid)
}

#[async_trait]
impl NodeRequests for LocalNode {
    async fn resolve_image(&self, image: &str, pull: Pull) -> Result<ResolvedImage, EngineError> {
        let asked = if is_image_id(image) { None } else { Some(parse_image(image)?) };
        let reference = with_default_tag(image);
        if pull == Pull::Always && !is_image_id(image) {
            self.engine.pull(&reference).await?;
        }
        let found = match self.engine.image(&reference).await {
            Err(error) if error.is_not_found() && pull == Pull::IfMissing && !is_image_id(image) => {
                self.engine.pull(&reference).await?;
                self.engine.image(&reference).await?
            }
            other => other?,
        };
        let is_in_repository = |digest: &&String| match (&asked, ImageReference::parse(digest)) {
            (Some(asked), Ok(digest)) => asked.is_in_repository_of(&digest),
            _ => false,
        };
        let pinned = found.digests.iter().find(is_in_repository).unwrap_or(&found.id).clone();
        Ok(ResolvedImage { reference, pinned, config: found.config })
    }

    async fn check_host_path(&self, path: &str) -> Result<(), String> {
        host_paths::resolve(&self.host_paths, path).await.map(|_| ())
    }

    async fn kill_target(
        &self,
        replica: &ReplicaName,
        container: &ContainerId,
    ) -> Result<KillTarget, EngineError> {
        let found = match self.engine.inspect(container).await {
            Ok(found) => found,
            Err(error) if error.is_not_found() => return Ok(KillTarget::NotOfReplica),
            Err(error) => return Err(error),
        };
        Ok(match found.state {
            _ if !self.has_labels(&found, replica) => KillTarget::NotOfReplica,
            ContainerState::Running => KillTarget::Running,
            _ => KillTarget::NotRunning,
        })
    }

    async fn kill_container(
        &self,
        replica: &ReplicaName,
        container: &ContainerId,
    ) -> Result<KillTarget, EngineError> {
        let target = self.kill_target(replica, container).await?;
        if target != KillTarget::Running {
            return Ok(target);
        }
        // Before it ends: the agent must not miss it in between.
        self.done.killed.lock().insert(container.clone());
        match self.engine.kill(container, KILL_SIGNAL).await {
            Ok(()) => Ok(target),
            Err(EngineError::NotFound { .. } | EngineError::NotRunning { .. }) => Ok(KillTarget::NotRunning),
            // it may have been killed all the same
            Err(error @ EngineError::Unanswered { .. }) => Err(error),
            Err(error) => {
                // a later crash is its own
                self.done.killed.lock().remove(container);
                Err(error)
            }
        }
    }

    async fn logs(&self, container: &ContainerId, options: &LogOptions) -> Result<LogLines, EngineError> {
        self.engine.logs(container, options).await
    }

    async fn volumes(&self) -> Result<Vec<NodeVolume>, EngineError> {
        let volumes = self.engine.volumes().await?;
        Ok(volumes.iter().filter_map(|volume| NodeVolume::of(volume, &self.store)).collect())
    }

    async fn remove_volumes(&self, doomed: &DoomedVolumes) -> Result<(), VolumeRemovalError> {
        let volumes = self.volumes().await.map_err(VolumeRemovalError::NotListed)?;
        for volume in volumes.into_iter().filter(|volume| doomed.include(volume)) {
            // Before it is gone: the agent must not miss it in between.
            self.done.removed_volumes.lock().insert(volume.name.clone());
            match self.engine.remove_volume(&volume.name).await {
                Ok(()) => tracing::info!(app = %doomed.app, volume = volume.name, "volume removed"),
                Err(EngineError::Conflict { message }) => {
                    return Err(VolumeRemovalError::InUse { volume: volume.name, message });
                }
                Err(error) => return Err(VolumeRemovalError::Failed { volume: volume.name, error }),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::{Behaviour, FakeEngine};

    #[tokio::test]
    async fn resolve_image_pins_the_digest_for_every_spelling_of_the_repository() {
        let engine = FakeEngine::new(|| jiff::Timestamp::UNIX_EPOCH);
        let digest = engine.publish("redis:7", Behaviour::default());
        let node = LocalNode::new(Arc::new(engine), StoreId::new("s"), Arc::default());
        for image in
            ["redis:7", "library/redis:7", "docker.io/library/redis:7", "index.docker.io/library/redis:7"]
        {
            let resolved = node.resolve_image(image, Pull::IfMissing).await.unwrap();
            assert_eq!((resolved.reference.as_str(), &resolved.pinned), (image, &digest));
        }
    }

    #[tokio::test]
    async fn resolve_image_refuses_a_malformed_reference() {
        let engine = FakeEngine::new(|| jiff::Timestamp::UNIX_EPOCH);
        let node = LocalNode::new(Arc::new(engine), StoreId::new("s"), Arc::default());
        let error = node.resolve_image("Redis:7", Pull::Always).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid image reference `Redis:7`: the repository must be in lower case"
        );
    }
}
