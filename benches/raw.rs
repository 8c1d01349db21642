//! The Engine API without anything in between: what a figure is a ratio to.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, NetworkCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
};
use futures::{StreamExt, stream};

use crate::images::{Run, client};

/// As in the manifests that are compared with it.
const STOP_GRACE_SECONDS: i32 = 30;

/// How long a network without containers may be in use.
const NETWORK_IN_USE: Duration = Duration::from_secs(30);

/// Containers on a network of their own; what a run made and did not remove is swept with it.
pub(crate) struct Raw {
    runtime: tokio::runtime::Runtime,
    engine: Docker,
    run: Run,
}

impl Raw {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, engine: client(), run: Run::start() }
    }

    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// The example's image of this version.
    pub(crate) fn image(&self, version: &str) -> String {
        self.run(self.run.hello(version))
    }

    fn name(&self) -> String {
        format!("coxswain-bench-{}", self.run.id())
    }

    fn labels(&self) -> HashMap<String, String> {
        self.run.labels().into_iter().collect()
    }

    pub(crate) fn make_network(&self) {
        let network =
            NetworkCreateRequest { name: self.name(), labels: Some(self.labels()), ..Default::default() };
        self.run(self.engine.create_network(network)).unwrap();
    }

    /// Outside the measured time: Docker 20.10 may count containers that it has just removed as endpoints for a moment more.
    pub(crate) fn remove_network(&self) {
        let removing = async {
            while let Err(error) = self.engine.remove_network(&self.name()).await {
                eprintln!("the network cannot be removed yet: {error}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        self.run(async {
            tokio::time::timeout(NETWORK_IN_USE, removing).await.expect("the network is removed")
        });
    }

    /// Creates and starts the containers of these numbers, so many at a time.
    pub(crate) async fn start_all(&self, image: &str, numbers: Range<usize>, parallel: usize) -> Vec<String> {
        let all = stream::iter(numbers).map(async |number| {
            let body = ContainerCreateBody {
                image: Some(image.to_owned()),
                labels: Some(self.labels()),
                host_config: Some(HostConfig { network_mode: Some(self.name()), ..Default::default() }),
                ..Default::default()
            };
            let name = format!("{}-{number}", self.name());
            let options = CreateContainerOptionsBuilder::new().name(&name).build();
            let id = self.engine.create_container(Some(options), body).await.unwrap().id;
            self.engine.start_container(&id, None).await.unwrap();
            id
        });
        all.buffer_unordered(parallel).collect().await
    }

    /// Stops and then removes them, so many at a time.
    pub(crate) async fn stop_and_remove_all(&self, ids: Vec<String>, parallel: usize) {
        let all = stream::iter(ids).for_each_concurrent(parallel, async |id| {
            let options = StopContainerOptionsBuilder::new().t(STOP_GRACE_SECONDS).build();
            self.engine.stop_container(&id, Some(options)).await.unwrap();
            self.remove(&id).await;
        });
        all.await;
    }

    /// Removes them as they are, so many at a time.
    pub(crate) async fn remove_all(&self, ids: Vec<String>, parallel: usize) {
        stream::iter(ids).for_each_concurrent(parallel, async |id| self.remove(&id).await).await;
    }

    async fn remove(&self, id: &str) {
        let force = RemoveContainerOptionsBuilder::new().force(true).build();
        self.engine.remove_container(id, Some(force)).await.unwrap();
    }
}
