//! A pass over every service that changes nothing: read each from the store, plan it, write nothing. One thread, the
//! embedded store on disk, the fake engine.
//!
//! The first service is brought to rest by the real controller and agent; the others are copies of all that is stored of
//! it, under other names. In addition to the goals: what a pass of the agent costs with 5,000 replicas on its node.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use coxswain::agent::{self, Agent, AgentConfig};
use coxswain::clock::{Clock, VirtualClock};
use coxswain::controller::{ApplyDocument, ApplyOptions, Controller, ControllerParts};
use coxswain::engine::fake::{Behaviour, FakeEngine};
use coxswain::engine::{Engine, LABEL_STORE, NetworkSpec, ObservedContainer};
use coxswain::model::{
    BalancerReport, BalancerReports, EndpointStats, Health, HealthCheck, Millis, NodeId, Port, Protocol,
    Route, ServiceSpec, key,
};
use coxswain::registry::Registry;
use coxswain::store::{EmbeddedStore, Op, Store, TXN_MAX_OPS, Txn};
use coxswain::testing;
use tokio::sync::watch;

use crate::Shared;
use crate::figure::{Figure, median, millis};

const REPLICAS: u32 = 5;
const FEW: usize = 1_000;
const MANY: usize = 5_000;
/// Passes over all services, of which the median counts.
const RUNS: usize = 5;
/// The first service. Its name is a word that nothing else contains, so that copies are made by replacing it.
const FIRST: &str = "service-00000";
/// Longer than every wait of the default rollout policy.
const REST: Millis = Millis::secs(120);

pub(crate) fn measure(_: &Shared) -> Vec<Figure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (few, agent) = runtime.block_on(async {
        let mut world = World::at_rest(FEW).await;
        (world.pass().await, world.agent_pass().await)
    });
    let many = runtime.block_on(async { World::at_rest(MANY).await.pass().await });
    let ratio = many.as_secs_f64() / few.as_secs_f64();
    let details = format!("{:.0} ms", millis(many));
    vec![
        Figure::at_most(
            "a pass over 1,000 services x 5 replicas without a change",
            millis(few),
            100.0,
            "ms",
            "",
        ),
        Figure::at_most("the same over 5,000 services ÷ over 1,000", ratio, 6.0, "x", &details),
        Figure::note(
            "a pass of the agent with 5,000 replicas on its node",
            format!("{:.0} ms", millis(agent)),
        ),
    ]
}

/// A controller and an agent with nothing to do.
struct World {
    clock: Arc<VirtualClock>,
    engine: FakeEngine,
    store: Arc<EmbeddedStore>,
    registry: Arc<Registry>,
    reports: watch::Sender<BalancerReports>,
    agent: Agent,
    controller: Arc<Controller>,
    /// Whether every stored replica has a container, so that the agent is at rest too.
    has_containers: bool,
    _folder: tempfile::TempDir,
}

impl World {
    async fn at_rest(services: usize) -> Self {
        let mut world = Self::new().await;
        world.apply_first().await;
        // Replicas, containers, endpoints; each round is one step of them all.
        for _ in 0..8 {
            world.step().await;
        }
        world.copy_first(services).await;
        for _ in 0..4 {
            world.step().await;
        }
        world
    }

    async fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("coxswain-bench-").tempdir().expect("a folder");
        let clock = Arc::new(VirtualClock::new(1));
        let wall = Arc::clone(&clock);
        let engine = FakeEngine::new(move || wall.wall());
        engine.add_image("hello:v1", Behaviour::default());
        let store = Arc::new(EmbeddedStore::open(folder.path(), clock.clone()).await.expect("a store"));
        let (reports, heard) = watch::channel(testing::reports(None));
        let registry = Arc::new(Registry::new(store.clone(), heard));
        let node = NodeId::new(engine.info().await.expect("the fake answers").id);
        let config = AgentConfig {
            node: node.clone(),
            node_name: "bench".to_owned(),
            instance: "bench:/state".to_owned(),
            network_pool: "10.209.0.0/16".to_owned(),
            exposure: None,
            http: Vec::new(),
            balancer_host: None,
            program: None,
            host_paths: coxswain::model::HostPathPolicy::default(),
        };
        let (agent, handle) = Agent::new(agent::AgentParts {
            config,
            engine: Arc::new(engine.clone()),
            store: store.clone(),
            registry: registry.clone(),
            clock: clock.clone(),
        })
        .expect("a pool");
        let controller = Controller::new(ControllerParts {
            store: store.clone(),
            registry: registry.clone(),
            clock: clock.clone(),
            agent: handle,
            node,
            http: Vec::new(),
            https: Vec::new(),
            manifests: None,
        });
        let has_containers = true;
        Self { clock, engine, store, registry, reports, agent, controller, has_containers, _folder: folder }
    }

    async fn apply_first(&self) {
        let spec = ServiceSpec {
            replicas: Some(REPLICAS),
            ports: vec![Port { name: "http".to_owned(), port: 8080, protocol: Protocol::Http, listen: None }],
            routes: vec![Route::to(Some(format!("{FIRST}.localhost")), "/")],
            health: Health::with(HealthCheck::None(true)),
            ..ServiceSpec::of_image("hello:v1")
        };
        let document = ApplyDocument {
            name: FIRST.into(),
            app: FIRST.into(),
            annotations: BTreeMap::new(),
            spec: spec.into(),
            origin: "bench".to_owned(),
        };
        self.controller
            .writes()
            .apply("request", &[document], ApplyOptions::default(), "apply")
            .await
            .expect("it is taken");
    }

    /// Everyone has a turn, and time passes.
    async fn step(&mut self) {
        self.controller.reconciler().mark_all().await.expect("the store answers");
        self.controller.reconciler().pass_marked().await.expect("the store answers");
        if self.has_containers {
            assert!(self.agent.pass_until_idle(100).await, "the agent comes to rest");
        }
        self.acknowledge().await;
        self.clock.advance(REST.0);
    }

    /// The balancer has applied the last table.
    async fn acknowledge(&self) {
        self.registry.rebuild().await.expect("the store answers");
        let Some(table) = self.registry.tables().borrow().clone() else { return };
        let endpoints = table.endpoints();
        let report = BalancerReport {
            applied: Some(table.name.clone()),
            endpoints: endpoints.map(|e| (e.id.clone(), EndpointStats::default())).collect(),
            ..testing::report("bench")
        };
        self.reports.send_replace(testing::reports(Some(report)));
    }

    /// Copies all that is stored of the first service, and its containers.
    async fn copy_first(&mut self, services: usize) {
        // The fake is not made for more, and what the controller reads and plans is the same without them.
        self.has_containers = services <= FEW;
        let listing = self.store.list("").await.expect("the store answers");
        let is_copied = |key: &str| key.contains(FIRST) && !key.starts_with(key::EVENTS);
        let stored: Vec<(String, String)> = listing
            .entries
            .into_iter()
            .filter(|entry| is_copied(&entry.key))
            .map(|entry| (entry.key, String::from_utf8(entry.value).expect("JSON")))
            .collect();
        let containers = self.engine.containers();
        assert_eq!(containers.len(), REPLICAS as usize);
        let mut ops = Vec::new();
        for number in 1..services {
            let name = format!("service-{number:05}");
            let mut words = vec![(FIRST.to_owned(), name)];
            if self.has_containers {
                self.copy_containers(&containers, number, &mut words);
            } else {
                let renamed =
                    |c: &ObservedContainer| (c.id.to_string(), format!("{number:05}{}", &c.id.as_str()[5..]));
                words.extend(containers.iter().map(renamed));
            }
            let replaced = |text: &str| {
                words.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from.as_str(), to))
            };
            for (key, value) in &stored {
                ops.push(Op::Put { key: replaced(key), value: replaced(value).into_bytes(), lease: None });
            }
        }
        for ops in ops.chunks(TXN_MAX_OPS) {
            self.store.txn(Txn { compare: Vec::new(), ops: ops.to_vec() }).await.expect("the store writes");
        }
    }

    /// Makes the containers of one copy, and adds their ids to the words that are replaced.
    fn copy_containers(
        &self,
        containers: &[ObservedContainer],
        number: usize,
        words: &mut Vec<(String, String)>,
    ) {
        let name = words[0].1.clone();
        let subnet = |place: u8| {
            let [high, low] = u16::try_from(number).expect("few").to_be_bytes();
            Ipv4Addr::new(10, high, low, place)
        };
        let mut network = String::new();
        for (place, container) in (2..).zip(containers) {
            let mut spec = self.engine.spec(&container.id).expect("it was made from one");
            let (old, new) = (spec.address.to_string(), subnet(place));
            if network.is_empty() {
                network = spec.network.replace(FIRST, &name);
                let store = spec.labels.get(LABEL_STORE).cloned().unwrap_or_default();
                let made = self.engine.create_network_by_hand(&NetworkSpec {
                    name: network.clone(),
                    bridge: None,
                    subnet: format!("{}/24", subnet(0)),
                    ip_range: format!("{}/29", subnet(248)),
                    gateway: IpAddr::V4(subnet(1)),
                    labels: BTreeMap::from([
                        (LABEL_STORE.to_owned(), store),
                        (coxswain::engine::LABEL_APP.to_owned(), name.clone()),
                    ]),
                });
                made.expect("a free subnet");
            }
            spec.name = spec.name.replace(FIRST, &name);
            spec.network.clone_from(&network);
            spec.address = IpAddr::V4(new);
            for value in spec.labels.values_mut() {
                *value = if *value == old { new.to_string() } else { value.replace(FIRST, &name) };
            }
            let id = self.engine.create_by_hand(&spec).expect("it is made");
            self.engine.start_by_hand(&id).expect("it starts");
            words.push((container.id.to_string(), id.to_string()));
            words.push((format!("\"{old}\""), format!("\"{new}\"")));
        }
        let started = containers[0].started_at.expect("it runs").to_string();
        words.push((started, self.clock.wall().to_string()));
    }

    async fn revision(&self) -> u64 {
        self.store.list(key::AGENTS).await.expect("the store answers").revision
    }

    /// The median of passes over every service; asserts that none of them wrote.
    async fn pass(&self) -> Duration {
        let before = self.revision().await;
        let mut times = Vec::new();
        for _ in 0..RUNS {
            let start = tokio::time::Instant::now();
            self.controller.reconciler().mark_all().await.expect("the store answers");
            self.controller.reconciler().pass_marked().await.expect("the store answers");
            times.push(start.elapsed());
        }
        assert_eq!(self.revision().await, before, "a pass over services at rest wrote something");
        median(&times)
    }

    /// The median of passes of the agent; asserts that they did nothing.
    async fn agent_pass(&mut self) -> Duration {
        let mut times = Vec::new();
        for _ in 0..RUNS {
            let start = tokio::time::Instant::now();
            let pass = self.agent.pass().await;
            times.push(start.elapsed());
            assert!(pass.plan.is_empty(), "the agent is not at rest: {:?}", pass.plan.actions.first());
        }
        let engine = self.engine.containers().len();
        assert_eq!(engine, FEW * REPLICAS as usize, "containers of every copy");
        median(&times)
    }
}
