//! Clients that pause in the middle of a body.

use std::time::Duration;

use coxswain::balancer::BalancerLimits;
use coxswain::model::{Millis, RouteWaits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::{
    Backend, Balancer, PATIENCE, Setup, exchange, read_head, route, route_with, status, table,
};

/// Looks every second for clients that are late.
async fn balancer_with(waits: RouteWaits, backend: &Backend) -> Balancer {
    let limits = BalancerLimits { stall: Duration::from_secs(1), ..BalancerLimits::default() };
    let mut balancer = Balancer::start(Setup { threads: 1, limits, ..Setup::default() }).await;
    let routes = [route_with(route(None, "/", "web"), |forward| forward.waits = waits)];
    balancer.publish(table(1, &routes, &[("web", &[backend])])).await;
    balancer
}

#[tokio::test]
async fn upload_that_stalls_ends_with_408_and_blames_no_endpoint() {
    let backend = Backend::echo("a").await;
    let waits = RouteWaits { upload_timeout: Millis::secs(2), ..RouteWaits::default() };
    let mut balancer = balancer_with(waits, &backend).await;
    for body in ["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let answer = exchange(balancer.address, &format!("POST / HTTP/1.1\r\nHost: a\r\n{body}")).await;
        assert_eq!(status(&answer), 408, "{answer}");
        assert!(
            answer.contains("connection: close") && answer.contains("route.uploadTimeout (2s)"),
            "{answer}"
        );
        let report = balancer.until(|r| r.in_flight(&backend.id()) == 0).await;
        assert_eq!((report.endpoints[&backend.id()].errors, report.failed(&"web".into())), (0, 0), "{body}");
    }
}

#[tokio::test]
async fn upload_that_stalls_after_its_response_began_is_cut() {
    let backend = Backend::raw("a", |mut stream, _| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun").await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    })
    .await;
    let waits = RouteWaits { upload_timeout: Millis::secs(2), ..RouteWaits::default() };
    let mut balancer = balancer_with(waits, &backend).await;
    let answer =
        exchange(balancer.address, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf").await;
    assert!(status(&answer) == 200 && answer.ends_with("begun"), "{answer}");
    balancer.until(|r| r.in_flight(&backend.id()) == 0).await;
}

#[tokio::test]
async fn client_may_pause_an_upload_for_as_long_as_its_route_says() {
    let backend = Backend::echo("a").await;
    let mut balancer = balancer_with(RouteWaits::default(), &backend).await;
    let mut stream = TcpStream::connect(balancer.address).await.unwrap();
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\nConnection: close\r\n\r\nhalf";
    stream.write_all(head).await.unwrap();
    balancer.until(|r| r.in_flight(&backend.id()) == 1).await;
    // several times the interval at which the balancer looks
    tokio::time::sleep(Duration::from_secs(4)).await;
    stream.write_all(b"body").await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(status(&answer) == 200 && answer.ends_with("halfbody"), "{answer}");
}

/// More than all buffers on the way hold.
const FILM: usize = 64 << 20;

async fn cinema() -> Backend {
    Backend::raw("a", |mut stream, _| async move {
        read_head(&mut stream).await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {FILM}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..FILM >> 20 {
            if stream.write_all(&piece).await.is_err() {
                return;
            }
        }
    })
    .await
}

/// Begins to read a film, pauses, and reads the rest; returns how much came in all.
async fn watch_with_a_pause(balancer: &Balancer, pause: Duration) -> usize {
    let mut stream = TcpStream::connect(balancer.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    read_head(&mut stream).await.unwrap();
    tokio::time::sleep(pause).await;
    let mut film = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut film)).await.unwrap();
    film.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused_film_continues_and_one_paused_beyond_its_route_is_cut() {
    let backend = cinema().await;
    let balancer = balancer_with(RouteWaits::default(), &backend).await;
    assert_eq!(watch_with_a_pause(&balancer, Duration::from_secs(4)).await, FILM);
    let waits = RouteWaits { idle_timeout: Millis::secs(1), ..RouteWaits::default() };
    let mut balancer = balancer_with(waits, &backend).await;
    let cut = async {
        let mut stream = TcpStream::connect(balancer.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        balancer.until(|r| r.in_flight(&backend.id()) == 1).await;
        balancer.until(|r| r.in_flight(&backend.id()) == 0).await;
        let mut film = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut film)).await.unwrap();
        film.len()
    };
    assert!(cut.await < FILM);
}
