//! Requests that wait for a replica.

use std::net::SocketAddr;

use coxswain::model::{Millis, RoutingTable};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::{
    Backend, Balancer, Client, PATIENCE, Setup, exchange, get, read_head, route, route_with, simple, status,
    table,
};

const GET: &str = "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const POST: &str = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody";

/// A table in which requests wait for so long while the service `web` has no endpoint.
fn holding(revision: u64, hold: Millis, backends: &[&Backend]) -> RoutingTable {
    let routes = [route_with(route(None, "/", "web"), |forward| forward.waits.hold = hold)];
    table(revision, &routes, &[("web", backends)])
}

/// Longer than any test.
fn long() -> Millis {
    Millis::from(PATIENCE * 2)
}

async fn held(balancer: &mut Balancer, wanted: u64) {
    balancer.until(|r| r.services.get(&"web".into()).map_or(0, |service| service.held) == wanted).await;
}

fn ask(address: SocketAddr, request: &'static str) -> tokio::task::JoinHandle<String> {
    tokio::spawn(async move { exchange(address, request).await })
}

#[tokio::test]
async fn held_requests_are_served_once_there_is_a_replica() {
    let mut balancer = Balancer::start(Setup::default()).await;
    let backend = Backend::echo("late").await;
    balancer.publish(holding(1, long(), &[])).await;
    let asking = [ask(balancer.address, GET), ask(balancer.address, POST)];
    held(&mut balancer, 2).await;
    balancer.publish(holding(2, long(), &[&backend])).await;
    let [got, posted] = asking;
    let got = got.await.unwrap();
    assert!(status(&got) == 200 && got.contains("late GET /x"), "{got}");
    let posted = posted.await.unwrap();
    assert!(
        status(&posted) == 200 && posted.contains("late POST /x") && posted.ends_with("body"),
        "{posted}"
    );
    held(&mut balancer, 0).await;
    let report = balancer.until(|r| r.endpoints.get(&backend.id()).is_some_and(|e| e.requests == 2)).await;
    assert_eq!(report.failed(&"web".into()), 0);
}

#[tokio::test]
async fn held_request_is_answered_503_when_its_time_is_over() {
    let mut balancer = Balancer::start(Setup::default()).await;
    let dead = Backend::absent("dead").await;
    for (revision, backends) in [(1, &[][..]), (2, &[&dead][..])] {
        balancer.publish(holding(revision, Millis(300), backends)).await;
        for request in [GET, POST] {
            let answer = exchange(balancer.address, request).await;
            assert_eq!(status(&answer), 503, "{answer}");
            assert!(answer.contains("retry-after: 1"), "{answer}");
            assert!(
                answer.ends_with("no instance of this service became ready within route.hold (300ms)\n"),
                "{answer}"
            );
        }
    }
    balancer.until(|r| r.failed(&"web".into()) == 4).await;
}

#[tokio::test]
async fn held_request_is_answered_at_once_when_no_replica_is_wanted_any_more() {
    let mut balancer = Balancer::start(Setup::default()).await;
    balancer.publish(holding(1, long(), &[])).await;
    let asking = ask(balancer.address, GET);
    held(&mut balancer, 1).await;
    balancer.publish(holding(2, Millis(0), &[])).await;
    let answer = tokio::time::timeout(PATIENCE, asking).await.unwrap().unwrap();
    assert_eq!(status(&answer), 503, "{answer}");
    balancer.publish(holding(3, long(), &[])).await;
    let asking = ask(balancer.address, GET);
    held(&mut balancer, 1).await;
    balancer.publish(table(4, &[], &[])).await;
    let answer = tokio::time::timeout(PATIENCE, asking).await.unwrap().unwrap();
    assert_eq!(status(&answer), 404, "{answer}");
}

#[tokio::test]
async fn client_that_leaves_frees_its_place() {
    let mut balancer = Balancer::start(Setup::default()).await;
    balancer.publish(holding(1, long(), &[])).await;
    let mut clients = Vec::new();
    for request in [GET, POST] {
        let mut stream = TcpStream::connect(balancer.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        clients.push(stream);
    }
    held(&mut balancer, 2).await;
    drop(clients);
    held(&mut balancer, 0).await;
}

#[tokio::test]
async fn request_waits_for_an_endpoint_that_cannot_be_reached_yet() {
    let mut balancer = Balancer::start(Setup::default()).await;
    let dead = Backend::absent("dead").await;
    balancer.publish(holding(1, long(), &[&dead])).await;
    let asking = ask(balancer.address, POST);
    held(&mut balancer, 1).await;
    // at the address of the table, without another table
    let listener = tokio::net::TcpListener::bind(dead.address).await.unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await.unwrap();
        let mut body = [0; 4];
        stream.read_exact(&mut body).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n").await.unwrap();
        stream.write_all(&body).await.unwrap();
        head
    });
    let answer = tokio::time::timeout(PATIENCE, asking).await.unwrap().unwrap();
    assert!(status(&answer) == 200 && answer.ends_with("body"), "{answer}");
    assert!(serving.await.unwrap().starts_with("POST /x "));
}

#[tokio::test]
async fn stopping_balancer_answers_held_requests() {
    let mut balancer = Balancer::start(Setup::default()).await;
    balancer.publish(holding(1, long(), &[])).await;
    let asking = ask(balancer.address, GET);
    held(&mut balancer, 1).await;
    balancer.stop().await;
    let answer = asking.await.unwrap();
    assert_eq!(status(&answer), 503, "{answer}");
}

/// As in a rollout of a single replica whose volume only one may write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_that_is_replaced_stop_first_fails_no_request() {
    let mut balancer = Balancer::start(Setup::default()).await;
    let mut current = Backend::echo("r0").await;
    balancer.publish(holding(1, long(), &[&current])).await;
    let done = tokio_util::sync::CancellationToken::new();
    let clients: Vec<_> = (0..8)
        .map(|n| {
            let done = done.clone();
            let address = balancer.address;
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                let (method, body) = if n % 2 == 0 { ("POST", "body") } else { ("GET", "") };
                let mut count = 0;
                while !done.is_cancelled() {
                    let (status, text) = client.send(method, "/", body).await.unwrap();
                    assert!(status == 200 && text.ends_with(body), "{status} {text}");
                    count += 1;
                }
                count
            })
        })
        .collect();
    for step in 1..=10 {
        balancer.publish(holding(2 * step, long(), &[])).await;
        // drained: only now it stops, and the next one starts
        balancer.until(|r| r.in_flight(&current.id()) == 0).await;
        current = Backend::echo(&format!("r{step}")).await;
        balancer.publish(holding(2 * step + 1, long(), &[&current])).await;
    }
    done.cancel();
    for client in clients {
        assert!(client.await.unwrap() > 0);
    }
}

#[tokio::test]
async fn service_without_hold_answers_at_once() {
    let mut balancer = Balancer::start(Setup::default()).await;
    balancer.publish(simple(1, &[])).await;
    let answer = get(balancer.address, "a", "/").await;
    assert!(status(&answer) == 503 && answer.ends_with("no instance of this service is ready\n"), "{answer}");
}
