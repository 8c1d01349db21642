//! A balancer that drains, and another one next to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coxswain::balancer::DrainReason;
use hyper::Response;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::harness::{Backend, Balancer, PATIENCE, Setup, get, read_head, simple, status};

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

    balancer.drain(DrainReason::Orphaned);
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
    old.drain(DrainReason::Orphaned);
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

/// Waits until nothing listens on the balancer's address.
async fn refuses(balancer: &Balancer) {
    let refused = async { while TcpStream::connect(balancer.address).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, refused).await.expect("connections are refused");
}

#[tokio::test]
async fn stopped_balancer_accepts_until_the_requests_in_flight_have_finished() {
    let gate = Arc::new(Notify::new());
    let backend = gated(&gate).await;
    let mut balancer = Balancer::start(Setup::default()).await;
    balancer.publish(simple(1, &[&backend])).await;
    let mut slow = TcpStream::connect(balancer.address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    balancer.until(|r| r.in_flight(&backend.id()) == 1).await;
    balancer.drain(DrainReason::Stopped);
    let other = Backend::echo("b").await;
    balancer.publish(simple(2, &[&other])).await;
    for _ in 0..8 {
        assert_eq!(status(&get(balancer.address, "a", "/").await), 200);
    }
    gate.notify_one();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("connection: close") && answer.ends_with("done"), "{answer}");
    refuses(&balancer).await;
    balancer.ended().await.unwrap();
}

#[tokio::test]
async fn balancer_with_a_successor_accepts_no_more_and_ends_with_its_last_connection() {
    let backend = Backend::echo("a").await;
    let mut balancer = Balancer::start(Setup::default()).await;
    balancer.publish(simple(1, &[&backend])).await;
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut kept = TcpStream::connect(balancer.address).await.unwrap();
    kept.write_all(request).await.unwrap();
    assert!(!read_head(&mut kept).await.unwrap().contains("connection: close"));
    balancer.drain(DrainReason::Succeeded);
    refuses(&balancer).await;
    balancer.until(|r| r.draining).await;
    assert!(!balancer.has_ended(), "the idle connection is kept");
    kept.write_all(request).await.unwrap();
    let mut answer = String::new();
    kept.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("HTTP/1.1 200 ") && answer.contains("connection: close"), "{answer}");
    balancer.ended().await.unwrap();
}

/// A connection that waits in a socket's queue when it closes is served.
#[tokio::test]
async fn connection_that_was_not_accepted_yet_is_served_when_the_listener_closes() {
    let backend = Backend::echo("a").await;
    let mut balancer = Balancer::start(Setup::default()).await;
    balancer.publish(simple(1, &[&backend])).await;
    let (accepting, waiting) = (AtomicUsize::new(0), 40);
    let clients = (0..waiting).map(|_| async {
        let mut stream = TcpStream::connect(balancer.address).await.unwrap();
        if accepting.fetch_add(1, Ordering::Relaxed) + 1 == waiting {
            balancer.drain(DrainReason::Orphaned);
        }
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    });
    for answer in futures::future::join_all(clients).await {
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    balancer.ended().await.unwrap();
}

#[tokio::test]
async fn client_whose_response_had_begun_before_a_drain_may_send_one_more_request() {
    let mut balancer = Balancer::start(Setup::default()).await;
    let finish = Arc::new(Notify::new());
    let answer = Arc::clone(&finish);
    let backend = Backend::raw("a", move |mut stream, _| {
        let answer = Arc::clone(&answer);
        async move {
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha").await.unwrap();
            answer.notified().await;
            stream.write_all(b"lf").await.unwrap();
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        }
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    let mut client = TcpStream::connect(balancer.address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let head = read_head(&mut client).await.unwrap();
    assert!(!head.contains("connection: close"), "{head}");
    balancer.drain(DrainReason::Orphaned);
    // it accepts no more, so it is draining
    while TcpStream::connect(balancer.address).await.is_ok() {}
    finish.notify_one();
    let mut body = [0; 4];
    client.read_exact(&mut body).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let head = read_head(&mut client).await.unwrap();
    assert!(head.contains("connection: close"), "{head}");
    balancer.ended().await.unwrap();
}
