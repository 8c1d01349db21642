//! What every engine does, whether Docker or the fake: the fake is worth as much as it agrees with this.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bollard::models::NetworkDisconnectRequest;
use coxswain::clock::{Clock, RealClock};
use coxswain::engine::fake::Behaviour;
use coxswain::engine::{
    ContainerSpec, ContainerState, Engine, EngineError, EngineEvent, EngineEventKind, EngineObject,
    ExecOutcome, FakeEngine, LABEL_STORE, LogOptions, Mount, NetworkSpec, VolumeSpec,
};
use coxswain::model::{ContainerId, Cpu, EndpointId, ExposureMode, Health, HealthCheck, MemorySize, Millis};
use coxswain::probe::{ProbeAddress, ProbeState, ProbeTarget, Prober, Probes};
use futures::StreamExt;

use crate::images::{self, Run};

/// Longest wait for what an engine does by itself.
const BOUND: Duration = Duration::from_secs(60);

/// An engine with a network and images that do what the contract needs.
struct Subject<'a> {
    engine: &'a dyn Engine,
    /// The same one, if it is the fake.
    fake: Option<&'a FakeEngine>,
    run: &'a str,
    network: NetworkSpec,
    /// Runs until it gets a stop signal.
    image: String,
    /// Ends at once with code 3: image and environment.
    exiting: (String, BTreeMap<String, String>),
    /// Cannot be started: image and entrypoint.
    broken: (String, Option<Vec<String>>),
}

impl Subject<'_> {
    fn address(&self, last: u8) -> IpAddr {
        let IpAddr::V4(gateway) = self.network.gateway else { panic!("an IPv4 network") };
        let [a, b, c, _] = gateway.octets();
        IpAddr::V4(Ipv4Addr::new(a, b, c, last))
    }

    /// A port of this machine that follows from the run: tests run side by side, and daemons take others.
    fn port(&self) -> u16 {
        self.run.bytes().fold(0, |sum: u16, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 2_000
            + 30_000
    }

    fn spec(&self, name: &str, last: u8) -> ContainerSpec {
        ContainerSpec {
            labels: BTreeMap::from([
                (LABEL_STORE.to_owned(), self.run.to_owned()),
                ("team".to_owned(), "a".to_owned()),
            ]),
            exposed: vec![8080],
            cpu_reserved: Some(Cpu(100)),
            cpu_limit: Some(Cpu(500)),
            memory: Some(MemorySize(64 << 20)),
            ..ContainerSpec::bare(
                &format!("{}-{name}", self.run),
                &self.image,
                &self.network.name,
                self.address(last),
            )
        }
    }

    /// Makes and starts a container.
    async fn running(&self, name: &str, last: u8) -> ContainerId {
        let id = self.engine.create(&self.spec(name, last)).await.unwrap();
        self.engine.start(&id).await.unwrap();
        id
    }

    /// Takes a container off the network, as a user does.
    async fn disconnect(&self, id: &ContainerId) {
        match self.fake {
            Some(fake) => fake.disconnect_by_hand(id),
            None => {
                let request = NetworkDisconnectRequest { container: id.to_string(), force: Some(true) };
                images::client().disconnect_network(&self.network.name, request).await.unwrap();
            }
        }
    }

    async fn state(&self, id: &ContainerId) -> ContainerState {
        self.engine.inspect(id).await.unwrap().state
    }

    /// Waits until the container has ended.
    async fn ended(&self, id: &ContainerId) -> ContainerState {
        bounded("the container ends", async {
            loop {
                let state = self.state(id).await;
                if state != ContainerState::Running {
                    return state;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
    }

    async fn listed(&self) -> Vec<String> {
        let all = self.engine.list().await.unwrap();
        let ours = all.into_iter().filter(|c| c.labels.get(LABEL_STORE).is_some_and(|s| s == self.run));
        let mut names: Vec<String> = ours.map(|c| c.name).collect();
        names.sort();
        names
    }
}

async fn bounded<T>(what: &str, f: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, f).await.unwrap_or_else(|_| panic!("{what} within {BOUND:?}"))
}

fn network(run: &Run, name: &str, third: u8) -> NetworkSpec {
    NetworkSpec {
        name: format!("{}-{name}", run.id()),
        bridge: None,
        subnet: format!("10.208.{third}.0/24"),
        ip_range: format!("10.208.{third}.248/29"),
        gateway: IpAddr::V4(Ipv4Addr::new(10, 208, third, 1)),
        labels: run.labels(),
    }
}

/// A network with a subnet of its own; runs may overlap.
async fn free_network(engine: &dyn Engine, run: &Run, name: &str) -> NetworkSpec {
    let clock = RealClock::new();
    for _ in 0..20 {
        let spec = network(run, name, u8::try_from(clock.random() % 256).unwrap());
        match engine.create_network(&spec).await {
            Ok(()) => return spec,
            Err(EngineError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no free subnet under 10.208.0.0/16");
}

async fn on_docker<F: AsyncFnOnce(&Subject<'_>)>(check: F) {
    let engine = images::engine().await;
    let run = Run::start();
    let image = run.hello("1").await;
    let env = BTreeMap::from([("EXIT_AT_START".to_owned(), "3".to_owned())]);
    let subject = Subject {
        engine: &engine,
        fake: None,
        run: run.id(),
        network: free_network(&engine, &run, "net").await,
        exiting: (image.clone(), env),
        broken: (image.clone(), Some(vec!["/no/such/program".to_owned()])),
        image,
    };
    check(&subject).await;
}

fn fake() -> FakeEngine {
    let clock = RealClock::new();
    FakeEngine::new(move || clock.wall())
}

async fn on_fake<F: AsyncFnOnce(&Subject<'_>)>(check: F) {
    let engine = fake();
    let run = format!("t{:x}", RealClock::new().random());
    engine.add_image("hello:1", Behaviour::default());
    engine.add_image("exiting:1", Behaviour::exits_at_once(3));
    let message = "exec: \"/no/such/program\": no such file or directory";
    engine.add_image("broken:1", Behaviour::cannot_start(message));
    let network = NetworkSpec {
        name: format!("{run}-net"),
        bridge: None,
        subnet: "10.208.7.0/24".to_owned(),
        ip_range: "10.208.7.248/29".to_owned(),
        gateway: "10.208.7.1".parse().unwrap(),
        labels: BTreeMap::from([(LABEL_STORE.to_owned(), run.clone())]),
    };
    engine.create_network(&network).await.unwrap();
    let subject = Subject {
        engine: &engine,
        fake: Some(&engine),
        run: &run,
        network,
        image: "hello:1".to_owned(),
        exiting: ("exiting:1".to_owned(), BTreeMap::new()),
        broken: ("broken:1".to_owned(), None),
    };
    check(&subject).await;
}

macro_rules! contract {
    ($($name:ident),+ $(,)?) => {
        mod docker {
            $(#[tokio::test] async fn $name() { super::on_docker(super::$name).await; })+
        }
        mod fake {
            $(#[tokio::test] async fn $name() { super::on_fake(super::$name).await; })+
        }
    };
}

contract!(
    info_returns_id_and_versions,
    container_goes_through_create_start_kill_remove,
    names_and_addresses_are_taken_once,
    published_ports_are_taken_once,
    missing_object_is_named_in_error,
    exit_code_and_failed_start_are_reported,
    networks_are_made_once_and_kept_while_used,
    container_is_connected_to_its_network_again,
    tag_is_added_and_removed_unless_in_use,
    events_name_their_container_and_are_replayed,
    logs_return_lines_and_reject_unknown_container,
);

async fn info_returns_id_and_versions(s: &Subject<'_>) {
    let info = s.engine.info().await.unwrap();
    assert!(!info.id.is_empty() && !info.version.is_empty() && !info.api_version.is_empty(), "{info:?}");
    assert_eq!(s.engine.info().await.unwrap().id, info.id);
}

async fn container_goes_through_create_start_kill_remove(s: &Subject<'_>) {
    let spec = s.spec("a", 10);
    let id = s.engine.create(&spec).await.unwrap();
    let created = s.engine.inspect(&id).await.unwrap();
    assert_eq!(created.state, ContainerState::Created);
    assert_eq!((created.started_at, created.finished_at), (None, None));
    assert_eq!(created.name, spec.name);
    assert_eq!(created.labels["team"], "a");
    assert_eq!(created.addresses[&s.network.name], s.address(10), "chosen before it runs");
    let refused = s.engine.kill(&id, "SIGTERM").await.unwrap_err();
    assert!(matches!(refused, EngineError::NotRunning { .. }), "{refused:?}");

    s.engine.start(&id).await.unwrap();
    s.engine.start(&id).await.unwrap();
    let running = s.engine.inspect(&id).await.unwrap();
    assert_eq!(running.state, ContainerState::Running);
    assert_eq!(running.addresses[&s.network.name], s.address(10));
    assert_eq!(s.engine.list().await.unwrap().iter().find(|c| c.id == id), Some(&running));

    bounded("its signal handler is there", async {
        // The process may not have installed its handler yet, and as process 1 it then ignores the signal.
        while s.state(&id).await == ContainerState::Running {
            match s.engine.kill(&id, "SIGTERM").await {
                Ok(()) | Err(EngineError::NotRunning { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let ended = s.engine.inspect(&id).await.unwrap();
    assert_eq!(ended.state, ContainerState::Exited { code: 0, oom_killed: false });
    assert!(ended.finished_at >= ended.started_at && ended.started_at == running.started_at);

    s.engine.start(&id).await.unwrap();
    let again = s.engine.inspect(&id).await.unwrap();
    assert!(again.started_at > running.started_at, "another life, another identity");
    s.engine.kill(&id, "SIGKILL").await.unwrap();
    assert_eq!(s.ended(&id).await, ContainerState::Exited { code: 137, oom_killed: false });

    s.engine.start(&id).await.unwrap();
    s.engine.remove(&id).await.unwrap();
    assert!(s.engine.inspect(&id).await.unwrap_err().is_not_found());
    assert_eq!(s.listed().await, Vec::<String>::new());
    s.engine.remove(&id).await.unwrap();
}

async fn names_and_addresses_are_taken_once(s: &Subject<'_>) {
    let first = s.running("a", 10).await;
    let refused = s.engine.create(&s.spec("a", 11)).await.unwrap_err();
    assert!(matches!(refused, EngineError::Conflict { .. }), "{refused:?}");
    let found = s.engine.inspect_name(&s.spec("a", 10).name).await.unwrap();
    assert_eq!(found.id, first);
    let by_id = s.engine.inspect_name(first.short()).await.unwrap_err();
    assert!(by_id.is_not_found(), "an id is not a name");

    let second = s.engine.create(&s.spec("b", 10)).await.unwrap();
    let refused = s.engine.start(&second).await.unwrap_err();
    assert!(matches!(refused, EngineError::Conflict { .. }), "{refused:?}");
    let held = s.engine.inspect(&second).await.unwrap();
    assert_eq!((held.started_at, held.error.is_empty()), (None, false), "{held:?}");
    s.engine.remove(&first).await.unwrap();
    s.engine.start(&second).await.unwrap();
    assert_eq!(s.state(&second).await, ContainerState::Running, "the address is free again");
}

async fn published_ports_are_taken_once(s: &Subject<'_>) {
    let spec = |name, last| ContainerSpec { published: [(8080, s.port())].into(), ..s.spec(name, last) };
    let first = s.engine.create(&spec("a", 10)).await.unwrap();
    s.engine.start(&first).await.unwrap();
    assert_eq!(s.engine.inspect(&first).await.unwrap().published, spec("a", 10).published);

    let second = s.engine.create(&spec("b", 11)).await.unwrap();
    let refused = s.engine.start(&second).await.unwrap_err();
    assert!(matches!(refused, EngineError::Conflict { .. }), "{refused:?}");
    let held = s.engine.inspect(&second).await.unwrap();
    assert_eq!((held.started_at, held.published), (None, spec("b", 11).published), "what it will ask for");
    s.engine.remove(&first).await.unwrap();
    s.engine.start(&second).await.unwrap();
    assert_eq!(s.state(&second).await, ContainerState::Running, "the port is free again");
}

async fn missing_object_is_named_in_error(s: &Subject<'_>) {
    let missing = |error: EngineError| match error {
        EngineError::NotFound { what, .. } => what,
        other => panic!("{other:?}"),
    };
    let none = ContainerId::new("0".repeat(64));
    assert_eq!(missing(s.engine.inspect(&none).await.unwrap_err()), EngineObject::Container);
    assert_eq!(missing(s.engine.start(&none).await.unwrap_err()), EngineObject::Container);
    assert_eq!(missing(s.engine.kill(&none, "SIGTERM").await.unwrap_err()), EngineObject::Container);
    let name = format!("{}-none", s.run);
    assert_eq!(missing(s.engine.inspect_name(&name).await.unwrap_err()), EngineObject::Container);
    assert_eq!(missing(s.engine.image(&format!("none:{}", s.run)).await.unwrap_err()), EngineObject::Image);
    assert_eq!(
        missing(s.engine.tag(&format!("none:{}", s.run), "a", "b").await.unwrap_err()),
        EngineObject::Image
    );

    let mut spec = s.spec("a", 10);
    spec.image = format!("none:{}", s.run);
    assert_eq!(missing(s.engine.create(&spec).await.unwrap_err()), EngineObject::Image);
    let mut spec = s.spec("b", 10);
    spec.network = format!("{}-none", s.run);
    let id = s.engine.create(&spec).await.unwrap();
    assert_eq!(missing(s.engine.start(&id).await.unwrap_err()), EngineObject::Network);
}

async fn exit_code_and_failed_start_are_reported(s: &Subject<'_>) {
    let mut spec = s.spec("exits", 10);
    (spec.image, spec.env) = s.exiting.clone();
    let id = s.engine.create(&spec).await.unwrap();
    s.engine.start(&id).await.unwrap();
    assert_eq!(s.ended(&id).await, ContainerState::Exited { code: 3, oom_killed: false });

    let mut spec = s.spec("broken", 11);
    (spec.image, spec.entrypoint) = s.broken.clone();
    let id = s.engine.create(&spec).await.unwrap();
    let error = s.engine.start(&id).await.unwrap_err();
    assert!(matches!(error, EngineError::Invalid { .. }), "{error:?}");
    let container = s.engine.inspect(&id).await.unwrap();
    assert_eq!((container.state, container.started_at), (ContainerState::Created, None));
    assert!(container.error.contains("/no/such/program"), "{}", container.error);
}

async fn networks_are_made_once_and_kept_while_used(s: &Subject<'_>) {
    let listed = s.engine.networks().await.unwrap();
    let network = listed.iter().find(|n| n.name == s.network.name).unwrap();
    assert_eq!(network.subnets, std::slice::from_ref(&s.network.subnet));
    assert_eq!(network.labels, s.network.labels);
    assert!(s.engine.subnets().await.unwrap().contains(&s.network.subnet));

    let same_name = s.engine.create_network(&s.network).await.unwrap_err();
    assert!(matches!(same_name, EngineError::Conflict { .. }), "{same_name:?}");
    let other = NetworkSpec { name: format!("{}-other", s.run), ..s.network.clone() };
    let same_subnet = s.engine.create_network(&other).await.unwrap_err();
    assert!(matches!(same_subnet, EngineError::Conflict { .. }), "{same_subnet:?}");

    let id = s.running("a", 10).await;
    let used = s.engine.remove_network(&s.network.name).await.unwrap_err();
    assert!(matches!(used, EngineError::Conflict { .. }), "{used:?}");
    s.engine.remove(&id).await.unwrap();
    s.engine.remove_network(&s.network.name).await.unwrap();
    s.engine.remove_network(&s.network.name).await.unwrap();
    assert!(s.engine.networks().await.unwrap().iter().all(|n| n.name != s.network.name));
}

async fn container_is_connected_to_its_network_again(s: &Subject<'_>) {
    let net = s.network.name.as_str();
    let id = s.running("a", 10).await;
    let connected = s.engine.connect(&id, net, s.address(10)).await.unwrap_err();
    assert!(matches!(connected, EngineError::Conflict { .. }), "{connected:?}");
    s.disconnect(&id).await;
    let before = s.engine.inspect(&id).await.unwrap();
    assert_eq!((before.state, before.addresses), (ContainerState::Running, BTreeMap::new()));

    s.running("b", 11).await;
    let taken = s.engine.connect(&id, net, s.address(11)).await.unwrap_err();
    assert!(matches!(taken, EngineError::Conflict { .. } | EngineError::Failed { .. }), "{taken:?}");
    let missing = s.engine.connect(&id, &format!("{net}-x"), s.address(10)).await.unwrap_err();
    assert!(missing.is_not_found(), "{missing:?}");

    s.engine.connect(&id, net, s.address(10)).await.unwrap();
    let after = s.engine.inspect(&id).await.unwrap();
    assert_eq!(after.addresses, BTreeMap::from([(net.to_owned(), s.address(10))]));
    assert_eq!(after.started_at, before.started_at, "it ran on");
}

async fn tag_is_added_and_removed_unless_in_use(s: &Subject<'_>) {
    let image = s.engine.image(&s.image).await.unwrap();
    assert!(image.id.starts_with("sha256:") && image.tags.contains(&s.image), "{image:?}");
    assert_eq!(s.engine.image(&image.id).await.unwrap(), image);

    let repository = format!("coxswain-{}", s.run);
    let kept = format!("{repository}:1");
    s.engine.tag(&image.id, &repository, "1").await.unwrap();
    assert_eq!(s.engine.image(&kept).await.unwrap().id, image.id);
    s.engine.untag(&kept).await.unwrap();
    s.engine.untag(&kept).await.unwrap();
    assert!(s.engine.image(&kept).await.unwrap_err().is_not_found());
    assert_eq!(s.engine.image(&s.image).await.unwrap().id, image.id);

    let id = s.engine.create(&s.spec("a", 10)).await.unwrap();
    let used = s.engine.untag(&s.image).await.unwrap_err();
    assert!(matches!(used, EngineError::Conflict { .. }), "{used:?}");
    s.engine.remove(&id).await.unwrap();
}

async fn events_name_their_container_and_are_replayed(s: &Subject<'_>) {
    let mut events = s.engine.events(None).await.unwrap();
    let id = s.running("a", 10).await;
    let started = s.engine.inspect(&id).await.unwrap().started_at.unwrap();
    s.engine.kill(&id, "SIGKILL").await.unwrap();
    s.engine.remove(&id).await.unwrap();
    let about = |event: &EngineEvent| event.container.as_ref() == Some(&id);
    let mut seen = Vec::new();
    bounded("the events come", async {
        while !seen.contains(&EngineEventKind::Destroy) {
            let event = events.next().await.unwrap().unwrap();
            if about(&event) {
                seen.push(event.kind);
            }
        }
    })
    .await;
    for kind in [EngineEventKind::Create, EngineEventKind::Start, EngineEventKind::Stop, EngineEventKind::Die]
    {
        assert!(seen.contains(&kind), "{kind:?} in {seen:?}");
    }

    let mut replayed = s.engine.events(Some(started - Duration::from_secs(1))).await.unwrap();
    let first = bounded("earlier events are replayed", async {
        loop {
            let event = replayed.next().await.unwrap().unwrap();
            if about(&event) {
                return event;
            }
        }
    })
    .await;
    assert!([EngineEventKind::Create, EngineEventKind::Start].contains(&first.kind), "{first:?}");
}

async fn logs_return_lines_and_reject_unknown_container(s: &Subject<'_>) {
    let id = s.running("a", 10).await;
    let lines = s.engine.logs(&id, &LogOptions { tail: Some(5), ..LogOptions::default() }).await.unwrap();
    let lines: Vec<_> = bounded("the log ends", lines.collect()).await;
    assert!(lines.iter().all(Result::is_ok), "{lines:?}");
    let none = ContainerId::new("0".repeat(64));
    let refused = s.engine.logs(&none, &LogOptions::default()).await.err().unwrap();
    assert!(refused.is_not_found(), "{refused:?}");
}

#[tokio::test]
async fn docker_logs_are_followed_line_by_line() {
    on_docker(async |s| {
        let id = s.running("a", 10).await;
        let follow = LogOptions { follow: true, ..LogOptions::default() };
        let mut lines = s.engine.logs(&id, &follow).await.unwrap();
        let line = bounded("the first line comes", lines.next()).await.unwrap().unwrap();
        assert!(line.text.starts_with("hello 1 listens on"), "{line:?}");
        // not compared with the start, which Docker notes once it hears of it: the process may have written by then
        assert!(line.at.is_some() && !line.stderr, "{line:?}");
        s.engine.kill(&id, "SIGTERM").await.unwrap();
        let last = bounded("the last line comes", lines.next()).await.unwrap().unwrap();
        assert!(last.text.starts_with("stopping"), "{last:?}");
        assert!(bounded("the log ends with its container", lines.next()).await.is_none());
        assert!(last.at > line.at);
        let later = LogOptions { since: last.at, ..LogOptions::default() };
        let later: Vec<_> = s.engine.logs(&id, &later).await.unwrap().collect().await;
        assert_eq!(later, [Ok(last)], "to the nanosecond");
    })
    .await;
}

#[tokio::test]
async fn docker_gets_the_limits() {
    on_docker(async |s| {
        let mut spec = s.spec("a", 10);
        spec.security.read_only_root = true;
        spec.security.cap_drop = vec!["ALL".to_owned()];
        let id = s.engine.create(&spec).await.unwrap();
        let container = images::client().inspect_container(id.as_str(), None).await.unwrap();
        let host = container.host_config.unwrap();
        assert_eq!(host.memory, Some(64 << 20));
        assert_eq!(host.memory_swap, Some(64 << 20));
        assert_eq!(host.nano_cpus, Some(500_000_000));
        assert_eq!(host.cpu_shares, Some(102));
        assert_eq!(host.readonly_rootfs, Some(true));
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(host.security_opt, Some(vec!["no-new-privileges".to_owned()]));
        let policy = host.restart_policy.unwrap().name.unwrap().to_string();
        assert!(["no", ""].contains(&policy.as_str()), "{policy}");
        let config = container.config.unwrap();
        assert_eq!(config.stop_signal.as_deref(), Some("SIGTERM"));
        assert_eq!(config.stop_timeout, Some(10));
        s.engine.start(&id).await.unwrap();
        assert_eq!(s.state(&id).await, ContainerState::Running);
    })
    .await;
}

#[tokio::test]
async fn docker_container_is_probed_at_its_reachable_address() {
    on_docker(async |s| {
        let mut spec = s.spec("a", 10);
        let reach = s.engine.info().await.unwrap().kind.exposure();
        if reach == ExposureMode::Published {
            spec.published = [(8080, s.port())].into();
        }
        spec.env = BTreeMap::from([("HEALTH_AFTER".to_owned(), "0.5".to_owned())]);
        let id = s.engine.create(&spec).await.unwrap();
        s.engine.start(&id).await.unwrap();
        let container = s.engine.inspect(&id).await.unwrap();
        let target = ProbeTarget {
            id: EndpointId::new(&id, container.started_at.unwrap()),
            place: match reach {
                ExposureMode::Bridge => {
                    ProbeAddress::direct((container.addresses[&s.network.name], 8080).into())
                }
                ExposureMode::Published => ProbeAddress {
                    address: (Ipv4Addr::LOCALHOST, s.port()).into(),
                    port: 8080,
                    proxied: true,
                },
            },
            health: Health { interval: Millis(50), ..Health::with(HealthCheck::Http("/healthz".to_owned())) },
        };
        let prober = Prober::new(Arc::new(RealClock::new()), Arc::new(images::engine().await), || ());
        prober.watch(target.clone());
        let mut seen = BTreeSet::new();
        bounded("the container gets ready", async {
            loop {
                match prober.state(&target.id).unwrap() {
                    ProbeState::Ready { .. } => break,
                    state => seen.extend(state.last().map(|failed| failed.message.clone())),
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        assert!(seen.contains("GET /healthz → 503 \"warming cache\""), "{seen:?}");
        s.engine.kill(&id, "SIGKILL").await.unwrap();
        bounded("its end is noticed", async {
            while prober.state(&target.id).unwrap().is_ready() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn docker_keeps_volumes() {
    on_docker(async |s| {
        let labels = BTreeMap::from([(LABEL_STORE.to_owned(), s.run.to_owned())]);
        let volume = VolumeSpec { name: format!("{}-v", s.run), labels };
        s.engine.create_volume(&volume).await.unwrap();
        s.engine.create_volume(&volume).await.expect("one that is there is success");
        let other =
            VolumeSpec { labels: [(LABEL_STORE.to_owned(), "else".to_owned())].into(), ..volume.clone() };
        let refused = s.engine.create_volume(&other).await.unwrap_err();
        assert!(matches!(refused, EngineError::Invalid { .. }), "{refused:?}");
        let listed = async || s.engine.volumes().await.unwrap().iter().any(|v| v.name == volume.name);
        assert!(listed().await);

        let mount = Mount { volume: volume.clone(), path: "/data".to_owned(), read_only: true };
        let spec = ContainerSpec { mounts: vec![mount], ..s.spec("a", 10) };
        let id = s.engine.create(&spec).await.unwrap();
        let in_use = s.engine.remove_volume(&volume.name).await.unwrap_err();
        assert!(matches!(in_use, EngineError::Conflict { .. }), "{in_use:?}");
        let container = images::client().inspect_container(id.as_str(), None).await.unwrap();
        let mounts = container.mounts.unwrap();
        let seen: Vec<_> =
            mounts.iter().map(|m| (m.name.as_deref(), m.destination.as_deref(), m.rw)).collect();
        assert_eq!(seen, [(Some(volume.name.as_str()), Some("/data"), Some(false))]);
        s.engine.remove(&id).await.unwrap();
        assert!(listed().await, "a container's end leaves it alone");
        s.engine.remove_volume(&volume.name).await.unwrap();
        s.engine.remove_volume(&volume.name).await.expect("already gone is success");
        assert!(!listed().await);
    })
    .await;
}

#[tokio::test]
async fn docker_runs_commands_in_a_container() {
    on_docker(async |s| {
        let mut spec = s.spec("a", 10);
        spec.env = BTreeMap::from([("HEALTH_AFTER".to_owned(), "0.5".to_owned())]);
        let id = s.engine.create(&spec).await.unwrap();
        let exec = async |words: &[&str], limit| {
            let command: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            s.engine.exec(&id, &command, Millis(limit)).await
        };
        let refused = exec(&["/hello", "check"], 5_000).await.unwrap_err();
        assert!(refused.to_string().contains("is not running"), "{refused:?}");
        s.engine.start(&id).await.unwrap();
        let mut seen = BTreeSet::new();
        bounded("the check passes", async {
            loop {
                match exec(&["/hello", "check"], 5_000).await.unwrap() {
                    ExecOutcome::Ended { code: 0, output } => break assert_eq!(output, "ok\n"),
                    ExecOutcome::Ended { code, output } => seen.insert((code, output)),
                    other => panic!("{other:?}"),
                };
            }
        })
        .await;
        assert!(seen.contains(&(1, "warming cache\n".to_owned())), "{seen:?}");
        match exec(&["/hello", "check", "2000"], 50).await.unwrap() {
            ExecOutcome::Running { exec, .. } => {
                assert_eq!(s.engine.exec_runs(&exec).await, Ok(true));
                bounded("the command ends", async {
                    while s.engine.exec_runs(&exec).await.unwrap() {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                })
                .await;
            }
            other => panic!("{other:?}"),
        }
        match exec(&["/nothing"], 5_000).await {
            Ok(ExecOutcome::Ended { code: 126 | 127, output }) => {
                assert!(output.contains("/nothing"), "{output}")
            }
            Err(EngineError::Invalid { message }) => assert!(message.contains("/nothing"), "{message}"),
            other => panic!("{other:?}"),
        }
        s.engine.remove(&id).await.unwrap();
        let gone = exec(&["/hello", "check"], 5_000).await.unwrap_err();
        assert!(gone.is_not_found(), "{gone:?}");
    })
    .await;
}

#[tokio::test]
async fn engine_error_distinguishes_stopped_from_missing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("docker.sock");
    let engine = coxswain::engine::DockerEngine::new(path.to_str().unwrap());
    let error = engine.info().await.unwrap_err();
    assert!(matches!(error, EngineError::Stopped { .. }), "dockerd is on this machine: {error:?}");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let error = engine.info().await.unwrap_err();
    assert!(matches!(error, EngineError::Stopped { .. }), "nothing accepts: {error:?}");
}
