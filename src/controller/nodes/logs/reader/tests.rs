//! Logs of one client, over a fake Engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;

use super::*;
use crate::agent::{LocalNode, LogLine};
use crate::engine::ContainerSpec;
use crate::engine::fake::{Behaviour, FakeEngine, Fault};
use crate::model::{
    Desired, EndpointStats, Replica, ReplicaPhase, ReplicaStatus, RevisionNumber, StoreId, TemplateHash,
    Trial,
};

/// An Engine with this many containers that wrote a line, and their replicas.
fn world(containers: usize) -> (FakeEngine, Vec<ReplicaSnapshot>) {
    let engine = FakeEngine::new(|| jiff::Timestamp::UNIX_EPOCH);
    engine.add_image("users:1", Behaviour::default());
    let replicas = (0..containers).map(|n| replica(&engine, &format!("users-1-{n:03}"))).collect();
    (engine, replicas)
}

fn replica(engine: &FakeEngine, name: &str) -> ReplicaSnapshot {
    let address = std::net::Ipv4Addr::LOCALHOST.into();
    let spec = ContainerSpec::bare(name, "users:1", "coxswain-shop", address);
    let container = engine.create_by_hand(&spec).unwrap();
    engine.write_log(&container, LogLine { at: None, stderr: false, text: name.to_owned() });
    let replica = Replica {
        name: name.into(),
        service: "users".into(),
        app: "shop".into(),
        slot: 1,
        revision: RevisionNumber(1),
        hash: TemplateHash::new("h"),
        node: "host".into(),
        created_at: None,
        desired: Desired::Run,
    };
    let status = ReplicaStatus {
        replica: name.into(),
        phase: ReplicaPhase::Ready,
        attempt: 1,
        failures: 0,
        container: Some(container),
        published: Default::default(),
        address: None,
        ready_after: None,
        trial: Trial::default(),
        since: jiff::Timestamp::UNIX_EPOCH,
        diagnosis: None,
        cut: None,
        history: Default::default(),
    };
    ReplicaSnapshot {
        replica,
        status: Some(status),
        available: true,
        stats: EndpointStats::default(),
        image: crate::model::ResolvedImage::without_config("users:1", "sha256:1"),
    }
}

fn nodes(engine: &FakeEngine) -> NodeLinks {
    let node = LocalNode::new(Arc::new(engine.clone()), StoreId::new("store"), Arc::default());
    NodeLinks::of_one("host".into(), Arc::new(node))
}

async fn open(
    reader: &mut ClientLogs,
    engine: &FakeEngine,
    of: &[ReplicaSnapshot],
    now: Mono,
) -> OpenOutcome {
    reader.open_new(&nodes(engine), of, &LogOptions::default(), now).await
}

#[tokio::test]
async fn open_new_retries_a_refused_log_after_a_pause() {
    let (engine, replicas) = world(2);
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    engine.choose_faults(move |_| {
        let error = EngineError::Failed { call: "logs", status: 500, message: "no".into() };
        (counter.fetch_add(1, Ordering::Relaxed) == 0).then_some(Fault::Fails(error))
    });
    let asks = || asked.load(Ordering::Relaxed);
    let mut reader = ClientLogs::default();
    let outcome = open(&mut reader, &engine, &replicas, Mono(0)).await;
    assert!(outcome.error.is_some());
    assert_eq!((asks(), reader.merge.len()), (2, 1), "the other one is read");
    open(&mut reader, &engine, &replicas, Mono(999)).await;
    assert_eq!((asks(), reader.retry_at()), (2, Some(Mono(1_000))));
    open(&mut reader, &engine, &replicas, Mono(1_000)).await;
    assert_eq!((asks(), reader.merge.len(), reader.retry_at()), (3, 2, None));
    open(&mut reader, &engine, &replicas, Mono(2_000)).await;
    assert_eq!(asks(), 3, "what is open is not opened again");
}

#[tokio::test]
async fn open_new_says_once_that_a_node_is_not_connected_and_reads_the_other_logs() {
    let (engine, mut replicas) = world(2);
    replicas[0].replica.node = "away".into();
    let mut reader = ClientLogs::default();
    let outcome = open(&mut reader, &engine, &replicas, Mono(0)).await;
    let notices: Vec<&str> = outcome.notices.iter().map(|notice| notice.text.as_str()).collect();
    assert_eq!((notices, reader.merge.len()), (vec!["not read: node away is not connected"], 1));
    assert_eq!(open(&mut reader, &engine, &replicas, Mono(1)).await.notices, []);
    replicas[0].replica.node = "host".into();
    open(&mut reader, &engine, &replicas, Mono(2)).await;
    assert_eq!(reader.merge.len(), 2, "it is read once its node is there");
}

#[tokio::test]
async fn open_new_tries_one_log_per_pause_while_the_engine_is_away() {
    let (engine, replicas) = world(4);
    let mut reader = ClientLogs::default();
    let fails = |error: fn() -> EngineError| engine.choose_faults(move |_| Some(Fault::Fails(error())));
    fails(|| EngineError::Failed { call: "logs", status: 500, message: "no".into() });
    open(&mut reader, &engine, &replicas, Mono(0)).await;
    fails(|| EngineError::Stopped { socket: "docker.sock".into() });
    assert!(open(&mut reader, &engine, &replicas, Mono(1_000)).await.error.is_some());
    assert_eq!(reader.retry_at(), Some(Mono(2_000)), "the other three were due");
    engine.choose_faults(|_| None);
    open(&mut reader, &engine, &replicas, Mono(2_000)).await;
    assert_eq!(reader.merge.len(), 4);
}

#[tokio::test]
async fn open_new_keeps_the_options_of_the_first_attempt() {
    let (engine, replicas) = world(READ_MAX + 1);
    let last = container(&replicas[READ_MAX]).unwrap();
    engine.write_log(&last.1, LogLine { at: None, stderr: false, text: "its last".to_owned() });
    let mut reader = ClientLogs::default();
    let options = LogOptions { tail: Some(1), ..LogOptions::default() };
    reader.open_new(&nodes(&engine), &replicas, &options, Mono(0)).await;
    while reader.merge.next().await.is_some() {}
    open(&mut reader, &engine, &replicas, Mono(0)).await;
    assert_eq!(reader.merge.next().await.unwrap().unwrap().text, "its last");
}

#[tokio::test]
async fn open_new_leaves_out_logs_beyond_the_limit_until_there_is_room() {
    let (engine, replicas) = world(READ_MAX + 1);
    let mut reader = ClientLogs::default();
    let outcome = open(&mut reader, &engine, &replicas, Mono(0)).await;
    let notices: Vec<_> =
        outcome.notices.iter().map(|line| (line.replica.as_str(), line.text.as_str())).collect();
    assert_eq!(notices, [("users-1-256", "not read: 256 logs are read already")]);
    assert_eq!(reader.merge.len(), READ_MAX);
    assert_eq!(open(&mut reader, &engine, &replicas, Mono(0)).await.notices, [], "it is said once");
    while reader.merge.next().await.is_some() {}
    open(&mut reader, &engine, &replicas, Mono(0)).await;
    assert_eq!(reader.merge.next().await.unwrap().unwrap().text, "users-1-256");
}

#[tokio::test]
async fn open_new_forgets_containers_that_are_gone() {
    let (engine, mut replicas) = world(3);
    let mut reader = ClientLogs::default();
    open(&mut reader, &engine, &replicas, Mono(0)).await;
    replicas.pop();
    replicas[0].status.as_mut().unwrap().container = Some(ContainerId::new("another"));
    let silent = container(&replicas[1]).unwrap();
    replicas[1].status.as_mut().unwrap().container = None;
    open(&mut reader, &engine, &replicas, Mono(0)).await;
    let left: Vec<_> = reader.containers.keys().cloned().collect();
    assert_eq!(left, [container(&replicas[0]).unwrap(), silent]);
    open(&mut reader, &engine, &[], Mono(0)).await;
    assert!(reader.containers.is_empty());
}
