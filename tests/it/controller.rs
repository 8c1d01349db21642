//! The user's writes, against a fake Engine and a store in memory: all or nothing, once, and never over another's head.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use coxswain::agent::{self, Agent, AgentConfig};
use coxswain::clock::{Clock, VirtualClock};
use coxswain::controller::{
    ApplyDocument, ApplyOptions, Awaited, Controller, ControllerError, ControllerParts, LogOptions, LogQuery,
    OperationEnd, RolloutChange, RolloutCommand, RolloutPhase, RolloutRejection, WriteAction,
};
use coxswain::engine::fake::{Behaviour, Call, FakeEngine};
use coxswain::engine::{
    ContainerSpec, Engine, EngineError, LABEL_REPLICA, LABEL_STORE, NetworkSpec, VolumeSpec,
};
use coxswain::model::{
    BalancerReport, BalancerReports, ContainerId, CutRequests, EngineKind, EnvField, EnvValue, EventReason,
    ExposureMode, Generation, HostPathPolicy, InterventionKind, Millis, ObjectRef, ObjectSpec, OutcomeRecord,
    Reason, Replica, ReplicaName, ReplicaPhase, ReplicaStatus, RevisionNumber, RevisionOutcome, Rollout,
    RolloutState, Route, ScaleTarget, Service, ServiceName, ServiceSpec, ServiceStats, Volume, key,
};
use coxswain::registry::Registry;
use coxswain::store::{
    EmbeddedStore, LeaseId, Listing, Op, Store, StoreError, StoreIdentity, Txn, TxnOutcome, WatchEvent,
};
use coxswain::testing;
use futures::stream::BoxStream;
use tokio::sync::watch;

const HOST: &str = "FAKE:ENGINE";

fn service_ref(service: &str) -> ObjectRef {
    (&ServiceName::new(service)).into()
}

pub(crate) struct Rig {
    pub(crate) controller: Arc<Controller>,
    pub(crate) store: Arc<EmbeddedStore>,
    rival: Arc<Rival>,
    pub(crate) engine: FakeEngine,
    /// What the balancer says.
    said: watch::Sender<BalancerReports>,
    pub(crate) clock: Arc<VirtualClock>,
    /// Makes a controller over the same store and Engine.
    starts: Box<dyn Fn() -> Arc<Controller> + Send + Sync>,
}

/// The store, with someone who writes a service just before we do.
struct Rival {
    store: Arc<EmbeddedStore>,
    /// How often it is faster.
    wins: AtomicUsize,
}

#[async_trait::async_trait]
impl Store for Rival {
    fn identity(&self) -> &StoreIdentity {
        self.store.identity()
    }
    async fn get(&self, key: &str) -> Result<Option<coxswain::store::StoreEntry>, StoreError> {
        self.store.get(key).await
    }
    async fn list(&self, prefix: &str) -> Result<Listing, StoreError> {
        self.store.list(prefix).await
    }
    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError> {
        let key = txn.ops.iter().map(Op::key).find(|key| key.starts_with(key::SERVICES)).map(str::to_owned);
        if let Some(key) = key
            && self.wins.load(Ordering::Relaxed) > 0
            && let Some(entry) = self.store.get(&key).await?
        {
            self.wins.fetch_sub(1, Ordering::Relaxed);
            let mut service: Service = entry.decode()?;
            service.metadata.generation = service.metadata.generation.next();
            service.metadata.annotations.insert("by".into(), "a rival".into());
            self.store.txn(Txn { compare: Vec::new(), ops: vec![Op::put(key, &service)] }).await?;
        }
        self.store.txn(txn).await
    }
    async fn watch(
        &self,
        prefix: &str,
        from_revision: u64,
    ) -> Result<BoxStream<'static, WatchEvent>, StoreError> {
        self.store.watch(prefix, from_revision).await
    }
    async fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.store.grant_lease(ttl).await
    }
    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.store.keep_alive(lease).await
    }
    async fn revoke_lease(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.store.revoke_lease(lease).await
    }
}

impl Rig {
    pub(crate) fn new() -> Rig {
        Self::following(None)
    }

    /// With a manifests directory that is followed.
    pub(crate) fn following(manifests: Option<String>) -> Rig {
        Self::with_agent(manifests, EngineKind::Native).0
    }

    /// With an agent that can be run, on an Engine of this kind.
    fn with_agent(manifests: Option<String>, kind: EngineKind) -> (Rig, Agent) {
        let clock = Arc::new(VirtualClock::new(7));
        let wall = clock.clone();
        let engine = FakeEngine::new(move || wall.wall()).of_kind(kind);
        for tag in ["users:1", "users:2", "web:1"] {
            engine.add_image(tag, Behaviour::default());
        }
        let store = Arc::new(EmbeddedStore::in_memory(clock.clone()).unwrap());
        let rival = Arc::new(Rival { store: store.clone(), wins: AtomicUsize::new(0) });
        let (said, reports) = watch::channel(testing::reports(None));
        let registry = Arc::new(Registry::new(store.clone(), reports));
        let config = AgentConfig {
            node: HOST.into(),
            node_name: "elk".into(),
            instance: format!("{HOST}:/var/lib/coxswain"),
            network_pool: "10.209.0.0/16".into(),
            exposure: None,
            http: vec!["127.0.0.1:8080".parse().unwrap()],
            balancer_host: None,
            program: None,
            host_paths: HostPathPolicy::default(),
        };
        let (runs, agent) = Agent::new(agent::AgentParts {
            config,
            engine: Arc::new(engine.clone()),
            store: store.clone(),
            registry: registry.clone(),
            clock: clock.clone(),
        })
        .unwrap();
        let seen = rival.clone();
        let time = clock.clone();
        let starts = Box::new(move || {
            Controller::new(ControllerParts {
                store: seen.clone(),
                registry: registry.clone(),
                clock: time.clone(),
                agent: agent.clone(),
                node: HOST.into(),
                http: vec!["127.0.0.1:8080".parse().unwrap()],
                https: Vec::new(),
                manifests: manifests.clone(),
            })
        });
        (Rig { controller: starts(), store, rival, engine, said, clock, starts }, runs)
    }

    /// The controller ends without notice; another one starts.
    pub(crate) async fn restart_controller(&mut self) {
        self.controller = (self.starts)();
        self.controller.reconciler().mark_all().await.unwrap();
    }

    pub(crate) async fn apply(
        &self,
        id: &str,
        documents: &[ApplyDocument],
    ) -> Result<Vec<WriteAction>, ControllerError> {
        let results = self
            .controller
            .writes()
            .apply(id, documents, ApplyOptions::default(), "apply -f app.yaml")
            .await?;
        Ok(results.into_iter().map(|result| result.action).collect())
    }

    pub(crate) async fn service(&self, name: &str) -> Service {
        self.store.get(&key::service(&name.into())).await.unwrap().unwrap().decode().unwrap()
    }

    /// Takes in what was written, and has its rollout come to this.
    async fn comes_to(&self, name: &str, state: RolloutState) {
        self.controller.reconciler().mark(name.into());
        self.controller.reconciler().pass_marked().await.unwrap();
        let key = key::rollout(&name.into());
        let rollout: Rollout = self.store.get(&key).await.unwrap().unwrap().decode().unwrap();
        let stable = (state == RolloutState::Complete).then_some(rollout.target).or(rollout.stable);
        let mut ops = Vec::new();
        if state == RolloutState::Complete {
            let (revision, outcome) = (rollout.target, RevisionOutcome::Complete);
            let record = OutcomeRecord { revision, outcome, at: rollout.since };
            ops.push(Op::put(key::outcome(&name.into(), revision), &record));
        }
        ops.push(Op::put(key, &Rollout { state, stable, ..rollout }));
        self.store.txn(Txn { compare: Vec::new(), ops }).await.unwrap();
    }

    async fn roll(&self, id: &str, change: RolloutChange) -> Result<Vec<String>, ControllerError> {
        let mut results = self.controller.writes().rollout(id, &"users".into(), &change, "a command").await?;
        Ok(results.remove(0).notes)
    }

    /// Looks at every service there is, and at `users` if it is gone.
    pub(crate) async fn pass(&self) {
        self.controller.reconciler().mark_all().await.unwrap();
        self.controller.reconciler().mark("users".into());
        self.controller.reconciler().pass_marked().await.unwrap();
    }

    /// A balancer has counted so many failed requests of `users`.
    fn counted(&self, balancer: &str, failed: u64) {
        let users = ServiceStats { failed, ..ServiceStats::default() };
        let report =
            BalancerReport { services: [("users".into(), users)].into(), ..testing::report(balancer) };
        self.said.send_replace(testing::reports(Some(report)));
    }

    /// Every key but for those of remembered answers.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let entries = self.store.list("").await.unwrap().entries;
        entries.into_iter().map(|entry| entry.key).filter(|key| !key.starts_with("meta/")).collect()
    }
}

pub(crate) fn document(name: &str, image: &str) -> ApplyDocument {
    ApplyDocument {
        name: name.into(),
        app: "shop".into(),
        annotations: BTreeMap::new(),
        spec: ServiceSpec { replicas: Some(2), ..ServiceSpec::of_image(image) }.into(),
        origin: format!("{name}.yaml:1"),
    }
}

/// The spec of a document, to change it.
pub(crate) fn spec_of(document: &mut ApplyDocument) -> &mut ServiceSpec {
    match &mut document.spec {
        ObjectSpec::Service(spec) => spec,
        ObjectSpec::Gadget(_) => panic!("not a service"),
    }
}

pub(crate) fn routed(name: &str, image: &str, path: &str) -> ApplyDocument {
    let mut document = document(name, image);
    let web = coxswain::model::Port {
        name: "http".into(),
        port: 8080,
        protocol: coxswain::model::Protocol::Http,
        listen: None,
    };
    spec_of(&mut document).ports = vec![web];
    spec_of(&mut document).routes = vec![Route::to(Some("shop.localhost".into()), path)];
    document
}

#[tokio::test]
async fn apply_writes_all_documents_or_none() {
    let rig = Rig::new();
    let run = [document("users", "users:1"), document("web", "nosuch:1"), document("api", "nosuch:2")];
    let refused = rig.apply("r1", &run).await.unwrap_err();
    let ControllerError::Images(images) = refused else { panic!("{refused:?}") };
    let named: Vec<&str> = images.iter().map(|image| image.reference.as_str()).collect();
    assert_eq!(named, ["nosuch:1", "nosuch:2"], "all of them at once");
    assert_eq!(rig.keys().await, [] as [&str; 0]);

    let done = rig.apply("r2", &[document("users", "users:1"), document("web", "web:1")]).await.unwrap();
    assert_eq!(done, [WriteAction::Created, WriteAction::Created]);
    assert_eq!(
        rig.keys().await,
        ["applied/service/users", "applied/service/web", "services/users", "services/web"]
    );
}

#[tokio::test]
async fn apply_refuses_an_image_of_which_nothing_can_run() {
    let rig = Rig::new();
    let mut bare = Behaviour::default();
    bare.config.entrypoint.clear();
    rig.engine.add_image("bare:1", bare);
    let refused = rig.apply("r1", &[document("users", "bare:1")]).await.unwrap_err();
    let ControllerError::NothingToRun(images) = refused else { panic!("{refused:?}") };
    assert_eq!(images[0].why, "neither the image nor the manifest says what to run; set `command`");
    let mut with_command = document("users", "bare:1");
    spec_of(&mut with_command).command = Some(vec!["/serve".into()]);
    assert_eq!(rig.apply("r2", &[with_command]).await.unwrap(), [WriteAction::Created]);
}

#[tokio::test]
async fn apply_names_volumes_that_only_the_image_declares() {
    let rig = Rig::new();
    rig.engine.add_image("db:1", Behaviour::with_volumes(&["/data/db"]));
    let options = ApplyOptions::default();
    let results =
        rig.controller.writes().apply("r1", &[document("db", "db:1")], options, "apply").await.unwrap();
    assert!(results[0].notes[0].contains("`- {name: data-db, path: /data/db}`"), "{:?}", results[0].notes);
}

#[tokio::test]
async fn dry_run_writes_nothing() {
    let rig = Rig::new();
    let run = [routed("users", "users:1", "/api")];
    let dry_run = ApplyOptions { dry_run: true, ..ApplyOptions::default() };
    let results = rig.controller.writes().apply("r1", &run, dry_run, "apply --dry-run").await.unwrap();
    assert_eq!(results[0].action, WriteAction::Created);
    assert_eq!(rig.keys().await, [] as [&str; 0]);
}

#[tokio::test]
async fn taken_route_is_rejected_naming_both_services() {
    let rig = Rig::new();
    rig.apply("r1", &[routed("users", "users:1", "/api")]).await.unwrap();
    let before = rig.keys().await;
    let run = [document("other", "web:1"), routed("web", "web:1", "/api")];
    let refused = rig.apply("r2", &run).await.unwrap_err();
    let ControllerError::Claimed { claim: route, object, origin, holder } = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(route, holder.claim, "not another route that a request can match as well");
    assert_eq!((route.as_str(), origin.as_str()), ("shop.localhost/api", "web.yaml:1"));
    assert_eq!(
        (object.to_string().as_str(), holder.object.to_string().as_str()),
        ("service/web", "service/users")
    );
    assert_eq!(rig.keys().await, before, "nothing of the run was written");

    rig.controller.writes().delete("r3", &[service_ref("users")], false, "delete users").await.unwrap();
    rig.apply("r4", &run).await.expect("a deleted service holds no route");
}

/// A service with the route of `users` for requests with these conditions.
fn conditioned(name: &str, matches: serde_json::Value) -> ApplyDocument {
    let mut document = routed(name, "web:1", "/api");
    spec_of(&mut document).routes[0].matches = serde_json::from_value(matches).unwrap();
    document
}

#[tokio::test]
async fn services_share_a_path_unless_a_request_can_match_both() {
    let rig = Rig::new();
    let run = [
        routed("users", "users:1", "/api"),
        conditioned("one", serde_json::json!({"header": {"x-beta": "1"}})),
        conditioned("two", serde_json::json!({"header": {"x-beta": "2"}})),
        conditioned("both", serde_json::json!({"header": {"x-beta": "1"}, "method": "POST"})),
    ];
    rig.apply("r1", &run).await.unwrap();
    let before = rig.keys().await;
    let one = r#"claims/shop.localhost/api header.x-beta="1""#;
    assert!(before.iter().any(|key| key == one), "{before:?}");
    let either = conditioned("either", serde_json::json!({"cookie": {"arm": "b"}}));
    let refused = rig.apply("r2", std::slice::from_ref(&either)).await.unwrap_err();
    let ControllerError::Claimed { claim, object, holder, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(claim, r#"shop.localhost/api cookie.arm="b""#);
    assert_eq!(holder.claim, r#"shop.localhost/api header.x-beta="1""#);
    assert_eq!((object.name.as_str(), holder.object.name.as_str()), ("either", "one"));
    assert_eq!(rig.keys().await, before);
    let in_one_run = [either, conditioned("next", serde_json::json!({"query": {"v": "2"}}))];
    let refused = rig.apply("r3", &in_one_run).await.unwrap_err();
    assert!(matches!(&refused, ControllerError::Invalid(problems) if problems.len() == 1), "{refused:?}");
}

fn listening(name: &str, port: u16) -> ApplyDocument {
    use coxswain::model::{Port, Protocol, TcpListen};
    let mut document = document(name, "users:1");
    let listen = Some(TcpListen::on(port));
    spec_of(&mut document).ports =
        vec![Port { name: "db".into(), port: 5432, protocol: Protocol::Tcp, listen }];
    document
}

#[tokio::test]
async fn taken_tcp_port_is_rejected_naming_both_services() {
    let rig = Rig::new();
    rig.apply("r1", &[listening("users", 5432)]).await.unwrap();
    let before = rig.keys().await;
    let refused = rig.apply("r2", &[listening("web", 5432)]).await.unwrap_err();
    assert_eq!(refused.to_string(), "TCP port 5432 of service/web is held by service/users");
    let refused = rig.apply("r3", &[listening("a", 1), listening("b", 1)]).await.unwrap_err();
    assert!(matches!(refused, ControllerError::Invalid(_)), "{refused:?}");
    let refused = rig.apply("r4", &[listening("web", 8080)]).await.unwrap_err();
    let by_daemon = "TCP port 8080 of service/web is used by the daemon for HTTP on 127.0.0.1:8080";
    assert_eq!(refused.to_string(), by_daemon);
    assert_eq!(rig.keys().await, before, "nothing was written");

    rig.apply("r5", &[listening("users", 5433)]).await.unwrap();
    rig.apply("r6", &[listening("web", 5432)]).await.expect("the other one moved");
}

#[tokio::test]
async fn service_name_belongs_to_its_app_until_deleted() {
    let rig = Rig::new();
    rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
    let other = ApplyDocument { app: "else".into(), ..document("users", "users:1") };
    let refused = rig.apply("r2", std::slice::from_ref(&other)).await.unwrap_err();
    assert!(matches!(refused, ControllerError::OtherApp { .. }), "{refused:?}");

    let deleted =
        rig.controller.writes().delete("r3", &[service_ref("users")], false, "delete users").await.unwrap();
    let refused = rig.apply("r4", std::slice::from_ref(&other)).await.unwrap_err();
    assert_eq!(refused, ControllerError::BeingDeleted((&ServiceName::new("users")).into()));
    rig.controller.reconciler().mark("users".into());
    rig.controller.reconciler().pass_marked().await.unwrap();
    assert_eq!(rig.apply("r5", &[other]).await.unwrap(), [WriteAction::Created]);
    let progress = rig
        .controller
        .queries()
        .progress(&"users".into(), deleted[0].generation, Awaited::Release)
        .await
        .unwrap();
    assert_eq!(progress.unwrap().end, Some(OperationEnd::Deleted), "what is there now is another service");
}

fn with_volume(name: &str) -> ApplyDocument {
    let mut document = document(name, "users:1");
    spec_of(&mut document).volumes = vec![Volume::named("data", "/data")];
    document
}

#[tokio::test]
async fn volume_is_removed_only_on_request_and_with_its_last_user() {
    let rig = Rig::new();
    rig.apply("r1", &[with_volume("users"), with_volume("web")]).await.unwrap();
    let shown = &rig.controller.queries().services(&["users".into()]).await.unwrap()[0].volumes;
    let [name] = shown.as_slice() else { panic!("{shown:?}") };
    let app = rig.service("users").await.metadata.app.to_string();
    let store = rig.store.identity().id.to_string();
    let labels = [("coxswain.store", store), ("coxswain.app", app), ("coxswain.volume", "data".to_owned())];
    let labels = labels.map(|(label, value)| (label.to_owned(), value)).into();
    rig.engine.create_volume(&VolumeSpec { name: name.clone(), labels }).await.unwrap();
    let left = async || rig.engine.volumes().await.unwrap().len();
    let pass = async |name: &str| {
        rig.controller.reconciler().mark(name.into());
        rig.controller.reconciler().pass_marked().await.unwrap();
    };

    let before = rig.keys().await;
    let refused =
        rig.controller.writes().delete("r2", &[service_ref("users")], true, "delete users --volumes").await;
    let Err(ControllerError::VolumeShared { volume, by, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!((volume.as_str(), by.as_str()), ("data", "web"));
    assert_eq!(rig.keys().await, before, "nothing was written");

    let deleted =
        rig.controller.writes().delete("r3", &[service_ref("users")], false, "delete users").await.unwrap();
    assert_eq!(deleted[0].notes, ["its volumes are kept: data"]);
    pass("users").await;
    assert_eq!(left().await, 1);

    rig.controller.writes().delete("r4", &[service_ref("web")], true, "delete web --volumes").await.unwrap();
    let in_use = EngineError::Conflict { message: "volume is in use - [c]".into() };
    rig.engine.fail_next(Call::RemoveVolume, in_use);
    pass("web").await;
    pass("web").await;
    assert_eq!(left().await, 1, "a pass asks for it, and waits for no Docker");
    let removing = rig.controller.clone();
    let removing = tokio::spawn(async move { removing.reconciler().remove_requested_volumes().await });
    let generation = rig.service("web").await.metadata.generation;
    let held = loop {
        tokio::task::yield_now().await;
        let progress =
            rig.controller.queries().progress(&"web".into(), generation, Awaited::Release).await.unwrap();
        let held = progress.unwrap().held_by;
        if !held.is_empty() {
            break held;
        }
    };
    assert!(held.iter().any(|c| c.reason == Reason::VolumeInUse && c.message.contains("in use")), "{held:?}");
    assert_eq!(left().await, 1);
    rig.clock.advance(1_000);
    while !rig.controller.queries().services(&[]).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
        pass("web").await;
    }
    assert_eq!(left().await, 0, "the service goes only when its volumes are gone");
    removing.abort();
}

#[tokio::test]
async fn repeated_request_id_changes_nothing() {
    let rig = Rig::new();
    rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
    let users: ServiceName = "users".into();
    rig.comes_to("users", RolloutState::Complete).await;
    let restart =
        || rig.controller.writes().rollout("r2", &users, &RolloutChange::Restart, "rollout restart users");
    let first = restart().await.unwrap();
    assert_eq!(restart().await.unwrap(), first);
    assert_eq!(rig.service("users").await.restarts, 1);

    // Also where the last service of the run had nothing to do.
    rig.apply("r3", &[document("web", "web:1")]).await.unwrap();
    let targets =
        BTreeMap::from([("users".into(), ScaleTarget::Count(5)), ("web".into(), ScaleTarget::Count(2))]);
    let first = rig.controller.writes().scale("r4", &targets, "scale users=5 web=2").await.unwrap();
    assert_eq!(
        first.iter().map(|r| r.action).collect::<Vec<_>>(),
        [WriteAction::Changed, WriteAction::Unchanged]
    );
    assert_eq!(rig.controller.writes().scale("r4", &targets, "scale users=5 web=2").await.unwrap(), first);
}

#[tokio::test]
async fn invalid_request_id_is_rejected() {
    let rig = Rig::new();
    for id in ["", "a/b", &"x".repeat(65)] {
        let refused = rig.apply(id, &[document("users", "users:1")]).await.unwrap_err();
        assert!(matches!(refused, ControllerError::BadValue(_)), "{id}: {refused:?}");
    }
}

#[tokio::test]
async fn scale_of_a_record_under_a_wrong_key_is_refused_and_not_to_zero() {
    let rig = Rig::new();
    let op = Op::put(key::service(&"users".into()), &testing::service("web"));
    rig.store.txn(Txn { compare: Vec::new(), ops: vec![op] }).await.unwrap();
    let before = rig.keys().await;
    let targets = BTreeMap::from([("users".into(), ScaleTarget::Count(5))]);
    let refused = rig.controller.writes().scale("r1", &targets, "scale users=5").await.unwrap_err();
    assert_eq!(refused, ControllerError::BadValue("no replica count is given for web".to_owned()));
    assert_eq!((rig.keys().await, rig.service("users").await.spec.replicas), (before, Some(1)));
}

#[tokio::test]
async fn scale_by_relative_counts_starts_from_what_is_stored_and_two_at_once_add_up() {
    let rig = Rig::new();
    rig.apply("r1", &[document("users", "users:1"), document("web", "web:1")]).await.unwrap();
    let scale = async |id: &str, users: ScaleTarget, web: ScaleTarget| {
        let targets = BTreeMap::from([("users".into(), users), ("web".into(), web)]);
        rig.controller.writes().scale(id, &targets, "scale").await.map_err(|error| error.to_string())
    };
    let counts = async || {
        let users = rig.service("users").await.spec.replicas;
        (users, rig.service("web").await.spec.replicas)
    };
    let (more, fewer) = (ScaleTarget::More(2), ScaleTarget::Fewer(1));
    let (first, second) = tokio::join!(scale("r2", more, fewer), scale("r3", more, ScaleTarget::More(1)));
    assert_eq!((first.is_ok(), second.is_ok()), (true, true));
    assert_eq!(counts().await, (Some(6), Some(2)));
    assert_eq!(scale("r3", more, more).await.map(|results| results.len()), Ok(2), "answered before");
    assert_eq!(counts().await, (Some(6), Some(2)), "a repeated request is not done again");
    rig.rival.wins.store(1, Ordering::Relaxed);
    assert!(scale("r4", fewer, ScaleTarget::More(0)).await.is_ok());
    assert_eq!(counts().await, (Some(5), Some(2)));
    for (id, users, web, expected) in [
        ("r5", more, ScaleTarget::Fewer(3), "cannot scale web: -3 is below 0: the service has 2 replicas"),
        (
            "r6",
            ScaleTarget::More(196),
            more,
            "cannot scale users: +196 of 5 is more than the 200 replicas a service may have",
        ),
        (
            "r7",
            more,
            ScaleTarget::Count(201),
            "cannot scale web: 201 is more than the 200 replicas a service may have",
        ),
    ] {
        assert_eq!(scale(id, users, web).await, Err(expected.to_owned()));
        assert_eq!(counts().await, (Some(5), Some(2)), "{id} changes nothing");
    }
}

#[tokio::test]
async fn write_that_lost_a_race_retries_on_newest_version() {
    let rig = Rig::new();
    rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
    rig.rival.wins.store(2, Ordering::Relaxed);
    let targets = BTreeMap::from([("users".into(), ScaleTarget::Count(5))]);
    let results = rig.controller.writes().scale("r2", &targets, "scale users=5").await.unwrap();
    let service = rig.service("users").await;
    assert_eq!((service.spec.replicas, results[0].generation), (Some(5), Generation(4)));
    assert_eq!(service.metadata.annotations["by"], "a rival");
}

#[tokio::test]
async fn write_that_loses_every_race_names_conflicting_object() {
    let rig = Rig::new();
    rig.apply("r1", &[document("users", "users:1"), document("web", "web:1")]).await.unwrap();
    rig.controller
        .writes()
        .scale("r2", &BTreeMap::from([("users".into(), ScaleTarget::Count(3))]), "scale users=3")
        .await
        .unwrap();
    rig.rival.wins.store(99, Ordering::Relaxed);
    let targets =
        BTreeMap::from([("users".into(), ScaleTarget::Count(3)), ("web".into(), ScaleTarget::Count(3))]);
    let refused = rig.controller.writes().scale("r3", &targets, "scale users=3 web=3").await.unwrap_err();
    let ControllerError::ChangedMeanwhile { object, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(object.to_string(), "service/web");
}

#[tokio::test]
async fn rollout_commands_are_rejected_in_wrong_phase() {
    let rig = Rig::new();
    let refused = rig.roll("r0", RolloutChange::Pause).await.unwrap_err();
    assert_eq!(refused, ControllerError::NotFound(vec![(&ServiceName::new("users")).into()]));
    rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
    rig.comes_to("users", RolloutState::Complete).await;
    let before = rig.service("users").await;
    for (id, change, asked) in [
        ("r2", RolloutChange::Pause, RolloutCommand::Pause),
        ("r3", RolloutChange::Resume, RolloutCommand::Resume),
        ("r4", RolloutChange::Abort, RolloutCommand::Abort),
        ("r5", RolloutChange::Retry, RolloutCommand::Retry),
    ] {
        let phase = RolloutPhase::Complete { revision: RevisionNumber(1) };
        let rejection = Box::new(RolloutRejection { command: asked, phase, stable: None });
        let refused = rig.roll(id, change).await.unwrap_err();
        assert_eq!(refused, ControllerError::NotNow { name: "users".into(), rejection });
    }
    assert_eq!(rig.service("users").await, before, "nothing was changed");

    rig.apply("r6", &[document("users", "users:2")]).await.unwrap();
    rig.comes_to("users", RolloutState::Progressing { waited: Default::default(), most_available: 0 }).await;
    rig.roll("r7", RolloutChange::Pause).await.unwrap();
    let paused = rig.service("users").await;
    assert_eq!(
        paused.intervention.as_ref().map(|intervention| intervention.kind),
        Some(InterventionKind::Pause)
    );
    assert_eq!(paused.intervention.map(|intervention| intervention.by.command).as_deref(), Some("a command"));
    let refused = rig.roll("r8", RolloutChange::Restart).await.unwrap_err();
    let ControllerError::NotNow { rejection, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(rejection.phase, RolloutPhase::Paused { to: RevisionNumber(2) });
    let notes = rig.roll("r9", RolloutChange::Undo { to: None }).await.unwrap();
    assert!(notes.contains(&"replaces the paused rollout to revision 2".into()), "{notes:?}");
    assert_eq!(rig.service("users").await.intervention, None, "another release ends the pause");
}

/// After a rollback what served before serves already: an undo only stops asking for the release that failed.
#[tokio::test]
async fn undo_after_a_rollback_asks_for_what_serves_and_not_for_what_failed() {
    let rig = Rig::new();
    for (id, image) in [("r1", "users:1"), ("r2", "users:2")] {
        rig.apply(id, &[document("users", image)]).await.unwrap();
        rig.comes_to("users", RolloutState::Complete).await;
    }
    rig.apply("r3", &[document("users", "users:1")]).await.unwrap();
    let reason = coxswain::model::FailureReason::Aborted { by: "abort users".into() };
    let (revision, at) = (RevisionNumber(3), jiff::Timestamp::UNIX_EPOCH);
    let failure = coxswain::model::RolloutFailure { revision, reason, at };
    rig.comes_to("users", RolloutState::RolledBack { failure }).await;
    let before = rig.service("users").await;
    let refused = rig.roll("r4", RolloutChange::Undo { to: Some(revision) }).await.unwrap_err();
    let ControllerError::NotNow { rejection, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(rejection.command, RolloutCommand::Undo);
    assert_eq!(rig.service("users").await, before, "nothing was changed");
    let notes = rig.roll("r5", RolloutChange::Undo { to: None }).await.unwrap().join("; ");
    assert!(notes.starts_with("back from revision 3 (users:1 @ "), "{notes}");
    assert!(notes.contains(") to revision 2 (users:2 @ "), "{notes}");
    assert_eq!(rig.service("users").await.spec.image, "users:2");
}

#[tokio::test]
async fn undo_to_revision_without_image_changes_nothing() {
    let rig = Rig::new();
    rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
    rig.comes_to("users", RolloutState::Complete).await;
    let refused = rig.roll("r2", RolloutChange::Undo { to: None }).await.unwrap_err();
    assert!(matches!(refused, ControllerError::NoRevision { wanted: None, .. }), "{refused:?}");
    rig.apply("r3", &[document("users", "users:2")]).await.unwrap();
    rig.comes_to("users", RolloutState::Complete).await;
    let before = rig.service("users").await;
    rig.engine.remove_image("users:1");
    let refused = rig.roll("r4", RolloutChange::Undo { to: None }).await.unwrap_err();
    assert!(matches!(refused, ControllerError::ImageGone { revision: RevisionNumber(1), .. }), "{refused:?}");
    assert_eq!(rig.service("users").await, before);
}

#[tokio::test]
async fn concurrent_release_rejects_second_writer_naming_first() {
    let rig = Rig::new();
    rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
    rig.rival.wins.store(1, Ordering::Relaxed);
    let refused = rig.roll("r2", RolloutChange::Image { image: "2".into() }).await.unwrap_err();
    let ControllerError::ChangedMeanwhile { read, found, by, .. } = refused else { panic!("{refused:?}") };
    assert_eq!((read, found, by.command.as_str()), (Generation(1), Generation(2), "apply -f app.yaml"));
    assert_eq!(rig.service("users").await.spec.image, "users:1");
}

/// A request for the release that failed is answered with that failure, whatever was written in between; a change of the
/// count is carried out.
#[tokio::test]
async fn apply_of_failed_release_reports_its_failure() {
    let rig = Rig::new();
    rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
    let failure = coxswain::model::RolloutFailure {
        revision: RevisionNumber(1),
        reason: coxswain::model::FailureReason::Aborted { by: "abort users".into() },
        at: jiff::Timestamp::UNIX_EPOCH,
    };
    rig.comes_to("users", RolloutState::RolledBack { failure: failure.clone() }).await;
    rig.controller
        .writes()
        .scale("r2", &BTreeMap::from([("users".into(), ScaleTarget::Count(0))]), "scale users=0")
        .await
        .unwrap();
    let again = ApplyDocument {
        spec: ServiceSpec { replicas: None, ..ServiceSpec::of_image("users:1") }.into(),
        ..document("users", "users:1")
    };
    assert_eq!(rig.apply("r3", &[again]).await.unwrap(), [WriteAction::Unchanged]);
    rig.comes_to("users", RolloutState::RolledBack { failure: failure.clone() }).await;
    let generation = rig.service("users").await.metadata.generation;
    let outcome = async |awaited| {
        rig.controller.queries().progress(&"users".into(), generation, awaited).await.unwrap().unwrap().end
    };
    assert_eq!(outcome(Awaited::Release).await, Some(OperationEnd::RolledBack { failure }));
    assert_eq!(outcome(Awaited::Count).await, None, "two replicas are on their way out");
    for key in rig.keys().await.iter().filter(|key| key.starts_with(&key::replicas_of(&"users".into()))) {
        last_word(&rig, key.rsplit('/').next().unwrap(), ReplicaPhase::Gone).await;
    }
    rig.pass().await;
    assert_eq!(outcome(Awaited::Count).await, Some(OperationEnd::Done));
}

#[tokio::test]
async fn failed_requests_count_from_start_of_rollout() {
    let rig = Rig::new();
    let failed_requests = async || {
        let name: ServiceName = "users".into();
        let progress =
            rig.controller.queries().progress(&name, Generation(1), Awaited::Release).await.unwrap().unwrap();
        let service = rig.controller.queries().services(&[name]).await.unwrap().remove(0);
        assert_eq!(service.failed_requests, progress.failed_requests);
        progress.failed_requests
    };
    rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
    rig.comes_to("users", RolloutState::Complete).await;
    rig.pass().await;
    assert_eq!(failed_requests().await, None, "no balancer was connected when it began");
    rig.counted("a", 5);
    rig.apply("r2", &[document("users", "users:2")]).await.unwrap();
    rig.pass().await;
    assert_eq!(failed_requests().await, Some(0));
    rig.counted("a", 7);
    assert_eq!(failed_requests().await, Some(2));
    rig.counted("b", 9);
    assert_eq!(failed_requests().await, None, "another balancer knows nothing of the beginning");
}

/// What serves is not restarted because a release that failed was retried.
#[tokio::test]
async fn apply_of_what_serves_after_a_failed_retry_keeps_its_containers() {
    for is_applied in [true, false] {
        let rig = Rig::new();
        let back = |revision| RolloutState::RolledBack {
            failure: coxswain::model::RolloutFailure {
                revision: RevisionNumber(revision),
                reason: coxswain::model::FailureReason::Aborted { by: "abort users".into() },
                at: jiff::Timestamp::UNIX_EPOCH,
            },
        };
        rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
        rig.comes_to("users", RolloutState::Complete).await;
        if is_applied {
            rig.apply("r2", &[document("users", "users:2")]).await.unwrap();
        } else {
            rig.roll("r2", RolloutChange::Image { image: "2".into() }).await.unwrap();
        }
        rig.comes_to("users", back(2)).await;
        rig.roll("r3", RolloutChange::Retry).await.unwrap();
        assert_eq!(rig.service("users").await.restarts, 1);
        rig.comes_to("users", back(3)).await;
        if is_applied {
            let again = rig.apply("r4", &[document("users", "users:2")]).await.unwrap();
            assert_eq!(again, [WriteAction::Unchanged], "the release that failed");
        }
        rig.apply("r5", &[document("users", "users:1")]).await.unwrap();
        let service = rig.service("users").await;
        assert_eq!((service.spec.image.as_str(), service.restarts), ("users:1", 0), "applied: {is_applied}");
    }
}

#[tokio::test]
async fn cut_requests_are_counted_once_for_the_operation_that_removed_their_replicas() {
    let mut rig = Rig::new();
    let users = ServiceName::new("users");
    rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
    rig.comes_to("users", RolloutState::Complete).await;
    rig.pass().await;
    let scale = async |rig: &Rig, id: &str, count: u32| {
        let targets = BTreeMap::from([(users.clone(), ScaleTarget::Count(count))]);
        rig.controller.writes().scale(id, &targets, "scale").await.unwrap();
        rig.pass().await;
    };
    let cut = async |rig: &Rig, generation: u64| {
        let queries = rig.controller.queries();
        let progress = queries.progress(&users, Generation(generation), Awaited::Count).await.unwrap();
        let cut = progress.unwrap().cut;
        cut.iter().map(|cut| format!("{} {:?}", cut.replica, cut.requests)).collect::<Vec<_>>()
    };
    scale(&rig, "r2", 1).await;
    report(&rig, "users-1-b", ReplicaPhase::Stopping, Some(3)).await;
    assert_eq!(cut(&rig, 2).await, ["users-1-b Some(3)"], "before a pass has seen it");
    rig.pass().await;
    rig.restart_controller().await;
    rig.pass().await;
    assert_eq!(cut(&rig, 2).await, ["users-1-b Some(3)"]);
    report(&rig, "users-1-b", ReplicaPhase::Gone, Some(3)).await;
    rig.pass().await;
    assert_eq!(cut(&rig, 2).await, ["users-1-b Some(3)"], "its status is gone");
    let shown = rig.controller.queries().services(std::slice::from_ref(&users)).await.unwrap().remove(0).cut;
    assert_eq!(shown.len(), 1);

    scale(&rig, "r3", 0).await;
    assert_eq!(cut(&rig, 3).await, [""; 0]);
    rig.controller.writes().delete("r4", &[service_ref("users")], false, "delete users").await.unwrap();
    report(&rig, "users-1-a", ReplicaPhase::Gone, Some(1)).await;
    rig.pass().await;
    let deletion = rig.controller.queries().deletion(&users).await.unwrap().unwrap();
    assert_eq!(deletion.end, Some(OperationEnd::Deleted));
    let cut: Vec<_> = deletion.cut.iter().map(|cut| cut.replica.as_str()).collect();
    assert_eq!(cut, ["users-1-a"]);
}

#[tokio::test]
async fn query_shows_blockers_of_last_pass() {
    let rig = Rig::new();
    rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
    rig.comes_to("users", RolloutState::Complete).await;
    rig.apply("r2", &[document("users", "users:2")]).await.unwrap();
    rig.pass().await;
    rig.roll("r3", RolloutChange::Pause).await.unwrap();
    rig.pass().await;
    let service = rig.controller.queries().services(&["users".into()]).await.unwrap().remove(0);
    assert_eq!(
        service.waits,
        ["revision 2 is paused; no replica is replaced until it is resumed or aborted"]
    );
}

#[tokio::test]
async fn apply_may_replace_every_route_of_a_service() {
    let rig = Rig::new();
    let of = |stem: &str| {
        let mut document = routed("users", "users:1", "/x");
        let path = |n| Route::to(Some("shop.localhost".into()), format!("/{stem}{n}"));
        spec_of(&mut document).routes = (0..coxswain::model::LIMITS.routes).map(path).collect();
        document
    };
    rig.apply("r1", &[of("a")]).await.unwrap();
    assert_eq!(rig.apply("r2", &[of("b")]).await.unwrap(), [WriteAction::Changed]);
    let claims = rig.store.list(key::CLAIMS).await.unwrap().entries;
    assert_eq!(claims.len(), coxswain::model::LIMITS.routes);
    assert!(claims.iter().all(|claim| claim.key.contains("/b")));
    let holder: ObjectRef = claims[0].decode().unwrap();
    assert_eq!(holder.to_string(), "service/users");
}

#[tokio::test]
async fn unreachable_balancer_url_is_rejected() {
    for (kind, exposure) in
        [(EngineKind::Native, ExposureMode::Bridge), (EngineKind::Rootless, ExposureMode::Published)]
    {
        let (rig, mut agent) = Rig::with_agent(None, kind);
        assert!(agent.pass_until_idle(5).await);
        assert_eq!(rig.controller.queries().nodes().remove(0).state.exposure, Some(exposure));
        let mut asking = document("users", "users:1");
        spec_of(&mut asking).env.insert("BALANCER".into(), EnvValue::Field { field: EnvField::BalancerUrl });
        let before = rig.keys().await;
        let refused = rig.apply("r1", &[asking]).await.unwrap_err();
        assert_eq!(
            refused,
            ControllerError::BalancerUnknown { origins: vec!["users.yaml:1".into()], exposure }
        );
        assert_eq!(rig.keys().await, before);
    }
}

#[tokio::test]
async fn unavailable_engine_rejects_apply_and_allows_scale() {
    let rig = Rig::new();
    rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
    rig.engine.go_away();
    let refused = rig.apply("r2", &[document("users", "users:2")]).await.unwrap_err();
    assert!(matches!(refused, ControllerError::Engine(_)), "{refused:?}");
    let scaled = rig
        .controller
        .writes()
        .scale("r3", &BTreeMap::from([("users".into(), ScaleTarget::Count(5))]), "scale users=5")
        .await;
    assert_eq!(scaled.unwrap()[0].action, WriteAction::Changed);
}

#[tokio::test]
async fn undecodable_service_does_not_block_others() {
    let rig = Rig::new();
    rig.apply("r1", &[document("web", "web:1")]).await.unwrap();
    let torn = Op::Put { key: "services/api".into(), value: b"{".to_vec(), lease: None };
    rig.store.txn(Txn { compare: Vec::new(), ops: vec![torn] }).await.unwrap();
    rig.controller.reconciler().mark_all().await.unwrap();
    let error = rig.controller.reconciler().pass_marked().await.unwrap_err();
    assert!(matches!(error, StoreError::Decode { .. }), "{error:?}");
    assert_eq!(rig.store.list("replicas/web/").await.unwrap().entries.len(), 2);
}

#[tokio::test]
async fn logs_of_unknown_replica_are_rejected() {
    let rig = Rig::new();
    let unknown = ReplicaName::new("users-1-a");
    let options = LogOptions { follow: true, tail: None, since: None };
    let query = LogQuery { replicas: vec![unknown.clone()], options, ..LogQuery::default() };
    let refused = rig.controller.nodes().logs(query).await.err().unwrap();
    assert_eq!(refused, ControllerError::NoReplica(unknown));
}

/// Puts a status of a replica that is not stored, as an agent's last word.
async fn last_word(rig: &Rig, replica: &str, phase: ReplicaPhase) -> String {
    report(rig, replica, phase, None).await
}

/// Puts a status, with the number of requests that the stop of the replica has cut.
async fn report(rig: &Rig, replica: &str, phase: ReplicaPhase, cut: Option<u64>) -> String {
    let cut = cut.map(|requests| CutRequests {
        replica: replica.into(),
        requests: Some(requests),
        drain: Some(Millis::secs(10)),
    });
    let status = ReplicaStatus { cut, ..testing::status(replica, phase) };
    let key = key::status(&"users".into(), &replica.into());
    let ops = vec![Op::put(key.clone(), &status)];
    rig.store.txn(Txn { compare: Vec::new(), ops }).await.unwrap();
    key
}

#[tokio::test]
async fn replica_without_port_is_available_to_every_query_only_after_healthy_for() {
    let rig = Rig::new();
    rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
    rig.pass().await;
    for key in rig.keys().await.iter().filter(|key| key.starts_with(key::REPLICAS)) {
        last_word(&rig, key.rsplit('/').next().unwrap(), ReplicaPhase::Ready).await;
    }
    rig.pass().await;
    let shown = async || {
        let names = [ServiceName::new("users")];
        let queries = rig.controller.queries();
        let service = queries.services(&names).await.unwrap().remove(0);
        let replicas = queries.replicas(&names).await.unwrap();
        let progress = queries.progress(&names[0], Generation(1), Awaited::Release).await.unwrap().unwrap();
        let available = replicas.iter().filter(|replica| replica.available).count();
        (service.available, available, progress.available, progress.end)
    };
    let healthy_for = rig.service("users").await.spec.rollout.healthy_for;
    assert_eq!(shown().await, (0, 0, 0, None));
    rig.clock.advance(healthy_for.0 - 1);
    rig.pass().await;
    assert_eq!(shown().await, (0, 0, 0, None));
    rig.clock.advance(1);
    rig.pass().await;
    assert_eq!(shown().await, (2, 2, 2, Some(OperationEnd::Done)));
}

#[tokio::test]
async fn kill_tells_a_node_that_is_not_connected_from_an_engine_that_does_not_answer() {
    let rig = Rig::new();
    rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
    rig.pass().await;
    let mut replicas = rig.controller.queries().replicas(&["users".into()]).await.unwrap();
    let Replica { name, .. } = replicas[0].replica.clone();
    let kill = async || {
        let container = ContainerId::new("c");
        rig.controller.nodes().kill(&"users".into(), &name, &container, "verify users".into()).await
    };
    let away = || EngineError::Unanswered { call: "inspect", message: "away".to_owned() };
    rig.engine.fail_next(Call::Inspect, away());
    assert_eq!(kill().await, Err(ControllerError::Engine(away())));

    let moved = Replica { node: "elsewhere".into(), ..replicas.remove(0).replica };
    let op = Op::put(key::replica(&"users".into(), &name), &moved);
    rig.store.txn(Txn { compare: Vec::new(), ops: vec![op] }).await.unwrap();
    assert_eq!(kill().await, Err(ControllerError::NodeNotConnected("elsewhere".into())));
}

#[tokio::test]
async fn kill_is_recorded_as_requested() {
    let rig = Rig::new();
    rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
    rig.pass().await;
    let Replica { name, .. } =
        rig.controller.queries().replicas(&["users".into()]).await.unwrap().remove(0).replica;
    let labels = [(LABEL_STORE, rig.store.identity().id.to_string()), (LABEL_REPLICA, name.to_string())];
    let network = NetworkSpec {
        name: "coxswain-shop".into(),
        bridge: None,
        subnet: "10.209.0.0/24".into(),
        ip_range: "10.209.0.248/29".into(),
        gateway: "10.209.0.1".parse().unwrap(),
        labels: BTreeMap::new(),
    };
    rig.engine.create_network_by_hand(&network).unwrap();
    let address = "10.209.0.7".parse().unwrap();
    let mut spec = ContainerSpec::bare(name.as_str(), "users:1", "coxswain-shop", address);
    spec.labels.extend(labels.map(|(label, value)| (label.to_owned(), value)));
    let container = rig.engine.create_by_hand(&spec).unwrap();
    rig.engine.start_by_hand(&container).unwrap();
    let nodes = rig.controller.nodes();
    nodes.kill(&"users".into(), &name, &container, "verify users".into()).await.unwrap();
    let events = rig.controller.queries().events(Some(&"users".into())).await.unwrap();
    let messages: Vec<&str> =
        events.iter().filter(|e| e.reason == EventReason::Killed).map(|e| e.message.as_str()).collect();
    let expected =
        format!("kill of container {} requested by an unknown user with `verify users`", container.short());
    assert_eq!(messages, [expected.as_str()]);
}

#[tokio::test]
async fn next_pass_deletes_only_orphaned_status() {
    let rig = Rig::new();
    rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
    rig.pass().await;
    let replica = rig.keys().await.into_iter().find(|key| key.starts_with(key::REPLICAS)).unwrap();
    let kept = last_word(&rig, replica.rsplit('/').next().unwrap(), ReplicaPhase::Pulling).await;
    let stray = last_word(&rig, "users-0-z", ReplicaPhase::Gone).await;
    rig.pass().await;
    let keys = rig.keys().await;
    assert!(keys.contains(&kept) && !keys.contains(&stray), "{keys:?}");
}

#[tokio::test]
async fn deleted_service_leaves_no_key_even_after_late_writes() {
    let rig = Rig::new();
    rig.apply("r1", &[document("users", "users:1"), document("web", "web:1")]).await.unwrap();
    rig.pass().await;
    // more keys than one transaction takes
    let events =
        (0..150).map(|n| Op::put(key::event(&"users".into(), n, "user"), &"event")).collect::<Vec<_>>();
    for ops in events.chunks(100) {
        rig.store.txn(Txn { compare: Vec::new(), ops: ops.to_vec() }).await.unwrap();
    }
    rig.controller.writes().delete("r2", &[service_ref("users")], false, "delete users").await.unwrap();
    rig.pass().await;
    for key in rig.keys().await.iter().filter(|key| key.starts_with(&key::replicas_of(&"users".into()))) {
        last_word(&rig, key.rsplit('/').next().unwrap(), ReplicaPhase::Gone).await;
    }
    // Someone writes the service between the reading and the forgetting: it is forgotten with the next pass.
    rig.rival.wins.store(1, Ordering::Relaxed);
    rig.pass().await;
    rig.pass().await;
    let of_users = |keys: Vec<String>| -> Vec<String> {
        let is_left = |key: &String| key.contains("users") && !key.starts_with(key::EVENTS);
        keys.into_iter().filter(is_left).collect()
    };
    assert_eq!(of_users(rig.keys().await), [] as [&str; 0]);
    assert!(rig.keys().await.iter().any(|key| key == "services/web"));
    last_word(&rig, "users-1-z", ReplicaPhase::Gone).await;
    rig.pass().await;
    assert_eq!(of_users(rig.keys().await), [] as [&str; 0]);
}

#[tokio::test]
async fn events_of_a_deleted_service_can_be_read_for_a_day() {
    let rig = Rig::new();
    rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
    rig.controller.writes().delete("r2", &[service_ref("users")], false, "delete users").await.unwrap();
    rig.pass().await;
    let users = ServiceName::new("users");
    let last =
        async || rig.controller.queries().events(Some(&users)).await.map(|events| events.last().cloned());
    assert!(!rig.controller.queries().exists(&users).await.unwrap());
    assert_eq!(last().await.unwrap().unwrap().reason, EventReason::ServiceDeleted);
    rig.clock.advance(23 * 3_600_000);
    rig.controller.reconciler().delete_expired_events().await.unwrap();
    assert_eq!(last().await.unwrap().unwrap().reason, EventReason::ServiceDeleted);
    rig.clock.advance(2 * 3_600_000);
    rig.controller.reconciler().delete_expired_events().await.unwrap();
    assert_eq!(last().await, Err(ControllerError::NotFound(vec![service_ref("users")])));
}

#[tokio::test]
async fn override_conflict_writes_nothing_until_resolved() {
    let rig = Rig::new();
    let counted = |count: Option<u32>| {
        let mut document = document("users", "users:1");
        spec_of(&mut document).replicas = count;
        document
    };
    rig.apply("r1", &[counted(Some(2))]).await.unwrap();
    let targets = BTreeMap::from([("users".into(), ScaleTarget::Count(5))]);
    rig.controller.writes().scale("r2", &targets, "scale users=5").await.unwrap();
    let scaled = rig.service("users").await;
    let over = &scaled.overrides[0];
    assert_eq!((over.field.as_str(), over.by.command.as_str()), ("spec.replicas", "scale users=5"));
    assert_eq!(rig.apply("r3", &[counted(Some(2))]).await.unwrap(), [WriteAction::Unchanged]);
    assert_eq!(rig.service("users").await, scaled, "the file did not change");

    let run = [document("web", "web:1"), counted(Some(3))];
    let before = rig.keys().await;
    let refused = rig.apply("r4", &run).await.unwrap_err();
    let ControllerError::Overridden { conflicts, .. } = &refused else { panic!("{refused:?}") };
    let values = (conflicts[0].over.file.as_deref(), conflicts[0].over.live.as_deref());
    assert_eq!((conflicts[0].object.name.as_str(), values), ("users", (Some("3"), Some("5"))));
    assert_eq!(
        (rig.keys().await, rig.service("users").await),
        (before, scaled.clone()),
        "nothing is written"
    );

    let how = |keep: &[&str], overwrite: &[&str]| {
        let paths = |list: &[&str]| list.iter().map(|path| (*path).to_owned()).collect();
        ApplyOptions { keep: paths(keep), overwrite: paths(overwrite), ..ApplyOptions::default() }
    };
    for (id, bad) in [("r5", how(&["replica"], &[])), ("r6", how(&["image"], &[]))] {
        let refused = rig.controller.writes().apply(id, &run, bad, "apply").await.unwrap_err();
        assert!(matches!(refused, ControllerError::BadValue(_)), "{refused:?}");
    }
    let diff = ApplyOptions { diff: true, ..ApplyOptions::default() };
    let shown = rig.controller.writes().apply("r7", &run, diff, "diff").await.unwrap();
    assert_eq!((shown[0].action, shown[0].changes.len()), (WriteAction::Created, 1), "{shown:?}");
    assert_eq!(shown[1].conflicts.len(), 1);
    assert_eq!(rig.service("users").await, scaled, "a diff writes nothing");

    rig.controller.writes().apply("r8", &run, how(&["replicas"], &[]), "apply").await.unwrap();
    assert_eq!(rig.service("users").await.spec.replicas, Some(5));
    rig.apply("r9", &run).await.expect("the file is as it was applied");
    rig.controller.writes().apply("r10", &run, how(&[], &["replicas"]), "apply").await.unwrap();
    let service = rig.service("users").await;
    assert_eq!((service.spec.replicas, service.overrides), (Some(3), vec![]));
}

#[tokio::test]
async fn overridden_image_is_not_resolved() {
    let rig = Rig::new();
    rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
    rig.roll("r2", RolloutChange::Image { image: "2".into() }).await.unwrap();
    let rolled = rig.service("users").await;
    rig.engine.remove_image("users:1");
    assert_eq!(rig.apply("r3", &[document("users", "users:1")]).await.unwrap(), [WriteAction::Unchanged]);
    assert_eq!(rig.service("users").await, rolled);
    assert_eq!(rig.apply("r4", &[document("users", "users:2")]).await.unwrap(), [WriteAction::Unchanged]);
    assert_eq!(rig.service("users").await.overrides, vec![], "the file says what is live");
}

#[tokio::test]
async fn tag_that_moved_is_not_rolled_out_again_after_an_undo() {
    let rig = Rig::new();
    rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
    rig.comes_to("users", RolloutState::Complete).await;
    let first = rig.service("users").await.image;
    rig.engine.add_image("users:1", Behaviour::default());
    let restarted = rig.controller.writes();
    let restarted =
        restarted.rollout("r2", &"users".into(), &RolloutChange::Restart, "restart").await.unwrap();
    let said = restarted[0].notes.join("; ");
    assert!(said.contains("users:1 is another image by now") && said.contains("--image users:1"), "{said}");
    assert_eq!(rig.service("users").await.image, first, "a restart keeps its image");

    rig.roll("r3", RolloutChange::Image { image: "users:1".into() }).await.unwrap();
    let moved = rig.service("users").await.image;
    assert_ne!(moved.pinned, first.pinned);
    rig.roll("r4", RolloutChange::Undo { to: Some(RevisionNumber(1)) }).await.unwrap();
    let undone = rig.service("users").await;
    assert_eq!(undone.image.pinned, first.pinned);
    assert_eq!(undone.overrides.len(), 1, "it holds the digest: {:?}", undone.overrides);

    assert_eq!(rig.apply("r5", &[document("users", "users:1")]).await.unwrap(), [WriteAction::Unchanged]);
    assert_eq!(rig.service("users").await.image.pinned, first.pinned);
    let overwrite = ApplyOptions { overwrite: vec!["image".into()], ..ApplyOptions::default() };
    let file = [document("users", "users:1")];
    rig.controller.writes().apply("r6", &file, overwrite, "apply").await.unwrap();
    let taken = rig.service("users").await;
    assert_eq!((taken.image.pinned, taken.overrides), (moved.pinned, vec![]));
}

#[tokio::test]
async fn override_whose_release_failed_neither_conflicts_nor_is_kept() {
    for fixed in ["users:1", "users:2"] {
        let rig = Rig::new();
        rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
        rig.comes_to("users", RolloutState::Complete).await;
        rig.roll("r2", RolloutChange::Image { image: "2".into() }).await.unwrap();
        let reason = coxswain::model::FailureReason::Aborted { by: "abort users".into() };
        let failure = coxswain::model::RolloutFailure {
            revision: RevisionNumber(2),
            reason,
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        rig.comes_to("users", RolloutState::RolledBack { failure }).await;
        let shown = rig.controller.queries().services(&[]).await.unwrap().remove(0).service;
        assert_eq!((shown.overrides, shown.spec.image.as_str()), (vec![], "users:2"), "{fixed}");
        let mut corrected = document("users", fixed);
        spec_of(&mut corrected).env.insert("FIXED".into(), EnvValue::Text("1".into()));
        let options = ApplyOptions::default();
        let results = rig.controller.writes().apply("r3", &[corrected], options, "apply").await.unwrap();
        let service = rig.service("users").await;
        assert_eq!((service.spec.image.as_str(), service.overrides), (fixed, vec![]));
        let notes = results[0].notes.join("; ");
        assert!(notes.contains("`a command`, whose release failed; it is not kept"), "{notes}");
    }
}

#[tokio::test]
async fn deadline_stops_while_balancer_is_disconnected() {
    let (rig, mut agent) = Rig::with_agent(None, EngineKind::Native);
    assert!(agent.pass_until_idle(5).await);
    rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
    let after_hours = async || {
        for _ in 0..1_000 {
            rig.controller.reconciler().mark("users".into());
            rig.controller.reconciler().pass_marked().await.unwrap();
            rig.clock.advance(10_000);
        }
        let rollout = rig.store.get(&key::rollout(&"users".into())).await.unwrap().unwrap();
        rollout.decode::<Rollout>().unwrap().state
    };
    let waiting = after_hours().await;
    assert!(matches!(waiting, RolloutState::Progressing { .. }), "{waiting:?}");
    rig.counted("balancer-1", 0);
    let failed = after_hours().await;
    assert!(matches!(failed, RolloutState::Failed { .. }), "{failed:?}");
}

#[tokio::test]
async fn get_shows_running_image_after_rollback() {
    let rig = Rig::new();
    rig.apply("r1", &[document("users", "users:1")]).await.unwrap();
    rig.comes_to("users", RolloutState::Complete).await;
    rig.apply("r2", &[document("users", "users:2")]).await.unwrap();
    let shown_image =
        async || rig.controller.queries().services(&[]).await.unwrap().remove(0).image.reference;
    assert_eq!(shown_image().await, "users:2", "before any pass has seen it, too");
    rig.controller.reconciler().mark("users".into());
    rig.controller.reconciler().pass_marked().await.unwrap();
    assert_eq!(shown_image().await, "users:2");
    let key = key::rollout(&"users".into());
    let rollout: Rollout = rig.store.get(&key).await.unwrap().unwrap().decode().unwrap();
    let back = Rollout { target: RevisionNumber(1), ..rollout };
    rig.store.txn(Txn { compare: Vec::new(), ops: vec![Op::put(key, &back)] }).await.unwrap();
    assert_eq!(shown_image().await, "users:1");
}
