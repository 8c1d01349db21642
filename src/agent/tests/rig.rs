//! An agent with everything around it: the fake engine behind a guard, a store in memory, the registry, a balancer and
//! probes that a test controls, and tokio's paused clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::fakes::{FakeProbes, PausedClock};
use super::guard::{GuardEngine, World};
use crate::agent::{Agent, AgentConfig, AgentHandle, AgentParts};
use crate::clock::Clock;
use crate::engine::fake::{Behaviour, FakeEngine, Fault};
use crate::engine::{ContainerState, EngineError, ObservedContainer};
use crate::model::{
    AppName, Author, BalancerReport, BalancerReports, Desired, Endpoint, EndpointId, EndpointStats,
    EngineKind, Generation, Health, HealthCheck, NodeId, Port, Protocol, Pull, Replica, ReplicaName,
    ReplicaPhase, ReplicaStatus, ResolvedImage, Revision, RevisionNumber, RoutingTable, Service, ServiceSpec,
    Template, key,
};
use crate::registry::Registry;
use crate::store::{EmbeddedStore, Op, Store, Txn};
use crate::testing;

/// What the balancer of a test does.
#[derive(Default)]
pub(super) struct Balancer {
    pub(super) connected: bool,
    pub(super) acknowledges: bool,
    pub(super) in_flight: u64,
    applied: Option<Arc<RoutingTable>>,
}

/// All of it.
pub(super) struct Rig {
    pub(super) engine: FakeEngine,
    pub(super) guard: Arc<World>,
    pub(super) store: Arc<EmbeddedStore>,
    pub(super) balancer: Arc<Mutex<Balancer>>,
    pub(super) handle: AgentHandle,
    image: String,
    clock: Arc<PausedClock>,
    shutdown: CancellationToken,
    _tasks: JoinSet<()>,
}

pub(super) const HOST: &str = "FAKE:ENGINE";

impl Rig {
    /// Everything new, with this behaviour of `users:1`.
    pub(super) fn new(behaviour: Behaviour) -> Rig {
        Self::of_kind(EngineKind::Native, behaviour)
    }

    /// On an Engine of this kind.
    pub(super) fn of_kind(kind: EngineKind, behaviour: Behaviour) -> Rig {
        let clock = Arc::new(PausedClock::new());
        let wall = clock.clone();
        let engine = FakeEngine::new(move || wall.wall()).of_kind(kind);
        let image = engine.add_image("users:1", behaviour).id;
        let store = Arc::new(EmbeddedStore::in_memory(clock.clone()).unwrap());
        Rig::around(clock, engine, image, store)
    }

    /// The agent is started anew; engine and store are as they were.
    pub(super) fn restarted(self) -> Rig {
        self.shutdown.cancel();
        let Rig { clock, engine, image, store, .. } = self;
        Rig::around(clock, engine, image, store)
    }

    fn around(clock: Arc<PausedClock>, engine: FakeEngine, image: String, store: Arc<EmbeddedStore>) -> Rig {
        let balancer = Balancer { connected: true, acknowledges: true, ..Balancer::default() };
        let balancer = Arc::new(Mutex::new(balancer));
        let (said, reports) = watch::channel(testing::reports(None));
        let registry = Arc::new(Registry::new(store.clone(), reports));
        let guard = Arc::new(World::new(store.identity().id.clone(), balancer.clone()));
        let guarded = Arc::new(GuardEngine::new(engine.clone(), guard.clone()));
        let probes = FakeProbes::new(engine.clone(), clock.clone());
        let config = AgentConfig {
            node: NodeId::new(HOST),
            node_name: "harbour".to_owned(),
            instance: "harbour:/var/lib/coxswain".to_owned(),
            network_pool: "10.209.0.0/16".to_owned(),
            exposure: None,
            http: vec![([0, 0, 0, 0], 8080).into()],
            balancer_host: None,
            boot_id: "boot-1".to_owned(),
        };
        let (agent, handle) = Agent::with_probes(
            AgentParts {
                config,
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
        tasks.spawn(balance(balancer.clone(), registry.tables(), said));
        tasks.spawn(tick(engine.clone(), handle.clone()));
        Rig { engine, guard, store, balancer, handle, image, clock, shutdown, _tasks: tasks }
    }

    /// Stores a service with one revision and these replicas, all to run.
    pub(super) async fn declare(&self, replicas: &[&str], change: impl FnOnce(&mut ServiceSpec)) {
        let mut spec = ServiceSpec::of_image("users:1");
        spec.ports = vec![Port { name: "http".to_owned(), port: 8080, protocol: Protocol::Http }];
        spec.health = Health::with(HealthCheck::Http("/healthz".to_owned()));
        spec.pull = Pull::IfMissing;
        change(&mut spec);
        let revision = self.revision(spec);
        let mut ops = vec![Op::put(key::revision(&revision.service, revision.number), &revision)];
        ops.push(Op::put(key::service(&revision.service), &service(&revision)));
        for name in replicas {
            let replica = self.replica(name, Desired::Run);
            ops.push(Op::put(key::replica(&replica.service, &replica.name), &replica));
        }
        self.store.txn(Txn { compare: Vec::new(), ops }).await.unwrap();
    }

    fn revision(&self, spec: ServiceSpec) -> Revision {
        let image = self.image.clone();
        Revision {
            service: "users".into(),
            number: RevisionNumber(1),
            generation: Generation(1),
            hash: Template::of(&spec, &image, 0).hash(),
            image: ResolvedImage { reference: spec.image.clone(), pinned: image },
            spec,
            restarts: 0,
            hash_schema: 1,
            created_at: self.clock.wall(),
            created_by: Author::default(),
        }
    }

    fn replica(&self, name: &str, desired: Desired) -> Replica {
        Replica {
            name: name.into(),
            service: "users".into(),
            app: AppName::new("shop"),
            slot: 1,
            revision: RevisionNumber(1),
            hash: crate::model::TemplateHash::new("h"),
            node: NodeId::new(HOST),
            desired,
        }
    }

    /// Changes what is wanted of a replica.
    pub(super) async fn want(&self, name: &str, desired: Desired) {
        let replica = self.replica(name, desired);
        let ops = vec![Op::put(key::replica(&replica.service, &replica.name), &replica)];
        self.store.txn(Txn { compare: Vec::new(), ops }).await.unwrap();
    }

    /// Takes a replica out of the store as if it had never been there.
    pub(super) async fn forget(&self, name: &str) {
        let (service, name) = ("users".into(), ReplicaName::new(name));
        let ops = vec![
            Op::delete(key::replica(&service, &name)),
            Op::delete(key::status(&service, &name)),
            Op::delete(key::endpoint(&service, &name)),
        ];
        self.store.txn(Txn { compare: Vec::new(), ops }).await.unwrap();
    }

    /// Takes the service out of the store, as the orchestrator does once its replicas are gone.
    pub(super) async fn forget_service(&self) {
        let service = "users".into();
        let ops =
            vec![Op::delete(key::service(&service)), Op::delete(key::revision(&service, RevisionNumber(1)))];
        self.store.txn(Txn { compare: Vec::new(), ops }).await.unwrap();
    }

    /// How many events with this reason there are.
    pub(super) fn told(&self, reason: &str) -> usize {
        let events = self.store.list_now(&key::events_of(&"users".into())).unwrap().entries;
        events.iter().filter(|event| String::from_utf8_lossy(&event.value).contains(reason)).count()
    }

    pub(super) fn status(&self, name: &str) -> Option<ReplicaStatus> {
        let key = key::status(&"users".into(), &name.into());
        self.store.get_now(&key).unwrap().map(|entry| entry.decode().unwrap())
    }

    pub(super) fn phase(&self, name: &str) -> Option<ReplicaPhase> {
        self.status(name).map(|status| status.phase)
    }

    pub(super) fn is_ready(&self, name: &str) -> bool {
        self.phase(name) == Some(ReplicaPhase::Ready)
    }

    pub(super) fn endpoint(&self, name: &str) -> Option<Endpoint> {
        let key = key::endpoint(&"users".into(), &name.into());
        self.store.get_now(&key).unwrap().map(|entry| entry.decode().unwrap())
    }

    /// Names of the containers that run.
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

    /// Seconds on the clock.
    pub(super) fn seconds(&self) -> u64 {
        self.clock.mono().0 / 1000
    }

    /// Waits until that holds, at most so many seconds of virtual time.
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

    /// No fault any more, and everybody is there.
    pub(super) fn calm(&self) {
        self.engine.clear_faults();
        self.engine.come_back();
        self.engine.silence_events(false);
        self.engine.containers().iter().for_each(|c| self.engine.unpause_by_hand(&c.id));
        let mut balancer = self.balancer.lock().unwrap();
        (balancer.connected, balancer.acknowledges, balancer.in_flight) = (true, true, 0);
    }

    /// Lets virtual time pass; checks that everything stays sound.
    pub(super) async fn pass_millis(&self, millis: u64) {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        self.guard.assert_sound();
    }

    /// Lets virtual time pass; checks that everything stays sound.
    pub(super) async fn pass_time(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.guard.assert_sound();
    }
}

fn service(revision: &Revision) -> Service {
    Service {
        spec: revision.spec.clone(),
        image: revision.image.clone(),
        written_at: revision.created_at,
        ..testing::service("users")
    }
}

impl Balancer {
    /// Whether the table it serves from has an endpoint of this container.
    pub(super) fn serves(&self, container: &str) -> bool {
        let mut endpoints = self.applied.iter().flat_map(|table| table.endpoints());
        endpoints.any(|e| e.id.as_str().starts_with(container))
    }
}

async fn balance(
    balancer: Arc<Mutex<Balancer>>,
    tables: watch::Receiver<Option<Arc<RoutingTable>>>,
    said: watch::Sender<BalancerReports>,
) {
    loop {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let mut balancer = balancer.lock().unwrap();
        if balancer.acknowledges {
            balancer.applied = tables.borrow().clone();
        }
        let stats = EndpointStats { in_flight: balancer.in_flight, ..EndpointStats::default() };
        let known = said.borrow().clone();
        let mut endpoints: BTreeMap<EndpointId, EndpointStats> =
            known.connected().next().map(|(_, report)| report.endpoints.clone()).unwrap_or_default();
        let applied = balancer.applied.iter().flat_map(|table| table.endpoints());
        endpoints.extend(applied.map(|e| (e.id.clone(), stats)));
        endpoints.values_mut().for_each(|s| *s = stats);
        let report = balancer.connected.then(|| BalancerReport {
            applied: balancer.applied.as_ref().map(|table| table.name.clone()),
            endpoints,
            ..testing::report("i")
        });
        let reports = testing::reports(report);
        said.send_if_modified(|old| {
            let differs = *old != reports;
            *old = reports;
            differs
        });
    }
}

/// Time passes for the engine, and probes come in.
async fn tick(engine: FakeEngine, handle: AgentHandle) {
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        engine.tick();
        handle.wake();
    }
}
