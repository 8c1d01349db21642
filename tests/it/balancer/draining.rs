//! A balancer that drains, and another one next to it.

use std::sync::Arc;

use hyper::Response;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::harness::{Backend, Balancer, PATIENCE, Setup, get, simple, status};

/// A backend that answers when it is notified.
async fn gated(gate: &Arc<Notify>) -> Backend {
    let gate = Arc::clone(gate);
    Backend::http("a", move |_| {
        let gate = Arc::clone(&gate);
        async move {
            gate.notified().await;
            Response::new("done".into())
        }
    })
    .await
}

#[tokio::test]
async fn draining_balancer_acknowledges_tables_and_reports_its_requests_until_they_end() {
    let gate = Arc::new(Notify::new());
    let backend = gated(&gate).await;
    let other = Backend::echo("b").await;
    let mut balancer = Balancer::start(Setup::default()).await;
    balancer.publish(simple(1, &[&backend])).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = TcpStream::connect(balancer.address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        clients.push(client);
    }
    balancer.until(|r| r.in_flight(&backend.id()) == 2 && !r.draining).await;

    balancer.ask_to_stop();
    balancer.until(|r| r.draining && r.in_flight(&backend.id()) == 2).await;
    balancer.publish(simple(2, &[&other])).await;
    let report = balancer.until(|_| true).await;
    assert_eq!(report.in_flight(&backend.id()), 2, "not in the table, and not drained");
    gate.notify_one();
    balancer.until(|r| r.in_flight(&backend.id()) == 1).await;
    balancer.publish(simple(3, &[])).await;
    assert!(!balancer.has_ended());
    gate.notify_one();
    for mut client in clients {
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
    }
    balancer.ended().await.unwrap();
}

#[tokio::test]
async fn draining_balancer_that_is_behind_keeps_its_successors_table_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let at = || Some(directory.path().to_owned());
    let gate = Arc::new(Notify::new());
    let backend = gated(&gate).await;
    let mut old = Balancer::start(Setup { directory: at(), ..Setup::default() }).await;
    old.publish(simple(1, &[&backend])).await;
    let mut client = TcpStream::connect(old.address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    old.until(|r| r.in_flight(&backend.id()) == 1).await;
    old.ask_to_stop();
    old.until(|r| r.draining).await;

    let later = Backend::echo("b").await;
    let mut new = Balancer::start(Setup { directory: at(), ..Setup::default() }).await;
    new.publish(simple(3, &[&later])).await;
    // It is acknowledged: what a successor starts from is not older.
    old.publish(simple(2, &[])).await;
    new.stop().await;
    let alone = Setup { directory: at(), controller: false, ..Setup::default() };
    let third = Balancer::start(alone).await;
    assert_eq!(status(&get(third.address, "a", "/").await), 200, "it serves from table 3");
    gate.notify_one();
    let mut answer = String::new();
    let read = tokio::time::timeout(PATIENCE, client.read_to_string(&mut answer)).await;
    read.expect("an answer").unwrap();
    assert!(answer.ends_with("done"), "{answer}");
}
