//! Logs that are followed while what they come from goes.

use std::time::Duration;

use coxswain::controller::{ControllerError, LogEntry, LogOptions, LogQuery};
use coxswain::engine::fake::Behaviour;
use coxswain::engine::{ContainerSpec, EngineError, LogLine, NetworkSpec};
use coxswain::model::{
    ContainerId, LastExit, NotReadyCause, ReplicaName, ReplicaPhase, ReplicaStatus, ServiceName, Trial, key,
};
use coxswain::store::{Op, Store, Txn};
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::controller::{Rig, document, spec_of};

/// Longest wait for a line.
const BOUND: Duration = Duration::from_secs(60);
const NETWORK: &str = "coxswain-shop";

type Lines = BoxStream<'static, Result<LogEntry, EngineError>>;

/// Services with one replica each, named `…-1-a`, each with a container that wrote its own name.
async fn rig(services: &[&str]) -> Rig {
    let rig = Rig::new();
    let network = NetworkSpec {
        name: NETWORK.into(),
        bridge: None,
        subnet: "10.209.0.0/24".into(),
        ip_range: "10.209.0.248/29".into(),
        gateway: "10.209.0.1".parse().unwrap(),
        labels: [].into(),
    };
    rig.engine.create_network_by_hand(&network).unwrap();
    for (n, service) in services.iter().enumerate() {
        rig.engine.add_image("web:1", Behaviour::default());
        let mut document = document(service, "web:1");
        spec_of(&mut document).replicas = Some(1);
        rig.apply(&format!("r-{service}"), &[document]).await.unwrap();
        rig.pass().await;
        starts(&rig, service, 1, u8::try_from(n).unwrap() + 2).await;
    }
    rig
}

/// The replica of a service has a container that runs.
async fn starts(rig: &Rig, service: &str, attempt: u32, node: u8) -> ContainerId {
    let replica = ReplicaName::new(format!("{service}-1-a"));
    let name = format!("{replica}.{attempt}");
    let address = format!("10.209.0.{node}").parse().unwrap();
    let spec = ContainerSpec::bare(&name, "web:1", NETWORK, address);
    let container = rig.engine.create_by_hand(&spec).unwrap();
    rig.engine.start_by_hand(&container).unwrap();
    rig.engine.write_log(&container, LogLine { at: None, stderr: false, text: name });
    let status = ReplicaStatus {
        replica: replica.clone(),
        phase: ReplicaPhase::Ready,
        attempt,
        failures: 0,
        container: Some(container.clone()),
        published: Default::default(),
        address: None,
        ready_after: None,
        trial: Trial::default(),
        since: jiff::Timestamp::UNIX_EPOCH,
        diagnosis: None,
        cut: None,
        history: Default::default(),
    };
    let ops = vec![Op::put(key::status(&service.into(), &replica), &status)];
    rig.store.txn(Txn { compare: Vec::new(), ops }).await.unwrap();
    container
}

/// Everything of a service goes, its containers too.
async fn goes(rig: &Rig, service: &str) {
    let prefix = format!("{service}-");
    let of = |key: &String| key.rsplit('/').any(|part| part == service || part.starts_with(&prefix));
    let keys = rig.keys().await.into_iter().filter(of);
    let ops = keys.map(|key| Op::Delete { key }).collect();
    rig.store.txn(Txn { compare: Vec::new(), ops }).await.unwrap();
    let ended = rig.engine.containers().into_iter().filter(|container| container.name.starts_with(&prefix));
    ended.for_each(|container| rig.engine.remove_by_hand(&container.id));
    rig.controller.reconciler().mark(service.into());
    rig.controller.reconciler().pass_marked().await.unwrap();
}

async fn follow(rig: &Rig, services: &[&str], replicas: &[&str]) -> Lines {
    let query = LogQuery {
        services: services.iter().map(|name| ServiceName::new(*name)).collect(),
        replicas: replicas.iter().map(|name| ReplicaName::new(*name)).collect(),
        options: LogOptions { follow: true, ..LogOptions::default() },
        ..LogQuery::default()
    };
    rig.controller.nodes().logs(query).await.unwrap()
}

/// The next lines, as `REPLICA TEXT`; what happened to the replica with dashes before it.
async fn says<const N: usize>(lines: &mut Lines, expected: [&str; N]) {
    let mut said = Vec::new();
    for _ in 0..N {
        let line = tokio::time::timeout(BOUND, lines.next()).await.expect("a line");
        let LogEntry { replica, text, life, .. } = line.expect("the stream continues").unwrap();
        said.push(format!("{}{replica} {text}", if life { "--- " } else { "" }));
    }
    said.sort();
    assert_eq!(said, expected);
}

async fn ends(lines: &mut Lines) {
    assert_eq!(tokio::time::timeout(BOUND, lines.next()).await.expect("an end"), None);
}

#[tokio::test]
async fn logs_continue_for_other_services_when_one_is_deleted() {
    let rig = rig(&["users", "web"]).await;
    let mut lines = follow(&rig, &["users", "web"], &[]).await;
    says(&mut lines, ["users-1-a users-1-a.1", "web-1-a web-1-a.1"]).await;
    goes(&rig, "users").await;
    says(&mut lines, ["--- users-1-a gone"]).await;
    starts(&rig, "web", 2, 9).await;
    rig.pass().await;
    says(&mut lines, ["--- web-1-a ready", "web-1-a web-1-a.2"]).await;
    goes(&rig, "web").await;
    says(&mut lines, ["--- web-1-a gone"]).await;
    ends(&mut lines).await;
}

#[tokio::test]
async fn logs_continue_for_other_replicas_when_one_is_removed() {
    let rig = rig(&["users", "web"]).await;
    let mut lines = follow(&rig, &[], &["users-1-a", "web-1-a"]).await;
    says(&mut lines, ["users-1-a users-1-a.1", "web-1-a web-1-a.1"]).await;
    goes(&rig, "web").await;
    says(&mut lines, ["--- web-1-a gone"]).await;
    starts(&rig, "users", 2, 9).await;
    rig.pass().await;
    says(&mut lines, ["--- users-1-a ready", "users-1-a users-1-a.2"]).await;
    goes(&rig, "users").await;
    says(&mut lines, ["--- users-1-a gone"]).await;
    ends(&mut lines).await;
}

#[tokio::test]
async fn previous_logs_are_those_of_the_containers_that_ended_last() {
    let rig = rig(&["users", "web"]).await;
    let containers = rig.engine.containers();
    let first = containers.iter().find(|container| container.name == "users-1-a.1").unwrap().id.clone();
    rig.engine.exit(&first, 3);
    starts(&rig, "users", 2, 9).await;
    let key = key::status(&"users".into(), &"users-1-a".into());
    let mut status: ReplicaStatus = rig.store.get(&key).await.unwrap().unwrap().decode().unwrap();
    let cause = NotReadyCause::Exited { code: 3, was_healthy: true };
    let exit = LastExit { at: jiff::Timestamp::UNIX_EPOCH, cause, container: first.clone() };
    status.history.last_exit = Some(exit.clone());
    rig.store.txn(Txn { compare: Vec::new(), ops: vec![Op::put(key, &status)] }).await.unwrap();
    let logs = async |services: &[&str]| {
        let services = services.iter().map(|name| ServiceName::new(*name)).collect();
        rig.controller.nodes().logs(LogQuery { services, previous: true, ..LogQuery::default() }).await
    };
    let mut lines = logs(&["users", "web"]).await.unwrap();
    says(&mut lines, ["users-1-a users-1-a.1"]).await;
    ends(&mut lines).await;
    let error = logs(&["web"]).await.err().unwrap();
    assert_eq!(error, ControllerError::NoPrevious(vec!["web-1-a".into()]));
    rig.engine.remove_by_hand(&first);
    let error = logs(&["users", "web"]).await.err().unwrap();
    assert_eq!(error, ControllerError::PreviousGone(vec![("users-1-a".into(), exit)]));
}
