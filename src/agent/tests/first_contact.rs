//! A daemon asks which node this is: the Engine answers, hangs, or has never answered.

use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::fakes::{FakeProbes, PausedClock};
use super::rig::{NODE, config};
use crate::agent::{Agent, AgentHandle, AgentParts, EngineState, containers_of_other_stores, identify_node};
use crate::clock::Clock;
use crate::engine::{DockerEngine, FakeEngine};
use crate::registry::Registry;
use crate::store::{EmbeddedStore, Store};
use crate::testing;

/// An Engine, and an agent that has not called it yet.
struct Unasked {
    engine: FakeEngine,
    store: Arc<EmbeddedStore>,
    agent: Agent,
    handle: AgentHandle,
}

impl Unasked {
    fn new() -> Self {
        let clock = Arc::new(PausedClock::new());
        let wall = clock.clone();
        let engine = FakeEngine::new(move || wall.wall());
        let store = Arc::new(EmbeddedStore::in_memory(clock.clone()).unwrap());
        let (_, reports) = watch::channel(testing::reports(None));
        let registry = Arc::new(Registry::new(store.clone(), reports));
        let probes = Arc::new(FakeProbes::new(engine.clone(), clock.clone()));
        let parts = AgentParts {
            config: config(),
            engine: Arc::new(engine.clone()),
            store: store.clone(),
            registry,
            clock,
        };
        let (agent, handle) = Agent::with_probes(parts, probes).unwrap();
        Self { engine, store, agent, handle }
    }
}

#[tokio::test(start_paused = true)]
async fn identity_is_the_engines_and_the_stored_one_while_the_engine_is_away() {
    let Unasked { engine, store, .. } = Unasked::new();
    engine.go_away();
    assert_eq!(identify_node(store.as_ref(), &engine).await.unwrap(), None);
    engine.come_back();
    let identity = identify_node(store.as_ref(), &engine).await.unwrap().unwrap();
    assert_eq!(identity.0.as_str(), NODE);
    let revision = store.list_now("").unwrap().revision;
    engine.go_away();
    assert_eq!(identify_node(store.as_ref(), &engine).await.unwrap(), Some(identity));
    engine.come_back();
    identify_node(store.as_ref(), &engine).await.unwrap();
    assert_eq!(store.list_now("").unwrap().revision, revision, "it is written once");
}

#[tokio::test(start_paused = true)]
async fn start_waits_two_seconds_for_each_answer_of_an_engine_that_hangs() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("docker.sock");
    let _never_accepts = UnixListener::bind(&socket).unwrap();
    let engine = DockerEngine::new(socket.to_str().unwrap());
    let store = Unasked::new().store;
    let started = Instant::now();
    assert_eq!(identify_node(store.as_ref(), &engine).await.unwrap(), None);
    assert_eq!(started.elapsed(), Duration::from_secs(2));
    let foreign =
        containers_of_other_stores(&engine, "harbour:/var/lib/coxswain", &store.identity().id).await;
    assert_eq!(foreign, Ok(None));
    assert_eq!(started.elapsed(), Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn first_answer_stores_the_identity_for_the_next_start() {
    let Unasked { engine, store, agent, handle } = Unasked::new();
    engine.go_away();
    let waits = tokio::spawn(agent.wait_for_first_answer(CancellationToken::new()));
    handle.state().wait_for(|state| matches!(state.engine, EngineState::Unavailable(_))).await.unwrap();
    engine.come_back();
    waits.await.unwrap().unwrap();
    engine.go_away();
    let identity = identify_node(store.as_ref(), &engine).await.unwrap().unwrap();
    assert_eq!(identity.0.as_str(), NODE);
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_the_wait_for_the_first_answer() {
    let Unasked { engine, store, agent, .. } = Unasked::new();
    engine.go_away();
    let shutdown = CancellationToken::new();
    let waits = tokio::spawn(agent.wait_for_first_answer(shutdown.clone()));
    shutdown.cancel();
    waits.await.unwrap().unwrap();
    engine.come_back();
    assert_eq!(store.list_now("").unwrap().entries, []);
}
