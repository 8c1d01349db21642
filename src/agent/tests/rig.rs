//! An agent with everything around it: the fake Engine behind a guard, a store in memory, the registry, a balancer and
//! probes that a test controls, and tokio's paused clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::balancer::{FakeBalancer, balance};
use super::fakes::{FakeProbes, PausedClock};
use super::guard::{GuardEngine, GuardLog};
use crate::agent::{Agent, AgentConfig, AgentHandle, AgentParts};
use crate::clock::Clock;
use crate::engine::fake::{Behaviour, FakeEngine, Fault};
use crate::engine::{ContainerState, EngineError, LABEL_REPLICA, ObservedContainer};
use crate::model::{EngineKind, HostPathPolicy, NodeId, key};
use crate::registry::Registry;
use crate::store::{EmbeddedStore, Store};
use crate::testing;

/// The agent and everything around it.
pub(super) struct Rig {
    pub(super) engine: FakeEngine,
    pub(super) guard: Arc<GuardLog>,
    pub(super) store: Arc<EmbeddedStore>,
    pub(super) balancer: Arc<Mutex<FakeBalancer>>,
    pub(super) handle: AgentHandle,
    /// Id of the image `users:1`.
    pub(super) image: String,
    pub(super) clock: Arc<PausedClock>,
    shutdown: CancellationToken,
    _tasks: JoinSet<()>,
}

pub(super) const NODE: &str = "FAKE:ENGINE";

pub(super) fn config() -> AgentConfig {
    AgentConfig {
        node: NodeId::new(NODE),
        node_name: "harbour".to_owned(),
        instance: "harbour:/var/lib/coxswain".to_owned(),
        network_pool: "10.209.0.0/16".to_owned(),
        exposure: None,
        http: vec![([0, 0, 0, 0], 8080).into()],
        balancer_host: None,
        program: None,
        host_paths: HostPathPolicy::default(),
    }
}

impl Rig {
    /// A native Engine with an image `users:1` of this behaviour.
    pub(super) fn new(behaviour: Behaviour) -> Rig {
        Self::of_kind(EngineKind::Native, behaviour)
    }

    /// As [`Self::new`], on an Engine of this kind.
    pub(super) fn of_kind(kind: EngineKind, behaviour: Behaviour) -> Rig {
        let clock = Arc::new(PausedClock::new());
        let wall = clock.clone();
        let engine = FakeEngine::new(move || wall.wall()).of_kind(kind);
        let image = engine.add_image("users:1", behaviour).id;
        let store = Arc::new(EmbeddedStore::in_memory(clock.clone()).unwrap());
        Rig::around(clock, engine, image, store)
    }

    /// Restarts the agent; Engine and store stay.
    pub(super) fn restarted(self) -> Rig {
        self.shutdown.cancel();
        let Rig { clock, engine, image, store, .. } = self;
        Rig::around(clock, engine, image, store)
    }

    fn around(clock: Arc<PausedClock>, engine: FakeEngine, image: String, store: Arc<EmbeddedStore>) -> Rig {
        let balancer = Arc::new(Mutex::new(FakeBalancer::working()));
        let (sender, reports) = watch::channel(testing::reports(None));
        let registry = Arc::new(Registry::new(store.clone(), reports));
        let guard = Arc::new(GuardLog::new(store.identity().id.clone(), balancer.clone()));
        let guarded = Arc::new(GuardEngine::new(engine.clone(), guard.clone()));
        let probes = FakeProbes::new(engine.clone(), clock.clone());
        let (agent, handle) = Agent::with_probes(
            AgentParts {
                config: config(),
                engine: guarded,
                store: store.clone(),
                registry: registry.clone(),
                clock: clock.clone(),
            },
            Arc::new(probes),
        )
        .unwrap();
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(agent.run(shutdown.clone()));
        tasks.spawn(registry.clone().follow(shutdown.clone()));
        tasks.spawn(balance(balancer.clone(), registry.tables(), sender));
        tasks.spawn(tick(engine.clone(), handle.clone()));
        Rig { engine, guard, store, balancer, handle, image, clock, shutdown, _tasks: tasks }
    }

    /// Names of the running containers.
    pub(super) fn running(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .engine
            .containers()
            .into_iter()
            .filter(|c| c.state == ContainerState::Running)
            .map(|c| c.name)
            .collect();
        names.sort();
        names
    }

    pub(super) fn container(&self, name: &str) -> ObservedContainer {
        self.engine.containers().into_iter().find(|c| c.name == name).unwrap()
    }

    /// The running container of a replica, whatever its attempt.
    pub(super) fn container_of(&self, replica: &str) -> ObservedContainer {
        let is_its = |c: &ObservedContainer| c.labels.get(LABEL_REPLICA).map(String::as_str) == Some(replica);
        let running = |c: &ObservedContainer| c.state == ContainerState::Running;
        self.engine.containers().into_iter().find(|c| is_its(c) && running(c)).unwrap()
    }

    /// Seconds of virtual time.
    pub(super) fn seconds(&self) -> u64 {
        self.clock.mono().0 / 1000
    }

    /// Waits until the condition holds, at most this many seconds of virtual time.
    pub(super) async fn until(&self, what: &str, seconds: u64, holds: impl Fn(&Rig) -> bool) {
        for _ in 0..seconds * 50 {
            self.guard.assert_sound();
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let statuses: Vec<_> = self.store.list_now(key::STATUS).unwrap().entries;
        let statuses: Vec<_> =
            statuses.iter().map(|e| String::from_utf8_lossy(&e.value).into_owned()).collect();
        let state = self.handle.state().borrow().clone();
        panic!("not within {seconds} s: {what}\n{statuses:#?}\n{:#?}\n{state:#?}", self.engine.journal());
    }

    /// From now on one call in eight fails or loses its answer.
    pub(super) fn disturb_calls(&self, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        self.engine.choose_faults(move |call| match random.u8(..16) {
            0 => Some(Fault::AnswerLost),
            1 => Some(Fault::Fails(EngineError::Failed {
                call: call.name(),
                status: 500,
                message: "a fault".to_owned(),
            })),
            _ => None,
        });
    }

    /// Ends all faults: Engine, events and balancer work again.
    pub(super) fn end_faults(&self) {
        self.engine.clear_faults();
        self.engine.come_back();
        self.engine.silence_events(false);
        self.engine.containers().iter().for_each(|c| self.engine.unpause_by_hand(&c.id));
        let mut balancer = self.balancer.lock().unwrap();
        balancer.connected = true;
        balancer.acknowledges = true;
        balancer.in_flight = 0;
    }

    /// Lets virtual time pass and checks the invariants.
    pub(super) async fn pass_millis(&self, millis: u64) {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        self.guard.assert_sound();
    }

    /// Lets virtual time pass and checks the invariants.
    pub(super) async fn pass_time(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.guard.assert_sound();
    }
}

/// Makes the Engine act on time, and wakes the agent as probes do.
async fn tick(engine: FakeEngine, handle: AgentHandle) {
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        engine.tick();
        handle.wake();
    }
}
