//! More connections than one client may have, or than there are descriptors.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use coxswain::balancer::BalancerLimits;
use coxswain::model::TrustedProxies;
use http_body_util::Full;
use hyper::Response;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::harness::{Backend, Balancer, Client, PATIENCE, Setup, exchange, get, read_head, simple, status};

/// Answers once it is released.
async fn gated(name: &str) -> (Backend, Arc<Notify>) {
    let release = Arc::new(Notify::new());
    let gate = Arc::clone(&release);
    let backend = Backend::http(name, move |_| {
        let gate = Arc::clone(&gate);
        async move {
            gate.notified().await;
            Response::new(Full::from("released"))
        }
    });
    (backend.await, release)
}

/// A connection on which this was sent.
async fn sent(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn client_over_its_limit_is_answered_429_and_counted() {
    let limits = BalancerLimits { per_client: 2, ..BalancerLimits::default() };
    let mut balancer = Balancer::start(Setup { limits, ..Setup::default() }).await;
    let backend = Backend::echo("a").await;
    balancer.publish(simple(1, &[&backend])).await;
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut client = Client::connect(balancer.address).await;
        client.send("GET", "/", "").await.unwrap();
        kept.push(client);
    }
    // more than are answered only after they have asked
    let refused = (0..20).map(|_| get(balancer.address, "a", "/"));
    let mut answers = futures::future::join_all(refused).await;
    // one that is answered at once may read a reset instead
    answers.retain(|answer| !answer.is_empty());
    assert!(answers.len() >= 8, "{answers:?}");
    for answer in answers {
        assert_eq!(status(&answer), 429, "{answer}");
        assert!(answer.contains("retry-after: 1") && answer.contains("connection: close"), "{answer}");
        assert!(
            answer.ends_with(
                "this client has 2 connections or requests, which is the most that one may have\n"
            )
        );
    }
    balancer.until(|r| r.connections.over_client_limit == 20).await;
    kept.pop();
    let admitted = async { while status(&get(balancer.address, "a", "/").await) != 200 {} };
    tokio::time::timeout(PATIENCE, admitted).await.expect("another one is admitted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_make_room_for_new_ones() {
    let limits = BalancerLimits { descriptors: 256, ..BalancerLimits::default() };
    let mut balancer = Balancer::start(Setup { limits, ..Setup::default() }).await;
    let backend = Backend::echo("a").await;
    balancer.publish(simple(1, &[&backend])).await;
    let mut idle = Vec::new();
    for n in 0..400 {
        let mut stream = TcpStream::connect(balancer.address).await.unwrap();
        if n % 2 == 0 {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            let head = tokio::time::timeout(PATIENCE, read_head(&mut stream)).await.unwrap();
            assert_eq!(head.map(|head| status(&head)), Some(200), "{n}");
        }
        idle.push(stream);
    }
    let mut kept = Client::connect(balancer.address).await;
    for n in 0..200 {
        assert_eq!(status(&get(balancer.address, "a", "/").await), 200, "{n}");
        let (method, body) = if n % 2 == 0 { ("POST", "body") } else { ("GET", "") };
        assert_eq!(kept.send(method, "/", body).await.unwrap().0, 200, "{n}");
    }
    let report = balancer.until(|r| r.connections.evicted >= 200).await;
    assert_eq!(report.connections.without_descriptor, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn burst_is_served_while_connections_are_idle() {
    let limits = BalancerLimits { descriptors: 256, ..BalancerLimits::default() };
    let mut balancer = Balancer::start(Setup { limits, ..Setup::default() }).await;
    let backend = Backend::echo("a").await;
    balancer.publish(simple(1, &[&backend])).await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        let mut stream = sent(balancer.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        tokio::time::timeout(PATIENCE, read_head(&mut stream)).await.unwrap().unwrap();
        idle.push(stream);
    }
    let burst = (0..100).map(|_| get(balancer.address, "a", "/"));
    for answer in futures::future::join_all(burst).await {
        assert_eq!(status(&answer), 200, "{answer}");
    }
    let report = balancer.until(|r| r.connections.evicted > 0).await;
    assert_eq!(report.connections.without_descriptor, 0);
}

/// The last bytes of a response are in the balancer's buffer when its service has finished it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn response_that_is_being_read_slowly_is_not_cut_for_others() {
    const SIZE: usize = 8 << 20;
    let limits = BalancerLimits { descriptors: 256, ..BalancerLimits::default() };
    let mut balancer = Balancer::start(Setup { limits, ..Setup::default() }).await;
    let backend = Backend::http("a", |request| async move {
        let size = if request.uri().path() == "/large" { SIZE } else { 2 };
        Response::new(Full::from(vec![b'x'; size]))
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    let mut slow = Vec::new();
    for _ in 0..8 {
        slow.push(
            sent(balancer.address, "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await,
        );
    }
    let mut idle = Vec::new();
    for _ in 0..300 {
        let mut stream = sent(balancer.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        tokio::time::timeout(PATIENCE, read_head(&mut stream)).await.unwrap().unwrap();
        idle.push(stream);
    }
    balancer.until(|r| r.connections.evicted > 0).await;
    for mut stream in slow {
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        assert!(answer.len() > SIZE, "{} bytes", answer.len());
    }
}

#[tokio::test]
async fn request_is_answered_503_if_every_connection_is_in_use() {
    // room for as many sockets as are used in any case
    let limits = BalancerLimits { descriptors: 0, ..BalancerLimits::default() };
    let mut balancer = Balancer::start(Setup { threads: 1, limits, ..Setup::default() }).await;
    let (backend, release) = gated("a").await;
    balancer.publish(simple(1, &[&backend])).await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let mut served = Vec::new();
    // of 16 sockets one listens, and each request takes two
    for _ in 0..7 {
        served.push(sent(balancer.address, request).await);
    }
    balancer.until(|r| r.in_flight(&backend.id()) == 7).await;
    let refused = (0..30).map(|_| exchange(balancer.address, request));
    let mut answers = futures::future::join_all(refused).await;
    // one that is answered at once may read a reset instead
    answers.retain(|answer| !answer.is_empty());
    assert!(answers.len() >= 8, "{answers:?}");
    for answer in answers {
        assert_eq!(status(&answer), 503, "{answer}");
        assert!(answer.contains("retry-after: 1") && answer.ends_with("out of connections\n"), "{answer}");
    }
    // the last of them got a socket, and none to an endpoint
    balancer.until(|r| r.connections.without_descriptor > 0 && r.in_flight(&backend.id()) == 7).await;
    for _ in 0..7 {
        release.notify_one();
    }
    for mut stream in served {
        let mut answer = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.ends_with("released"), "{answer}");
    }
    balancer.until(|r| r.in_flight(&backend.id()) == 0).await;
    // the balancer sees the client's end a moment later
    let again = async {
        release.notify_one();
        while status(&get(balancer.address, "a", "/").await) != 200 {}
    };
    tokio::time::timeout(PATIENCE, again).await.expect("there is room again");
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_counted_one_by_one() {
    let limits = BalancerLimits { per_client: 2, ..BalancerLimits::default() };
    let trusted_proxies = TrustedProxies::new([IpAddr::from([127, 0, 0, 1]).into()]);
    let mut balancer = Balancer::start(Setup { limits, trusted_proxies, ..Setup::default() }).await;
    let (backend, release) = gated("a").await;
    balancer.publish(simple(1, &[&backend])).await;
    let of = |client: &str| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, {client}\r\nConnection: close\r\n\r\n"
        )
    };
    let mut served = Vec::new();
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.1", "2001:db8::1"] {
        served.push(sent(balancer.address, &of(client)).await);
    }
    balancer.until(|r| r.in_flight(&backend.id()) == 4).await;
    let answer = exchange(balancer.address, &of("192.0.2.1")).await;
    assert_eq!(status(&answer), 429, "{answer}");
    let report = balancer.until(|r| r.connections.over_client_limit == 1).await;
    assert_eq!(report.in_flight(&backend.id()), 4);
    for _ in 0..5 {
        release.notify_one();
    }
    for mut stream in served {
        let mut answer = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert_eq!(status(&answer), 200, "{answer}");
    }
    let admitted = async { while status(&exchange(balancer.address, &of("192.0.2.1")).await) != 200 {} };
    tokio::time::timeout(PATIENCE, admitted).await.expect("its requests have ended");
}

#[tokio::test]
async fn forwarding_headers_of_a_trusted_proxy_reach_the_endpoint_extended() {
    let trusted_proxies = TrustedProxies::new(["127.0.0.0/8".parse().unwrap()]);
    let mut balancer = Balancer::start(Setup { trusted_proxies, ..Setup::default() }).await;
    let backend = Backend::echo("a").await;
    balancer.publish(simple(1, &[&backend])).await;
    let request = "GET / HTTP/1.1\r\nHost: inner\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\
                   X-Forwarded-Host: shop\r\nX-Forwarded-Port: 443\r\nForwarded: for=192.0.2.1\r\nConnection: close\r\n\r\n";
    let answer = exchange(balancer.address, request).await;
    for line in [
        "x-forwarded-for: 192.0.2.1, 127.0.0.1",
        "x-forwarded-proto: https",
        "x-forwarded-host: shop",
        "x-forwarded-port: 443",
        "forwarded: for=192.0.2.1, for=127.0.0.1",
        "host: inner",
    ] {
        assert!(answer.contains(&format!("\n{line}\n")), "{line}: {answer}");
    }
}
