//! The trait, call by call.

use std::collections::HashMap;

use async_trait::async_trait;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, KillContainerOptionsBuilder,
    ListContainersOptionsBuilder, ListNetworksOptions, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptions, RemoveVolumeOptions, StartContainerOptions,
    TagImageOptionsBuilder,
};
use futures::stream::{BoxStream, StreamExt, TryStreamExt};

use super::{DockerEngine, QUICK, SLOW};
use crate::engine::classify::CallObject;
use crate::engine::{
    ContainerSpec, Engine, EngineError, EngineEvent, EngineInfo, EngineObject, ExecId, ExecOutcome,
    ImageInfo, LABEL_STORE, LogLine, LogOptions, NetworkSpec, ObservedContainer, ObservedNetwork,
    ObservedVolume, VolumeSpec, kind, listening, translate,
};
use crate::model::{ContainerId, ListeningSocket, MemorySize, Millis};

/// Inspections at once: the Engine takes a lock per container, and each is a connection.
const INSPECTIONS: usize = 8;

/// What listens in the network namespace of a container's process; `None` if its tables cannot be read, or are another
/// process's: the pid is the Engine's, which may be elsewhere, and may be given out again.
async fn listening_at(pid: i64, container: &ContainerId) -> Option<Vec<ListeningSocket>> {
    let text = async |name: &str| tokio::fs::read_to_string(format!("/proc/{pid}/{name}")).await;
    let (tcp, tcp6) = (text("net/tcp").await.ok()?, text("net/tcp6").await.unwrap_or_default());
    // After the tables: what is the container's now was the container's when they were read.
    if !listening::is_of(&text("mountinfo").await.ok()?, container) {
        return None;
    }
    Some(listening::listeners(&tcp).into_iter().chain(listening::listeners(&tcp6)).collect())
}

/// An answer that lacks what every answer of its kind has.
fn incomplete(call: &'static str) -> EngineError {
    EngineError::Failed { call, status: 200, message: "the answer is incomplete".to_owned() }
}

/// A name that would mean something else in the path of a request is refused.
fn in_path<'a>(what: &str, name: &'a str) -> Result<&'a str, EngineError> {
    if translate::fits_a_path(name) {
        Ok(name)
    } else {
        Err(EngineError::Invalid { message: format!("`{name}` is not the name of {what}") })
    }
}

impl DockerEngine {
    async fn inspect_raw(&self, name: &str) -> Result<ContainerInspectResponse, EngineError> {
        let name = in_path("a container", name)?;
        self.ask("inspect", CallObject::Container(name), QUICK, |docker| async move {
            docker.inspect_container(name, None::<InspectContainerOptions>).await
        })
        .await
    }

    async fn inspect_any(&self, name: &str) -> Result<ObservedContainer, EngineError> {
        translate::observed(self.inspect_raw(name).await?).ok_or_else(|| incomplete("inspect"))
    }

    async fn networks_by(
        &self,
        filter: Option<(&str, &str)>,
    ) -> Result<Vec<bollard::models::Network>, EngineError> {
        let options: ListNetworksOptions = match filter {
            Some((key, value)) => {
                ListNetworksOptionsBuilder::new().filters(&HashMap::from([(key, vec![value])])).build()
            }
            None => ListNetworksOptionsBuilder::new().build(),
        };
        self.ask("networks", CallObject::Engine, QUICK, |docker| async move {
            docker.list_networks(Some(options)).await
        })
        .await
    }
}

#[async_trait]
impl Engine for DockerEngine {
    async fn info(&self) -> Result<EngineInfo, EngineError> {
        let (info, api_version) = self
            .ask("info", CallObject::Engine, QUICK, |docker| async move {
                let info = docker.info().await?;
                Ok((info, docker.client_version().to_string()))
            })
            .await?;
        Ok(EngineInfo {
            id: info.id.filter(|id| !id.is_empty()).ok_or_else(|| incomplete("info"))?,
            name: info.name.unwrap_or_default(),
            version: info.server_version.unwrap_or_default(),
            api_version,
            kind: kind::kind(
                &info.security_options.unwrap_or_default(),
                info.operating_system.as_deref().unwrap_or_default(),
            ),
            unenforced: kind::unenforced(info.memory_limit, info.cpu_cfs_quota),
            memory: info
                .mem_total
                .and_then(|bytes| u64::try_from(bytes).ok())
                .filter(|b| *b > 0)
                .map(MemorySize),
        })
    }

    /// The list itself lacks start time, exit code and the like, so each container is inspected; one that vanishes in
    /// between is left out.
    async fn list(&self) -> Result<Vec<ObservedContainer>, EngineError> {
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

    async fn inspect(&self, id: &ContainerId) -> Result<ObservedContainer, EngineError> {
        self.inspect_any(id.as_str()).await
    }

    async fn inspect_name(&self, name: &str) -> Result<ObservedContainer, EngineError> {
        let found = self.inspect_any(name).await?;
        // Docker also takes the start of an id for a name.
        if found.name == name {
            Ok(found)
        } else {
            Err(EngineError::NotFound { what: EngineObject::Container, name: name.to_owned() })
        }
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        let options = CreateContainerOptionsBuilder::new().name(&spec.name).build();
        let body = translate::container(spec);
        let made = self
            .ask("create", CallObject::Create(&spec.image), SLOW, |docker| async move {
                docker.create_container(Some(options), body).await
            })
            .await?;
        for warning in &made.warnings {
            tracing::warn!(container = spec.name, warning, "Docker made the container with a warning");
        }
        Ok(ContainerId::new(made.id))
    }

    async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        let id = in_path("a container", id.as_str())?;
        self.ask("start", CallObject::Start(id), SLOW, |docker| async move {
            docker.start_container(id, None::<StartContainerOptions>).await
        })
        .await
    }

    async fn kill(&self, id: &ContainerId, signal: &str) -> Result<(), EngineError> {
        let id = in_path("a container", id.as_str())?;
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        self.ask("kill", CallObject::Signal(id), QUICK, |docker| async move {
            docker.kill_container(id, Some(options)).await
        })
        .await
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        let id = in_path("a container", id.as_str())?;
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        let removed = self
            .ask("remove", CallObject::Container(id), SLOW, |docker| async move {
                docker.remove_container(id, Some(options)).await
            })
            .await;
        gone_is_success(removed)
    }

    async fn exec(
        &self,
        id: &ContainerId,
        command: &[String],
        limit: Millis,
    ) -> Result<ExecOutcome, EngineError> {
        self.run_in(in_path("a container", id.as_str())?, command, limit).await
    }

    async fn exec_runs(&self, exec: &ExecId) -> Result<bool, EngineError> {
        self.is_running(in_path("a command", &exec.0)?).await
    }

    async fn networks(&self) -> Result<Vec<ObservedNetwork>, EngineError> {
        let found = self.networks_by(Some(("label", LABEL_STORE))).await?;
        Ok(found.into_iter().map(translate::observed_network).collect())
    }

    async fn subnets(&self) -> Result<Vec<String>, EngineError> {
        let found = self.networks_by(None).await?;
        Ok(found.iter().flat_map(translate::subnets).collect())
    }

    /// Older Engines make a second network of the same name without a word, so the name is looked up first.
    async fn create_network(&self, spec: &NetworkSpec) -> Result<(), EngineError> {
        let named = self.networks_by(Some(("name", &spec.name))).await?;
        if named.iter().any(|network| network.name.as_deref() == Some(spec.name.as_str())) {
            let message = format!("network with name {} already exists", spec.name);
            return Err(EngineError::Conflict { message });
        }
        let body = translate::network(spec);
        let made = self.ask("create network", CallObject::Network(&spec.name), SLOW, |docker| async move {
            docker.create_network(body).await
        });
        made.await.map(|_| ())
    }

    async fn remove_network(&self, name: &str) -> Result<(), EngineError> {
        let name = in_path("a network", name)?;
        let removed = self
            .ask("remove network", CallObject::Network(name), SLOW, |docker| async move {
                docker.remove_network(name).await
            })
            .await;
        gone_is_success(removed)
    }

    /// Docker answers with the volume of that name, whether it made it just now or not.
    async fn create_volume(&self, spec: &VolumeSpec) -> Result<(), EngineError> {
        let body = translate::volume(spec);
        let made = self.ask("create volume", CallObject::Volume(&spec.name), SLOW, |docker| async move {
            docker.create_volume(body).await
        });
        translate::observed_volume(made.await?).check_is(spec)
    }

    async fn volumes(&self) -> Result<Vec<ObservedVolume>, EngineError> {
        let filters = HashMap::from([("label", vec![LABEL_STORE])]);
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let found = self.ask("volumes", CallObject::Engine, QUICK, |docker| async move {
            docker.list_volumes(Some(options)).await
        });
        let found = found.await?.volumes.unwrap_or_default();
        Ok(found.into_iter().map(translate::observed_volume).collect())
    }

    async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        let name = in_path("a volume", name)?;
        let removed = self
            .ask("remove volume", CallObject::Volume(name), SLOW, |docker| async move {
                docker.remove_volume(name, None::<RemoveVolumeOptions>).await
            })
            .await;
        gone_is_success(removed)
    }

    async fn image(&self, reference: &str) -> Result<ImageInfo, EngineError> {
        let reference = in_path("an image", reference)?;
        let found = self
            .ask("image", CallObject::Image(reference), QUICK, |docker| async move {
                docker.inspect_image(reference).await
            })
            .await?;
        translate::image(found).ok_or_else(|| incomplete("image"))
    }

    async fn pull(&self, reference: &str) -> Result<(), EngineError> {
        in_path("an image", reference)?;
        self.pull_to_end(reference).await
    }

    async fn tag(&self, image: &str, repository: &str, tag: &str) -> Result<(), EngineError> {
        let image = in_path("an image", image)?;
        let options = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
        self.ask("tag", CallObject::Image(image), QUICK, |docker| async move {
            docker.tag_image(image, Some(options)).await
        })
        .await
    }

    /// Not forced: Docker then keeps an image's last tag while a container uses it.
    async fn untag(&self, tag: &str) -> Result<(), EngineError> {
        let tag = in_path("an image", tag)?;
        let removed = self
            .ask("untag", CallObject::Image(tag), SLOW, |docker| async move {
                docker.remove_image(tag, None::<RemoveImageOptions>, None).await
            })
            .await;
        gone_is_success(removed.map(|_| ()))
    }

    async fn events(
        &self,
        since: Option<jiff::Timestamp>,
    ) -> Result<BoxStream<'static, Result<EngineEvent, EngineError>>, EngineError> {
        self.event_stream(since).await
    }

    async fn logs(
        &self,
        id: &ContainerId,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Result<LogLine, EngineError>>, EngineError> {
        self.inspect(id).await?;
        self.log_stream(id, options).await
    }

    async fn listening(&self, id: &ContainerId) -> Result<Option<Vec<ListeningSocket>>, EngineError> {
        let state = self.inspect_raw(id.as_str()).await?.state;
        let pid = state.and_then(|state| state.pid).filter(|pid| *pid > 0);
        Ok(match pid {
            Some(pid) => listening_at(pid, id).await,
            None => None,
        })
    }
}

fn gone_is_success(result: Result<(), EngineError>) -> Result<(), EngineError> {
    match result {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}
