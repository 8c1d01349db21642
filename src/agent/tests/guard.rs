//! An engine that watches what it is asked for: what must never happen is noted at the moment it is asked.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::rig::Balancer;
use crate::engine::fake::FakeEngine;
use crate::engine::{
    ContainerSpec, ContainerState, Engine, EngineError, EngineEvent, EngineInfo, ExecId, ExecOutcome,
    ImageInfo, LABEL_REPLICA, LABEL_STORE, LogLine, LogOptions, NetworkSpec, ObservedContainer,
    ObservedNetwork, ObservedVolume, VolumeSpec,
};
use crate::model::{ContainerId, ListeningSocket, Millis, StoreId};

/// What the guard knows and noted.
pub(super) struct World {
    store: StoreId,
    balancer: Arc<Mutex<Balancer>>,
    violations: Mutex<Vec<String>>,
    calls: Mutex<BTreeMap<&'static str, usize>>,
    creating: Mutex<(usize, usize)>,
    /// Who had which address, at port 0, or which port of 127.0.0.1.
    given: Mutex<BTreeMap<SocketAddr, String>>,
}

impl World {
    pub(super) fn new(store: StoreId, balancer: Arc<Mutex<Balancer>>) -> Self {
        Self {
            store,
            balancer,
            violations: Mutex::default(),
            calls: Mutex::default(),
            creating: Mutex::default(),
            given: Mutex::default(),
        }
    }

    /// Nothing happened that must not.
    pub(super) fn assert_sound(&self) {
        let violations = self.violations.lock().unwrap();
        assert!(violations.is_empty(), "{violations:#?}");
    }

    /// How often a call was made.
    pub(super) fn calls(&self, call: &str) -> usize {
        self.calls.lock().unwrap().get(call).copied().unwrap_or(0)
    }

    /// The largest number of creates at once.
    pub(super) fn most_creates(&self) -> usize {
        self.creating.lock().unwrap().1
    }

    fn note(&self, violation: String) {
        self.violations.lock().unwrap().push(violation);
    }
}

pub(super) struct GuardEngine {
    inner: FakeEngine,
    world: Arc<World>,
}

impl GuardEngine {
    pub(super) fn new(inner: FakeEngine, world: Arc<World>) -> Self {
        Self { inner, world }
    }

    async fn count(&self, call: &'static str) {
        *self.world.calls.lock().unwrap().entry(call).or_default() += 1;
        // An engine takes its time: whatever else is ready runs meanwhile.
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }

    fn find(&self, id: &ContainerId) -> Option<ObservedContainer> {
        self.inner.containers().into_iter().find(|c| c.id == *id)
    }

    fn is_ours(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(LABEL_STORE).map(String::as_str) == Some(self.world.store.as_str())
    }

    /// Before a container is told to stop or removed.
    fn check_end(&self, call: &str, id: &ContainerId) {
        let Some(container) = self.find(id) else { return };
        if !self.is_ours(&container.labels) {
            self.world.note(format!("{call} of foreign {}", container.name));
        }
        let runs = container.state == ContainerState::Running;
        if runs && self.world.balancer.lock().unwrap().serves(id.as_str()) {
            self.world.note(format!("{call} of {} while the balancer serves it", container.name));
        }
    }

    /// Before a container is made.
    fn check_create(&self, spec: &ContainerSpec) {
        let containers = self.inner.containers();
        let replica = |labels: &BTreeMap<String, String>| labels.get(LABEL_REPLICA).cloned();
        let alive = containers.iter().filter(|c| {
            matches!(c.state, ContainerState::Running | ContainerState::Paused) && c.name != spec.name
        });
        for other in alive {
            if self.is_ours(&other.labels) && replica(&other.labels) == replica(&spec.labels) {
                self.world.note(format!("{} made while {} is alive", spec.name, other.name));
            }
            if other.addresses.values().any(|a| *a == spec.address) {
                self.world.note(format!("{} and {} both have {}", spec.name, other.name, spec.address));
            }
        }
        let ports = spec.published.values().map(|port| (Ipv4Addr::LOCALHOST, *port).into());
        for place in ports.chain([(spec.address, 0).into()]) {
            let before = self.world.given.lock().unwrap().insert(place, spec.name.clone());
            if before.is_some_and(|name| name != spec.name) {
                self.world.note(format!("{} has {place}, which was used in this test before", spec.name));
            }
        }
    }
}

#[async_trait]
impl Engine for GuardEngine {
    async fn info(&self) -> Result<EngineInfo, EngineError> {
        self.count("info").await;
        self.inner.info().await
    }
    async fn list(&self) -> Result<Vec<ObservedContainer>, EngineError> {
        self.count("list").await;
        self.inner.list().await
    }
    async fn inspect(&self, id: &ContainerId) -> Result<ObservedContainer, EngineError> {
        self.count("inspect").await;
        self.inner.inspect(id).await
    }
    async fn inspect_name(&self, name: &str) -> Result<ObservedContainer, EngineError> {
        self.count("inspect_name").await;
        self.inner.inspect_name(name).await
    }
    async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        {
            let mut creating = self.world.creating.lock().unwrap();
            creating.0 += 1;
            creating.1 = creating.1.max(creating.0);
        }
        self.count("create").await;
        self.world.creating.lock().unwrap().0 -= 1;
        self.check_create(spec);
        self.inner.create(spec).await
    }
    async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.count("start").await;
        self.inner.start(id).await
    }
    async fn kill(&self, id: &ContainerId, signal: &str) -> Result<(), EngineError> {
        self.count("kill").await;
        self.check_end("kill", id);
        self.inner.kill(id, signal).await
    }
    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.count("remove").await;
        self.check_end("remove", id);
        self.inner.remove(id).await
    }
    async fn exec(
        &self,
        id: &ContainerId,
        command: &[String],
        limit: Millis,
    ) -> Result<ExecOutcome, EngineError> {
        self.inner.exec(id, command, limit).await
    }
    async fn exec_runs(&self, exec: &ExecId) -> Result<bool, EngineError> {
        self.inner.exec_runs(exec).await
    }
    async fn networks(&self) -> Result<Vec<ObservedNetwork>, EngineError> {
        self.inner.networks().await
    }
    async fn subnets(&self) -> Result<Vec<String>, EngineError> {
        self.inner.subnets().await
    }
    async fn create_network(&self, spec: &NetworkSpec) -> Result<(), EngineError> {
        self.count("create_network").await;
        self.inner.create_network(spec).await
    }
    async fn remove_network(&self, name: &str) -> Result<(), EngineError> {
        self.count("remove_network").await;
        self.inner.remove_network(name).await
    }
    async fn create_volume(&self, spec: &VolumeSpec) -> Result<(), EngineError> {
        self.inner.create_volume(spec).await
    }
    async fn volumes(&self) -> Result<Vec<ObservedVolume>, EngineError> {
        self.inner.volumes().await
    }
    async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        self.inner.remove_volume(name).await
    }
    async fn image(&self, reference: &str) -> Result<ImageInfo, EngineError> {
        self.count("image").await;
        self.inner.image(reference).await
    }
    async fn pull(&self, reference: &str) -> Result<(), EngineError> {
        self.count("pull").await;
        self.inner.pull(reference).await
    }
    async fn tag(&self, image: &str, repository: &str, tag: &str) -> Result<(), EngineError> {
        self.count("tag").await;
        self.inner.tag(image, repository, tag).await
    }
    async fn untag(&self, tag: &str) -> Result<(), EngineError> {
        self.count("untag").await;
        self.inner.untag(tag).await
    }
    async fn events(
        &self,
        since: Option<jiff::Timestamp>,
    ) -> Result<BoxStream<'static, Result<EngineEvent, EngineError>>, EngineError> {
        self.inner.events(since).await
    }
    async fn logs(
        &self,
        id: &ContainerId,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Result<LogLine, EngineError>>, EngineError> {
        self.inner.logs(id, options).await
    }
    async fn listening(&self, id: &ContainerId) -> Result<Option<Vec<ListeningSocket>>, EngineError> {
        self.inner.listening(id).await
    }
}
