//! The trait [`Engine`], call by call.

use std::collections::HashMap;
use std::net::IpAddr;

use async_trait::async_trait;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptions, RemoveVolumeOptions, StartContainerOptions,
    TagImageOptionsBuilder,
};
use futures::stream::BoxStream;

use super::{DockerEngine, QUICK, SLOW};
use crate::engine::classify::CallObject;
use crate::engine::routes::routed_subnets;
use crate::engine::{
    ContainerSpec, Engine, EngineError, EngineEvent, EngineInfo, EngineObject, ExecId, ExecOutcome,
    ImageInfo, LABEL_STORE, LogLine, LogOptions, NetworkSpec, ObservedContainer, ObservedNetwork,
    ObservedVolume, OneOffSpec, VolumeSpec, kind, translate,
};
use crate::model::{ContainerId, Cpu, ListeningSocket, MemorySize, Millis};

/// A response without a field that every response of its kind has.
pub(super) fn incomplete(call: &'static str) -> EngineError {
    EngineError::Failed { call, status: 200, message: "the response is incomplete".to_owned() }
}

/// Refuses a name that would change the path of the request.
pub(super) fn in_path<'a>(what: &str, name: &'a str) -> Result<&'a str, EngineError> {
    if translate::fits_a_path(name) {
        Ok(name)
    } else {
        Err(EngineError::Invalid { message: format!("`{name}` is not the name of {what}") })
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
            cpu: info
                .ncpu
                .and_then(|cores| u32::try_from(cores).ok()?.checked_mul(1000))
                .filter(|c| *c > 0)
                .map(Cpu),
            memory: info
                .mem_total
                .and_then(|bytes| u64::try_from(bytes).ok())
                .filter(|b| *b > 0)
                .map(MemorySize),
        })
    }

    async fn list(&self) -> Result<Vec<ObservedContainer>, EngineError> {
        self.list_inspected().await
    }

    async fn inspect(&self, id: &ContainerId) -> Result<ObservedContainer, EngineError> {
        self.inspect_any(id.as_str()).await
    }

    async fn inspect_name(&self, name: &str) -> Result<ObservedContainer, EngineError> {
        let found = self.inspect_any(name).await?;
        // Docker also accepts the start of an id.
        if found.name == name {
            Ok(found)
        } else {
            Err(EngineError::NotFound { what: EngineObject::Container, name: name.to_owned() })
        }
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        let options = CreateContainerOptionsBuilder::new().name(&spec.name).build();
        let body = translate::container(spec);
        let created = self
            .ask("create", CallObject::Create(&spec.image), SLOW, |docker| async move {
                docker.create_container(Some(options), body).await
            })
            .await?;
        for warning in &created.warnings {
            tracing::warn!(container = spec.name, warning, "Docker created the container with a warning");
        }
        Ok(ContainerId::new(created.id))
    }

    async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        let id = in_path("a container", id.as_str())?;
        self.ask("start", CallObject::Start(id), SLOW, |docker| async move {
            docker.start_container(id, None::<StartContainerOptions>).await
        })
        .await
    }

    async fn connect(&self, id: &ContainerId, network: &str, address: IpAddr) -> Result<(), EngineError> {
        self.connect_to_network(in_path("a container", id.as_str())?, in_path("a network", network)?, address)
            .await
    }

    async fn run_one_off(&self, spec: &OneOffSpec) -> Result<i64, EngineError> {
        self.run_and_remove(spec).await
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
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
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
        Ok(found.iter().flat_map(translate::subnets).chain(routed_subnets()).collect())
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<(), EngineError> {
        self.create_new_network(spec).await
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

    /// Docker returns the volume of that name, new or existing.
    async fn create_volume(&self, spec: &VolumeSpec) -> Result<(), EngineError> {
        let body = translate::volume(spec);
        let created = self.ask("create volume", CallObject::Volume(&spec.name), SLOW, |docker| async move {
            docker.create_volume(body).await
        });
        translate::observed_volume(created.await?).check_is(spec)
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
        self.listening_in(id).await
    }
}

fn gone_is_success(result: Result<(), EngineError>) -> Result<(), EngineError> {
    match result {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}
