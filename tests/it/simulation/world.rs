//! All of a run: the daemon, what it meets, the user, and time.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coxswain::clock::Clock;
use coxswain::controller::{ApplyDocument, ApplyOptions, RolloutChange};
use coxswain::engine::fake::{Behaviour, FakeEngine};
use coxswain::engine::{ContainerSpec, LABEL_STORE, NetworkSpec, ObservedContainer};
use coxswain::model::{
    AppName, EngineKind, Health, HealthCheck, Millis, Port, Protocol, Replica, ReplicaName, ReplicaStatus,
    Revision, Rollout, ScaleTarget, Service, ServiceName, ServiceSpec, key,
};
use coxswain::store::EmbeddedStore;

use super::balancer::Balancer;
use super::clock::{Chance, SimClock};
use super::daemon::Daemon;
use super::laws::Laws;
use super::seams::{Fuse, Seam, Wakes};

/// What the user wants next.
pub(super) enum Wish {
    Apply(Box<ServiceSpec>),
    /// As `Apply`, over whatever a command changed meanwhile.
    Insist(Box<ServiceSpec>),
    Scale(u32),
    Roll(RolloutChange),
    /// With its volumes, or without.
    Delete(bool),
}

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) chance: Chance,
    pub(super) clock: SimClock,
    pub(super) engine: FakeEngine,
    pub(super) store: Arc<EmbeddedStore>,
    pub(super) balancer: Arc<Mutex<Balancer>>,
    pub(super) laws: Arc<Laws>,
    pub(super) daemon: Option<Daemon>,
    /// Digest references of images whose containers end by themselves some time after they got ready.
    pub(super) flaky: BTreeSet<String>,
    /// Times the user asked for something: every request has an id of its own.
    asked: u64,
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        let chance = Chance::of_seed(seed);
        let clock = SimClock::new(chance.clone());
        let wall = clock.clone();
        // One world in four has an Engine whose networks are its own, and other programs on the machine.
        let kind = if seed % 4 == 1 { EngineKind::Rootless } else { EngineKind::Native };
        let engine = FakeEngine::new(move || wall.wall()).of_kind(kind);
        (20_000..30_000).step_by(16).for_each(|port| engine.take_port(port));
        let store = Arc::new(EmbeddedStore::in_memory(Arc::new(clock.clone())).unwrap());
        let balancer = Arc::new(Mutex::new(Balancer::new(chance.clone())));
        let id = coxswain::store::Store::identity(store.as_ref()).id.clone();
        let drain = chance.millis(500, 5_000);
        let laws = Arc::new(Laws::new(id, clock.clone(), engine.clone(), balancer.clone(), drain));
        let mut world = World {
            seed,
            chance,
            clock,
            engine,
            store,
            balancer,
            laws,
            daemon: None,
            flaky: BTreeSet::new(),
            asked: 0,
        };
        world.settle_strangers();
        world.start_daemon(None);
        world
    }

    /// Foreign containers, one of them of another store, and a network in the way.
    fn settle_strangers(&self) {
        let image = self.engine.add_image("stranger:1", Behaviour::default()).id;
        let network = NetworkSpec {
            name: "strangers".to_owned(),
            bridge: None,
            subnet: "10.209.0.0/24".to_owned(),
            ip_range: "10.209.0.248/29".to_owned(),
            gateway: [10, 209, 0, 1].into(),
            labels: [(LABEL_STORE.to_owned(), "00000000-0000-4000-8000-000000000000".to_owned())].into(),
        };
        self.engine.create_network_by_hand(&network).unwrap();
        for (name, label, last) in [("users-1-b", None, 2), ("users-9-a", Some(&network.labels), 3)] {
            let spec = ContainerSpec {
                labels: label.cloned().unwrap_or_default(),
                ..stranger(name, &image, [10, 209, 0, last].into())
            };
            let id = self.engine.create_by_hand(&spec).unwrap();
            self.engine.start_by_hand(&id).unwrap();
        }
    }

    /// A daemon starts on what the last one left; `burns_at` is the step at which it hangs.
    pub(super) fn start_daemon(&mut self, burns_at: Option<u64>) {
        let seam = Seam {
            chance: self.chance.clone(),
            laws: self.laws.clone(),
            wakes: Arc::new(Wakes::default()),
            fuse: Arc::new(Fuse::new(burns_at)),
        };
        let clock = self.clock.restarted();
        let daemon = Daemon::start(self.store.clone(), self.engine.clone(), clock, seam);
        self.daemon = Some(daemon);
        self.laws.log("the daemon starts");
    }

    /// The daemon dies wherever it is; the store is opened again.
    pub(super) async fn kill_daemon(&mut self) {
        self.laws.daemon_died();
        self.balancer.lock().unwrap().disconnect();
        self.daemon = None;
        self.store = Arc::new(self.store.reopened(Arc::new(self.clock.clone())).await.unwrap());
    }

    /// The supervisor dies, and its processes with it, but for a balancer that has requests; the next one starts at once.
    pub(super) async fn kill_supervisor(&mut self) {
        self.laws.log("the supervisor dies");
        self.kill_daemon().await;
        self.balancer.lock().unwrap().hand_over();
    }

    /// A little time passes, and everything is checked against the laws.
    pub(super) async fn tick(&mut self, longest_millis: u64) {
        tokio::time::sleep(self.chance.millis(1, longest_millis)).await;
        self.engine.tick();
        let chosen = {
            let mut balancer = self.balancer.lock().unwrap();
            balancer.step();
            if self.chance.one_in(2) { balancer.choose() } else { None }
        };
        chosen.iter().for_each(|endpoint| self.laws.sent(endpoint));
        self.daemon.iter().for_each(Daemon::probe);
        if let Some((name, violations)) =
            self.daemon.as_ref().and_then(|daemon| daemon.controller.reconciler().refused_plan())
        {
            self.fail(&format!("a plan for {name} was refused: {}", violations.join("; ")));
        }
        if let Some(broken) = self.laws.broken() {
            self.fail(&broken);
        }
    }

    pub(super) fn fail(&self, what: &str) -> ! {
        let (seed, story) = (self.seed, self.laws.story(4000));
        panic!("{story}\nseed {seed}: {what}\nreplay: SIM_SEED={seed} cargo test --test it simulation");
    }

    /// A balancer that is not connected finds the daemon again.
    pub(super) fn connect(&self) {
        let mut balancer = self.balancer.lock().unwrap();
        if let Some(daemon) = self.daemon.as_ref().filter(|_| !balancer.is_connected()) {
            balancer.connect(daemon.connection());
        }
    }

    /// The user asks; the answer is not waited for.
    pub(super) fn ask(&mut self, name: &str, wish: Wish) {
        self.asked += 1;
        // Every other apply takes the file's side where a command changed the same; the others are refused there.
        let insists = matches!(wish, Wish::Insist(_)) || self.asked.is_multiple_of(2);
        let sided = ["spec.image", "spec.replicas"].iter().filter(|_| insists);
        let applying = ApplyOptions {
            overwrite: sided.map(|field| (*field).to_owned()).collect(),
            ..ApplyOptions::default()
        };
        let (id, laws) = (format!("request-{}", self.asked), self.laws.clone());
        let Some(daemon) = &mut self.daemon else { return };
        let (controller, name) = (daemon.controller.clone(), ServiceName::from(name));
        daemon.tasks.spawn(async move {
            let (command, answer) = match wish {
                Wish::Apply(spec) | Wish::Insist(spec) => {
                    let command = format!("apply {name} {} x{:?}", spec.image, spec.replicas);
                    let document = ApplyDocument {
                        app: app_of(&name),
                        name: name.to_string(),
                        annotations: [].into(),
                        spec: (*spec).into(),
                        origin: "app.yaml:1".to_owned(),
                    };
                    (command, controller.writes().apply(&id, &[document], applying, "apply").await)
                }
                Wish::Scale(count) => {
                    let targets = [(name.clone(), ScaleTarget::Count(count))].into();
                    (format!("scale {name}={count}"), controller.writes().scale(&id, &targets, "scale").await)
                }
                Wish::Roll(change) => {
                    let command = format!("{change:?} {name}");
                    (command, controller.writes().rollout(&id, &name, &change, "rollout").await)
                }
                Wish::Delete(volumes) => {
                    let objects = [(&name).into()];
                    let command = format!("delete {name}, volumes {volumes}");
                    (command, controller.writes().delete(&id, &objects, volumes, "delete").await)
                }
            };
            let answer = answer.map(|results| results.iter().map(|r| r.action).collect::<Vec<_>>());
            laws.log(format!("{command}: {answer:?}"));
        });
    }

    /// A release with the run's drain time.
    pub(super) fn release(&self, image: &str, replicas: u32) -> ServiceSpec {
        let mut spec = ServiceSpec::of_image(image);
        spec.replicas = Some(replicas);
        spec.ports =
            vec![Port { name: "http".to_owned(), port: 8080, protocol: Protocol::Http, listen: None }];
        spec.health = Health::with(HealthCheck::Http("/healthz".to_owned()));
        spec.health.interval = Millis(500);
        spec.health.timeout = Millis(400);
        spec.health.start_within = Millis::secs(8);
        spec.rollout.drain = Millis(u64::try_from(self.laws.drain.as_millis()).unwrap());
        spec.rollout.healthy_for = Millis::secs(1);
        spec.rollout.deadline = Millis::secs(30);
        spec.stop.grace = Millis::secs(2);
        spec
    }

    pub(super) fn services(&self) -> Vec<Service> {
        self.all(key::SERVICES)
    }

    pub(super) fn replicas(&self) -> Vec<Replica> {
        self.all(key::REPLICAS)
    }

    /// Whether the replica's containers will end by themselves for ever.
    pub(super) fn is_flaky(&self, replica: &Replica) -> bool {
        let revision = self.store.get_now(&key::revision(&replica.service, replica.revision)).unwrap();
        revision.is_some_and(|e| self.flaky.contains(&e.decode::<Revision>().unwrap().image.pinned))
    }

    pub(super) fn rollout(&self, name: &ServiceName) -> Option<Rollout> {
        self.store.get_now(&key::rollout(name)).unwrap().map(|entry| entry.decode().unwrap())
    }

    pub(super) fn status(&self, service: &ServiceName, name: &ReplicaName) -> Option<ReplicaStatus> {
        self.store.get_now(&key::status(service, name)).unwrap().map(|entry| entry.decode().unwrap())
    }

    pub(super) fn all<T: serde::de::DeserializeOwned>(&self, prefix: &str) -> Vec<T> {
        self.store.list_now(prefix).unwrap().entries.iter().map(|e| e.decode().unwrap()).collect()
    }

    /// Containers of ours.
    pub(super) fn containers(&self) -> Vec<ObservedContainer> {
        self.engine.containers().into_iter().filter(|c| self.laws.is_ours(c)).collect()
    }

    /// Ticks until this holds, at most so long.
    pub(super) async fn until(&mut self, what: &str, limit: Duration, blockers: impl Fn(&World) -> bool) {
        let begin = self.clock.elapsed();
        while !blockers(self) {
            if self.clock.elapsed() - begin > limit {
                self.fail(&format!("not within {limit:?}: {what}"));
            }
            self.tick(40).await;
        }
    }
}

/// Services share an app by their names: two networks in all.
fn app_of(name: &ServiceName) -> AppName {
    AppName::new(if name.as_str() == "jobs" { "back" } else { "shop" })
}

fn stranger(name: &str, image: &str, address: std::net::IpAddr) -> ContainerSpec {
    ContainerSpec::bare(name, image, "strangers", address)
}
