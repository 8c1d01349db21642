//! An Engine that checks each call: violations of the agent's invariants are recorded when the call is made.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::balancer::FakeBalancer;
use crate::engine::fake::FakeEngine;
use crate::engine::{
    ContainerSpec, ContainerState, Engine, EngineError, EngineEvent, EngineInfo, ExecId, ExecOutcome,
    ImageInfo, LABEL_REPLICA, LogLine, LogOptions, NetworkSpec, ObservedContainer, ObservedNetwork,
    ObservedVolume, OneOffSpec, VolumeSpec, is_of_store,
};
use crate::model::{ContainerId, ListeningSocket, Millis, StoreId};

/// What the guard knows and has recorded.
pub(super) struct GuardLog {
    store: StoreId,
    balancer: Arc<Mutex<FakeBalancer>>,
    violations: Mutex<Vec<String>>,
    calls: Mutex<BTreeMap<&'static str, usize>>,
    creating: Mutex<ParallelCreates>,
    /// The container that had an address, at port 0, or a port of 127.0.0.1.
    given: Mutex<BTreeMap<SocketAddr, String>>,
}

impl GuardLog {
    pub(super) fn new(store: StoreId, balancer: Arc<Mutex<FakeBalancer>>) -> Self {
        Self {
            store,
            balancer,
            violations: Mutex::default(),
            calls: Mutex::default(),
            creating: Mutex::default(),
            given: Mutex::default(),
        }
    }

    /// Panics if an invariant was violated.
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
        self.creating.lock().unwrap().most
    }

    fn note(&self, violation: String) {
        self.violations.lock().unwrap().push(violation);
    }
}

#[derive(Default)]
struct ParallelCreates {
    now: usize,
    most: usize,
}

pub(super) struct GuardEngine {
    inner: FakeEngine,
    log: Arc<GuardLog>,
}

impl GuardEngine {
    pub(super) fn new(inner: FakeEngine, log: Arc<GuardLog>) -> Self {
        Self { inner, log }
    }

    async fn count(&self, call: &'static str) {
        *self.log.calls.lock().unwrap().entry(call).or_default() += 1;
        // A call takes time, so that other ready tasks run meanwhile.
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }

    fn find(&self, id: &ContainerId) -> Option<ObservedContainer> {
        self.inner.containers().into_iter().find(|c| c.id == *id)
    }

    fn is_ours(&self, labels: &BTreeMap<String, String>) -> bool {
        is_of_store(labels, &self.log.store)
    }

    /// Before a container is stopped or removed.
    fn check_end(&self, call: &str, id: &ContainerId) {
        let Some(container) = self.find(id) else { return };
        if !self.is_ours(&container.labels) {
            self.log.note(format!("{call} of foreign {}", container.name));
        }
        let runs = container.state == ContainerState::Running;
        if runs && self.log.balancer.lock().unwrap().serves(id.as_str()) {
            self.log.note(format!("{call} of {} while the balancer serves it", container.name));
        }
    }

    /// Before a container is created.
    fn check_create(&self, spec: &ContainerSpec) {
        let containers = self.inner.containers();
        let replica = |labels: &BTreeMap<String, String>| labels.get(LABEL_REPLICA).cloned();
        let alive = containers.iter().filter(|c| {
            matches!(c.state, ContainerState::Running | ContainerState::Paused) && c.name != spec.name
        });
        for other in alive {
            if self.is_ours(&other.labels) && replica(&other.labels) == replica(&spec.labels) {
                self.log.note(format!("{} created while {} is alive", spec.name, other.name));
            }
            if other.addresses.values().any(|a| *a == spec.address) {
                self.log.note(format!("{} and {} both have {}", spec.name, other.name, spec.address));
            }
        }
        let ports = spec.published.values().map(|port| (Ipv4Addr::LOCALHOST, *port).into());
        for place in ports.chain([(spec.address, 0).into()]) {
            let before = self.log.given.lock().unwrap().insert(place, spec.name.clone());
            if before.is_some_and(|name| name != spec.name) {
                self.log.note(format!("{} has {place}, which was used in this test before", spec.name));
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
            let mut creating = self.log.creating.lock().unwrap();
            creating.now += 1;
            creating.most = creating.most.max(creating.now);
        }
        self.count("create").await;
        self.log.creating.lock().unwrap().now -= 1;
        self.check_create(spec);
        self.inner.create(spec).await
    }
    async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.count("start").await;
        self.inner.start(id).await
    }
    async fn connect(&self, id: &ContainerId, network: &str, address: IpAddr) -> Result<(), EngineError> {
        self.count("connect").await;
        self.inner.connect(id, network, address).await
    }
    async fn run_one_off(&self, spec: &OneOffSpec) -> Result<i64, EngineError> {
        self.count("run_one_off").await;
        self.inner.run_one_off(spec).await
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
