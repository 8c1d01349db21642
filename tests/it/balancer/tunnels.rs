//! Connections that switch from HTTP to another protocol: WebSockets above all.

use std::time::Duration;

use coxswain::balancer::BalancerLimits;
use coxswain::model::Millis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::{
    Backend, Balancer, PATIENCE, Setup, exchange, read_head, route, route_with, simple, status, table,
};

const SWITCHED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                          Sec-WebSocket-Accept: x\r\n\r\n";
const REQUEST: &str =
    "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
/// Going away (1001), as a server sends it.
const GOING_AWAY: [u8; 4] = [0x88, 2, 0x03, 0xe9];
/// The same, as a client sends it.
const MASKED_GOING_AWAY: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9];

/// Switches, greets with a frame in the same write, and sends each byte back.
async fn echo(name: &'static str) -> Backend {
    Backend::raw(name, |mut stream, _| async move {
        let head = read_head(&mut stream).await.unwrap().to_lowercase();
        assert!(
            head.contains("connection: upgrade\r\n") && head.contains("upgrade: websocket\r\n"),
            "{head}"
        );
        stream.write_all(&[SWITCHED, b"\x81\x02hi"].concat()).await.unwrap();
        let (mut read, mut write) = stream.split();
        // the balancer may leave at any time
        let _ = tokio::io::copy(&mut read, &mut write).await;
        let _ = write.shutdown().await;
    })
    .await
}

async fn balancer_of(backend: &Backend) -> Balancer {
    let limits = BalancerLimits { tcp_drain_idle: Duration::from_millis(100), ..BalancerLimits::default() };
    let mut balancer = Balancer::start(Setup { threads: 1, limits, ..Setup::default() }).await;
    balancer.publish(simple(1, &[backend])).await;
    balancer
}

/// A client whose connection has switched; `early` is sent with the request.
async fn switched(balancer: &Balancer, early: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(balancer.address).await.unwrap();
    client.write_all(&[REQUEST.as_bytes(), early].concat()).await.unwrap();
    let head = tokio::time::timeout(PATIENCE, read_head(&mut client)).await.unwrap().unwrap();
    let lower = head.to_lowercase();
    assert!(lower.starts_with("http/1.1 101 switching protocols\r\n"), "{head}");
    assert!(lower.contains("connection: upgrade\r\n") && lower.contains("upgrade: websocket\r\n"), "{head}");
    assert!(lower.contains("sec-websocket-accept: x\r\n") && !lower.contains("content-length"), "{head}");
    client
}

async fn read(client: &mut TcpStream, wanted: &[u8]) {
    let mut bytes = vec![0; wanted.len()];
    tokio::time::timeout(PATIENCE, client.read_exact(&mut bytes)).await.unwrap().unwrap();
    assert_eq!(bytes, wanted);
}

/// What comes until the other side ends its stream.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    rest
}

#[tokio::test]
async fn tunnel_passes_the_bytes_of_both_sides_in_order_and_both_ends() {
    let backend = echo("a").await;
    let mut balancer = balancer_of(&backend).await;
    let mut client = switched(&balancer, b"early").await;
    read(&mut client, b"\x81\x02hiearly").await;
    balancer.until(|r| r.in_flight(&backend.id()) == 1).await;
    client.write_all(b"late").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut client).await, b"late");
    let report = balancer.until(|r| r.in_flight(&backend.id()) == 0).await;
    assert_eq!((report.endpoints[&backend.id()].requests, report.endpoints[&backend.id()].errors), (1, 0));
}

#[tokio::test]
async fn websocket_of_a_removed_endpoint_ends_with_1001_between_two_frames() {
    let (seen, mut heard) = tokio::sync::mpsc::unbounded_channel();
    // half of a frame, and the other half once it is asked for
    let backend = Backend::raw("a", move |mut stream, _| {
        let seen = seen.clone();
        async move {
            read_head(&mut stream).await;
            stream.write_all(&[SWITCHED, b"\x81\x04ha"].concat()).await.unwrap();
            let mut asked = [0; 7];
            stream.read_exact(&mut asked).await.unwrap();
            stream.write_all(b"lf").await.unwrap();
            seen.send(rest(&mut stream).await).unwrap();
        }
    })
    .await;
    let mut balancer = balancer_of(&backend).await;
    let mut client = switched(&balancer, b"").await;
    read(&mut client, b"\x81\x04ha").await;
    let other = echo("other").await;
    balancer.publish(simple(2, &[&other])).await;
    // a masked frame of one byte
    client.write_all(b"\x81\x81\0\0\0\0x").await.unwrap();
    assert_eq!(rest(&mut client).await, [b"lf", &GOING_AWAY[..]].concat());
    assert_eq!(heard.recv().await.unwrap(), MASKED_GOING_AWAY);
    balancer.until(|r| r.in_flight(&backend.id()) == 0).await;
    read(&mut switched(&balancer, b"").await, b"\x81\x02hi").await;
}

#[tokio::test]
async fn request_that_the_service_does_not_switch_is_answered_like_others() {
    let backend = Backend::raw("a", |mut stream, _| async move {
        while let Some(head) = read_head(&mut stream).await {
            let body = if head.contains("upgrade: websocket") { "asked" } else { "plain" };
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let balancer = balancer_of(&backend).await;
    let close = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = exchange(balancer.address, &format!("{REQUEST}{close}")).await;
    assert_eq!((status(&answer), answer.matches("HTTP/1.1 200").count()), (200, 2), "{answer}");
    assert!(answer.contains("asked") && answer.ends_with("plain"), "{answer}");
    for ignored in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx",
    ] {
        let answer = exchange(balancer.address, &format!("{ignored}{close}")).await;
        assert!(!answer.contains("asked"), "{ignored}: {answer}");
    }
}

#[tokio::test]
async fn websocket_that_stalls_within_a_frame_ends_after_its_idle_timeout_without_a_close_frame() {
    let backend = Backend::raw("a", |mut stream, _| async move {
        read_head(&mut stream).await;
        stream.write_all(&[SWITCHED, b"\x81\x04ha"].concat()).await.unwrap();
        rest(&mut stream).await;
    })
    .await;
    let mut balancer = balancer_of(&backend).await;
    let routes = [route_with(route(None, "/", "web"), |forward| forward.waits.idle_timeout = Millis(300))];
    balancer.publish(table(2, &routes, &[("web", &[&backend])])).await;
    let mut client = switched(&balancer, b"").await;
    assert_eq!(rest(&mut client).await, b"\x81\x04ha");
    balancer.until(|r| r.in_flight(&backend.id()) == 0).await;
}
