//! What a daemon meets in a run: an engine and a store that take their time, and probes without a network.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use coxswain::clock::Clock;
use coxswain::engine::fake::FakeEngine;
use coxswain::engine::{
    ContainerSpec, Engine, EngineError, EngineEvent, EngineInfo, ExecId, ExecOutcome, ImageInfo, LogLine,
    LogOptions, NetworkSpec, ObservedContainer, ObservedNetwork, ObservedVolume, OneOffSpec, VolumeSpec,
};
use coxswain::model::{ContainerId, EndpointId, FailedProbe, ListeningSocket, Millis, Mono, ProbeAnswer};
use coxswain::probe::{ProbeState, ProbeTarget, Probes};
use coxswain::store::{
    EmbeddedStore, LeaseId, Listing, Store, StoreEntry, StoreError, StoreIdentity, Txn, TxnOutcome,
    WatchEvent,
};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::sync::Notify;

use super::clock::{Chance, SimClock};
use super::laws::Laws;

/// Who is woken when something may have changed.
#[derive(Default)]
pub(super) struct Wakes {
    pub(super) agent: Notify,
    pub(super) controller: Notify,
    pub(super) registry: Notify,
}

impl Wakes {
    pub(super) fn all(&self) {
        self.agent.notify_one();
        self.controller.notify_one();
        self.registry.notify_one();
    }
}

/// Counts the steps that a daemon takes towards the world, and holds it for ever at one of them.
pub(super) struct Fuse {
    taken: Mutex<u64>,
    /// The step that is never taken.
    burns_at: Option<u64>,
}

impl Fuse {
    pub(super) fn new(burns_at: Option<u64>) -> Self {
        Self { taken: Mutex::default(), burns_at }
    }

    async fn step(&self) {
        let here = {
            let mut taken = self.taken.lock().unwrap();
            *taken += 1;
            *taken
        };
        if self.has_burnt_at(here) {
            std::future::pending().await
        }
    }

    fn has_burnt_at(&self, step: u64) -> bool {
        self.burns_at.is_some_and(|at| step >= at)
    }

    pub(super) fn has_burnt(&self) -> bool {
        self.has_burnt_at(*self.taken.lock().unwrap())
    }
}

/// What both seams share.
#[derive(Clone)]
pub(super) struct Seam {
    pub(super) chance: Chance,
    pub(super) laws: Arc<Laws>,
    pub(super) wakes: Arc<Wakes>,
    pub(super) fuse: Arc<Fuse>,
}

/// The fake engine, late on both ways. A call takes effect even if its caller is gone.
pub(super) struct LateEngine {
    pub(super) inner: FakeEngine,
    pub(super) seam: Seam,
}

impl LateEngine {
    async fn call<T: Send + 'static>(
        &self,
        changes: bool,
        work: impl FnOnce(FakeEngine) -> BoxFuture<'static, Result<T, EngineError>> + Send + 'static,
    ) -> Result<T, EngineError> {
        let Seam { chance, laws, wakes, fuse } = self.seam.clone();
        if changes {
            fuse.step().await;
        }
        let (there, back) = match changes && chance.one_in(8) {
            true => (chance.millis(1, 2_000), chance.millis(0, 500)),
            false => (chance.millis(1, 20), chance.millis(0, 10)),
        };
        let (engine, life) = (self.inner.clone(), laws.life());
        let happens = tokio::spawn(async move {
            tokio::time::sleep(there).await;
            let before = if changes { engine.containers() } else { Vec::new() };
            let result = work(engine.clone()).await;
            engine.take_journal().iter().for_each(|mutation| laws.happened(mutation, &before, life));
            result
        });
        let result = happens.await.unwrap();
        if changes {
            fuse.step().await;
        }
        tokio::time::sleep(back).await;
        wakes.agent.notify_one();
        result
    }
}

macro_rules! late {
    ($self:ident, $changes:literal, $engine:ident => $call:expr) => {
        $self.call($changes, move |$engine| Box::pin(async move { $call.await })).await
    };
}

#[async_trait]
impl Engine for LateEngine {
    async fn info(&self) -> Result<EngineInfo, EngineError> {
        late!(self, false, engine => engine.info())
    }
    async fn list(&self) -> Result<Vec<ObservedContainer>, EngineError> {
        late!(self, false, engine => engine.list())
    }
    async fn inspect(&self, id: &ContainerId) -> Result<ObservedContainer, EngineError> {
        let id = id.clone();
        late!(self, false, engine => engine.inspect(&id))
    }
    async fn inspect_name(&self, name: &str) -> Result<ObservedContainer, EngineError> {
        let name = name.to_owned();
        late!(self, false, engine => engine.inspect_name(&name))
    }
    async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        let spec = spec.clone();
        late!(self, true, engine => engine.create(&spec))
    }
    async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        let id = id.clone();
        late!(self, true, engine => engine.start(&id))
    }
    async fn connect(&self, id: &ContainerId, network: &str, address: IpAddr) -> Result<(), EngineError> {
        let (id, network) = (id.clone(), network.to_owned());
        late!(self, true, engine => engine.connect(&id, &network, address))
    }
    async fn run_one_off(&self, spec: &OneOffSpec) -> Result<i64, EngineError> {
        let spec = spec.clone();
        late!(self, true, engine => engine.run_one_off(&spec))
    }
    async fn kill(&self, id: &ContainerId, signal: &str) -> Result<(), EngineError> {
        let (id, signal) = (id.clone(), signal.to_owned());
        late!(self, true, engine => engine.kill(&id, &signal))
    }
    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        let id = id.clone();
        late!(self, true, engine => engine.remove(&id))
    }
    async fn exec(
        &self,
        id: &ContainerId,
        command: &[String],
        limit: Millis,
    ) -> Result<ExecOutcome, EngineError> {
        let (id, command) = (id.clone(), command.to_vec());
        late!(self, false, engine => engine.exec(&id, &command, limit))
    }
    async fn exec_runs(&self, exec: &ExecId) -> Result<bool, EngineError> {
        let exec = exec.clone();
        late!(self, false, engine => engine.exec_runs(&exec))
    }
    async fn networks(&self) -> Result<Vec<ObservedNetwork>, EngineError> {
        late!(self, false, engine => engine.networks())
    }
    async fn subnets(&self) -> Result<Vec<String>, EngineError> {
        late!(self, false, engine => engine.subnets())
    }
    async fn create_network(&self, spec: &NetworkSpec) -> Result<(), EngineError> {
        let spec = spec.clone();
        late!(self, true, engine => engine.create_network(&spec))
    }
    async fn remove_network(&self, name: &str) -> Result<(), EngineError> {
        let name = name.to_owned();
        late!(self, true, engine => engine.remove_network(&name))
    }
    async fn create_volume(&self, spec: &VolumeSpec) -> Result<(), EngineError> {
        let spec = spec.clone();
        late!(self, true, engine => engine.create_volume(&spec))
    }
    async fn volumes(&self) -> Result<Vec<ObservedVolume>, EngineError> {
        late!(self, false, engine => engine.volumes())
    }
    async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        let name = name.to_owned();
        late!(self, true, engine => engine.remove_volume(&name))
    }
    async fn image(&self, reference: &str) -> Result<ImageInfo, EngineError> {
        let reference = reference.to_owned();
        late!(self, false, engine => engine.image(&reference))
    }
    async fn pull(&self, reference: &str) -> Result<(), EngineError> {
        let reference = reference.to_owned();
        late!(self, true, engine => engine.pull(&reference))
    }
    async fn tag(&self, image: &str, repository: &str, tag: &str) -> Result<(), EngineError> {
        let (image, repository, tag) = (image.to_owned(), repository.to_owned(), tag.to_owned());
        late!(self, true, engine => engine.tag(&image, &repository, &tag))
    }
    async fn untag(&self, tag: &str) -> Result<(), EngineError> {
        let tag = tag.to_owned();
        late!(self, true, engine => engine.untag(&tag))
    }
    async fn events(
        &self,
        since: Option<jiff::Timestamp>,
    ) -> Result<BoxStream<'static, Result<EngineEvent, EngineError>>, EngineError> {
        let wakes = self.seam.wakes.clone();
        let events = self.inner.events(since).await?;
        Ok(events.inspect(move |_| wakes.agent.notify_one()).boxed())
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

/// The store, late now and then, so that reads and writes of several callers interleave.
pub(super) struct LateStore {
    pub(super) inner: Arc<EmbeddedStore>,
    pub(super) seam: Seam,
}

impl LateStore {
    async fn dawdle(&self) {
        if self.seam.chance.one_in(8) {
            tokio::time::sleep(self.seam.chance.millis(1, 30)).await;
        }
    }
}

#[async_trait]
impl Store for LateStore {
    fn identity(&self) -> &StoreIdentity {
        self.inner.identity()
    }
    async fn get(&self, key: &str) -> Result<Option<StoreEntry>, StoreError> {
        self.dawdle().await;
        self.inner.get(key).await
    }
    async fn list(&self, prefix: &str) -> Result<Listing, StoreError> {
        self.dawdle().await;
        self.inner.list(prefix).await
    }
    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError> {
        self.seam.fuse.step().await;
        self.dawdle().await;
        let ops = txn.ops.clone();
        let outcome = self.inner.txn(txn).await?;
        if let TxnOutcome::Committed { .. } = outcome {
            self.seam.laws.stored(&ops, &self.inner);
            self.seam.wakes.all();
        }
        self.seam.fuse.step().await;
        self.dawdle().await;
        Ok(outcome)
    }
    async fn watch(&self, prefix: &str, from: u64) -> Result<BoxStream<'static, WatchEvent>, StoreError> {
        self.inner.watch(prefix, from).await
    }
    async fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.inner.grant_lease(ttl).await
    }
    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.inner.keep_alive(lease).await
    }
    async fn revoke_lease(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.inner.revoke_lease(lease).await
    }
}

/// Probes that ask the fake: each target has what it last saw, and three misses in a row are a failure.
pub(super) struct FakeProbes {
    engine: FakeEngine,
    clock: SimClock,
    watched: Mutex<BTreeMap<EndpointId, Watched>>,
    /// Whether this side gets no answer from any replica.
    pub(super) is_deaf: AtomicBool,
}

struct Watched {
    target: ProbeTarget,
    since: Mono,
    probed_at: Mono,
    passed: bool,
    misses: u32,
    /// Whether the last probe got through to the replica's machine.
    is_heard: bool,
}

impl FakeProbes {
    pub(super) fn new(engine: FakeEngine, clock: SimClock) -> Self {
        Self { engine, clock, watched: Mutex::default(), is_deaf: AtomicBool::new(false) }
    }

    /// Probes what is due; whether any state changed.
    pub(super) fn probe(&self) -> bool {
        let now = self.clock.mono();
        let mut watched = self.watched.lock().unwrap();
        let states =
            |all: &BTreeMap<EndpointId, Watched>| all.values().map(|w| w.state(now)).collect::<Vec<_>>();
        let before = states(&watched);
        let due = watched.values_mut().filter(|w| now.since(w.probed_at) >= w.target.health.interval);
        due.for_each(|w| {
            w.probed_at = now;
            w.is_heard = !self.is_deaf.load(Ordering::Relaxed);
            let reached = self.engine.reach(w.target.place.address);
            let healthy = w.is_heard && reached.is_some_and(|reached| reached.healthy);
            w.misses = if healthy { 0 } else { w.misses + 1 };
            w.passed |= healthy;
        });
        states(&watched) != before
    }
}

impl Watched {
    fn state(&self, now: Mono) -> ProbeState {
        let since = self.since;
        let answer = match self.is_heard {
            true => ProbeAnswer::Refused { port: self.target.place.port },
            false => ProbeAnswer::Nothing,
        };
        let last = FailedProbe { message: "GET /healthz → no success".to_owned(), answer };
        match self.passed {
            true if self.misses < self.target.health.unhealthy_after => ProbeState::Ready { since },
            true => ProbeState::Failing { since, last },
            false if now.since(since) >= self.target.health.start_within => {
                ProbeState::TooLate { since, last }
            }
            false => ProbeState::Starting { since, last: (self.misses > 0).then_some(last) },
        }
    }
}

impl Probes for FakeProbes {
    fn watch(&self, target: ProbeTarget) {
        let now = self.clock.mono();
        self.watched.lock().unwrap().entry(target.id.clone()).or_insert(Watched {
            target,
            since: now,
            probed_at: now,
            passed: false,
            misses: 0,
            is_heard: true,
        });
    }

    fn retain(&self, keep: &BTreeSet<EndpointId>) {
        self.watched.lock().unwrap().retain(|id, _| keep.contains(id));
    }

    fn state(&self, id: &EndpointId) -> Option<ProbeState> {
        self.watched.lock().unwrap().get(id).map(|watched| watched.state(self.clock.mono()))
    }
}
