//! One life of a daemon: the real controller, agent and registry over the late seams, woken by everything.

use std::sync::Arc;
use std::time::Duration;

use coxswain::agent::{self, Agent, AgentConfig, AgentHandle};
use coxswain::clock::Clock;
use coxswain::controller::{Controller, ControllerParts};
use coxswain::engine::fake::FakeEngine;
use coxswain::model::{BalancerReports, HostPathPolicy, NodeId};
use coxswain::registry::Registry;
use coxswain::store::{EmbeddedStore, Store};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::balancer::Connection;
use super::chaos::SERVICES;
use super::clock::{Chance, SimClock};
use super::seams::{FakeProbes, Fuse, LateEngine, LateStore, Seam, Wakes};

pub(super) const HOST: &str = "FAKE:ENGINE";
/// A pass over services that are due at a time, at least this often.
const LOOK_AT_QUEUE: Duration = Duration::from_millis(250);

pub(super) struct Daemon {
    pub(super) controller: Arc<Controller>,
    pub(super) agent: AgentHandle,
    pub(super) wakes: Arc<Wakes>,
    pub(super) fuse: Arc<Fuse>,
    probes: Arc<FakeProbes>,
    registry: Arc<Registry>,
    said: watch::Sender<BalancerReports>,
    /// Everything it does; dropped, it stops wherever it is.
    pub(super) tasks: JoinSet<()>,
}

impl Daemon {
    pub(super) fn start(
        store: Arc<EmbeddedStore>,
        engine: FakeEngine,
        clock: SimClock,
        seam: Seam,
    ) -> Daemon {
        let (said, reports) = watch::channel(BalancerReports::default());
        let store: Arc<dyn Store> = Arc::new(LateStore { inner: store, seam: seam.clone() });
        let late = Arc::new(LateEngine { inner: engine.clone(), seam: seam.clone() });
        let registry = Arc::new(Registry::new(store.clone(), reports.clone()));
        let probes = Arc::new(FakeProbes::new(engine, clock.clone()));
        let shared: Arc<dyn Clock> = Arc::new(clock);
        let (agent, handle) = Agent::with_probes(
            agent::AgentParts {
                config: config(),
                engine: late,
                store: store.clone(),
                registry: registry.clone(),
                clock: shared.clone(),
            },
            probes.clone(),
        )
        .unwrap();
        let controller = Controller::new(ControllerParts {
            store,
            registry: registry.clone(),
            clock: shared,
            agent: handle.clone(),
            node: NodeId::new(HOST),
            http: Vec::new(),
            https: Vec::new(),
            manifests: None,
        });
        let Seam { chance, wakes, fuse, .. } = seam;
        let mut tasks = JoinSet::new();
        tasks.spawn(agent.follow_events());
        tasks.spawn(reconcile(agent, wakes.clone(), chance.clone()));
        tasks.spawn(orchestrate(controller.clone(), wakes.clone(), chance.clone()));
        let removing = controller.clone();
        tasks.spawn(async move { removing.reconciler().remove_requested_volumes().await });
        tasks.spawn(publish(registry.clone(), wakes.clone(), chance));
        tasks.spawn(hear(reports, wakes.clone()));
        Daemon { controller, agent: handle, wakes, fuse, probes, registry, said, tasks }
    }

    /// A balancer's end of a new connection.
    pub(super) fn connection(&self) -> Connection {
        Connection { tables: self.registry.tables(), reports: self.said.clone() }
    }

    /// The daemon's probes get no answer any more, or do again.
    pub(super) fn deafen(&self, is_deaf: bool) {
        self.probes.is_deaf.store(is_deaf, std::sync::atomic::Ordering::Relaxed);
    }

    /// Time went on for the probes.
    pub(super) fn probe(&self) {
        if self.probes.probe() {
            self.wakes.agent.notify_one();
        }
    }
}

fn config() -> AgentConfig {
    AgentConfig {
        node: NodeId::new(HOST),
        node_name: "harbour".to_owned(),
        instance: "harbour:/var/lib/coxswain".to_owned(),
        network_pool: "10.209.0.0/16".to_owned(),
        exposure: None,
        http: vec!["0.0.0.0:8080".parse().unwrap()],
        balancer_host: None,
        program: None,
        host_paths: HostPathPolicy::default(),
    }
}

async fn reconcile(mut agent: Agent, wakes: Arc<Wakes>, chance: Chance) {
    loop {
        let pass = agent.pass().await;
        tokio::select! {
            biased;
            () = wakes.agent.notified() => {}
            () = tokio::time::sleep(pass.wake_after.std()) => {}
        }
        tokio::time::sleep(chance.millis(1, 10)).await;
    }
}

async fn orchestrate(controller: Arc<Controller>, wakes: Arc<Wakes>, chance: Chance) {
    loop {
        // Nothing but the store fails here, and only because it was closed: the daemon is about to end.
        let Ok(_) = controller.reconciler().pass_marked().await else { return };
        let notified = tokio::select! {
            biased;
            () = wakes.controller.notified() => true,
            () = tokio::time::sleep(LOOK_AT_QUEUE) => false,
        };
        tokio::time::sleep(chance.millis(1, 30)).await;
        if notified {
            SERVICES.iter().for_each(|name| controller.reconciler().mark((*name).into()));
        }
    }
}

async fn publish(registry: Arc<Registry>, wakes: Arc<Wakes>, chance: Chance) {
    loop {
        wakes.registry.notified().await;
        tokio::time::sleep(chance.millis(1, 60)).await;
        if registry.rebuild().await.is_err() {
            return;
        }
    }
}

/// The agent looks whatever was said; the controller where another table is acknowledged.
async fn hear(mut reports: watch::Receiver<BalancerReports>, wakes: Arc<Wakes>) {
    let mut applied = None;
    while reports.changed().await.is_ok() {
        wakes.agent.notify_one();
        let now = reports.borrow_and_update().oldest_applied().cloned();
        if now != applied {
            applied = now;
            wakes.controller.notify_one();
        }
    }
}
