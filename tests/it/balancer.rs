//! The balancer over real sockets.
#![allow(clippy::unwrap_used)]

mod connections;
mod draining;
pub(crate) mod harness;
mod hold;
mod http2;
mod http2_endpoints;
mod listeners;
mod messages;
mod pauses;
mod raw_bytes;
mod routing;
mod tcp;
mod tls;
mod tunnels;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use coxswain::balancer::{BalancerError, BalancerLimits, DrainReason};
use coxswain::model::{Millis, RevisionNumber, RevisionStats, ServiceStats, TableRoute};
use coxswain::plane::{ToBalancer, ToController};
use harness::{
    Backend, Balancer, Client, PATIENCE, Setup, exchange, get, read_head, route, route_with, simple, status,
    table,
};
use http_body_util::Full;
use hyper::Response;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener};
use tokio::sync::Notify;

async fn started() -> Balancer {
    Balancer::start(Setup::default()).await
}

#[tokio::test]
async fn requests_are_routed_by_host_and_path() {
    let mut balancer = started().await;
    let [shop, api, any] =
        [Backend::echo("shop").await, Backend::echo("api").await, Backend::echo("any").await];
    let routes = [
        route(Some("shop.localhost"), "/", "shop"),
        route_with(route(Some("shop.localhost"), "/api", "api"), |forward| forward.strip_prefix = true),
        route(None, "/any", "any"),
        route(None, "/empty", "empty"),
    ];
    let pools: [(&str, &[&Backend]); 4] =
        [("shop", &[&shop]), ("api", &[&api]), ("any", &[&any]), ("empty", &[])];
    balancer.publish(table(1, &routes, &pools)).await;
    for (host, path, code, wanted) in [
        ("shop.localhost", "/x?q=1", 200, "shop GET /x?q=1\n"),
        ("SHOP.localhost:8080", "/", 200, "shop GET /\n"),
        ("shop.localhost", "/api/users?a=/api", 200, "api GET /users?a=/api\n"),
        ("shop.localhost", "/x/%2e%2e/api", 200, "api GET /\n"),
        ("shop.localhost", "//apis", 200, "shop GET //apis\n"),
        ("shop.localhost", "/api/a%2fb;c//d", 200, "api GET /a%2Fb;c//d\n"),
        ("other", "/any/%7Ex", 200, "any GET /any/~x\n"),
        ("other", "/", 404, "no service has a route"),
        ("other", "/empty", 503, "Retry-After: 1"),
        ("other", "/any%2fx", 404, "no service has a route"),
        ("other", "/any/..%2fx", 400, "encoded slash"),
        ("a b", "/", 400, "host"),
    ] {
        let answer = get(balancer.address, host, path).await;
        assert_eq!(status(&answer), code, "{host}{path}: {answer}");
        let found = answer.to_lowercase().contains(&wanted.to_lowercase());
        assert!(found, "{host}{path}: {answer}");
    }
}

#[tokio::test]
async fn balancer_without_a_table_answers_503_with_retry_after() {
    let balancer = started().await;
    let answer = get(balancer.address, "any", "/").await;
    assert_eq!(status(&answer), 503, "{answer}");
    assert!(answer.contains("retry-after: 1"), "{answer}");
}

#[tokio::test]
async fn own_response_to_a_request_with_a_body_announces_the_end_of_the_connection() {
    let balancer = started().await;
    let head = "POST / HTTP/1.1\r\nHost: any\r\nContent-Length: 5\r\n\r\n";
    let answer = exchange(balancer.address, head).await;
    assert_eq!(status(&answer), 503, "{answer}");
    assert!(answer.contains("connection: close"), "the body may come later: {answer}");
}

#[tokio::test]
async fn connections_are_kept_alive_on_both_sides() {
    let mut balancer = Balancer::start(Setup::still()).await;
    let backend = Backend::echo("a").await;
    balancer.publish(simple(1, &[&backend])).await;
    let mut client = Client::connect(balancer.address).await;
    for n in 0..50 {
        let (method, body) = if n % 2 == 0 { ("GET", "") } else { ("POST", "hello") };
        let (status, text) = client.send(method, &format!("/{n}"), body).await.unwrap();
        assert_eq!(status, 200);
        assert!(text.starts_with(&format!("a {method} /{n}\n")) && text.ends_with(body), "{text}");
    }
    assert_eq!(backend.accepted.load(Ordering::SeqCst), 1);
    let report = balancer.until(|r| r.endpoints[&backend.id()].requests == 50).await;
    assert_eq!((report.endpoints[&backend.id()].in_flight, report.endpoints[&backend.id()].errors), (0, 0));
}

#[tokio::test]
async fn endpoint_gets_forwarded_headers_and_no_hop_by_hop_headers() {
    let mut balancer = started().await;
    let backend = Backend::echo("a").await;
    balancer.publish(simple(1, &[&backend])).await;
    let request = "GET http://Real:80/x HTTP/1.1\r\nHost: fake\r\nX-Forwarded-For: 6.6.6.6\r\nX-Secret: 1\r\n\
                   Connection: close, x-secret, upgrade\r\nUpgrade: websocket\r\nTE: trailers\r\n\
                   Forwarded: for=6.6.6.6\r\nKeep-Alive: 5\r\nAccept: b\r\n\r\n";
    let answer = exchange(balancer.address, request).await;
    let seen = answer.split_once("\r\n\r\n").unwrap().1;
    let mut lines: Vec<&str> = seen.trim().lines().collect();
    lines[1..].sort_unstable();
    let wanted = [
        "a GET /x",
        "accept: b",
        "connection: te",
        "host: Real:80",
        "te: trailers",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: Real:80",
        "x-forwarded-proto: http",
    ];
    assert_eq!(lines, wanted);
}

#[tokio::test]
async fn bodies_are_streamed_in_both_directions() {
    let mut balancer = started().await;
    // answers the head at once, then each piece of the request's body as it comes
    let backend = Backend::raw("a", |mut stream, _| async move {
        read_head(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        let mut buffer = [0; 1024];
        while let Ok(n) = stream.read(&mut buffer).await
            && n > 0
        {
            stream.write_all(format!("{n:x}\r\n").as_bytes()).await.unwrap();
            stream.write_all(&buffer[..n]).await.unwrap();
            stream.write_all(b"\r\n").await.unwrap();
        }
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    let mut stream = TcpStream::connect(balancer.address).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    let mut seen = String::new();
    for piece in ["one", "two", "three"] {
        stream.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await.unwrap();
        while !seen.contains(piece) {
            let mut buffer = [0; 1024];
            let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await;
            let n = read.expect("the piece came back before the next was sent").unwrap();
            assert!(n > 0, "{seen}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
    }
    balancer.until(|r| r.in_flight(&backend.id()) == 1).await;
    drop(stream);
    balancer.until(|r| r.in_flight(&backend.id()) == 0).await;
}

#[tokio::test]
async fn large_bodies_are_forwarded_whole() {
    let mut balancer = started().await;
    let backend = Backend::echo("a").await;
    balancer.publish(simple(1, &[&backend])).await;
    let body = "0123456789".repeat(300_000);
    let mut client = Client::connect(balancer.address).await;
    for _ in 0..2 {
        let (status, text) = client.send("POST", "/", &body).await.unwrap();
        assert!(status == 200 && text.ends_with(&body));
    }
}

#[tokio::test]
async fn client_that_expects_100_continue_gets_it() {
    let mut balancer = started().await;
    let backend = Backend::echo("a").await;
    balancer.publish(simple(1, &[&backend])).await;
    let mut stream = TcpStream::connect(balancer.address).await.unwrap();
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let interim = tokio::time::timeout(PATIENCE, read_head(&mut stream)).await.unwrap().unwrap();
    assert!(interim.starts_with("HTTP/1.1 100"), "{interim}");
    stream.write_all(b"body").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(status(&answer) == 200 && answer.ends_with("\n\nbody"), "{answer}");
}

#[tokio::test]
async fn endpoint_that_refuses_connections_is_ejected() {
    let mut balancer = started().await;
    let good = Backend::echo("good").await;
    let [dead, dead_too] = [Backend::absent("dead").await, Backend::absent("dead-too").await];
    balancer.publish(simple(1, &[&dead, &good, &dead_too])).await;
    let mut client = Client::connect(balancer.address).await;
    for n in 0..100 {
        let (status, text) = client.send("POST", "/", "x").await.unwrap();
        assert!(status == 200 && text.starts_with("good POST /\n"), "{n}: {status} {text}");
    }
    balancer.publish(simple(2, &[&dead, &dead_too])).await;
    let (status, text) = client.send("GET", "/", "").await.unwrap();
    assert_eq!((status, text.as_str()), (502, "no instance of this service could be reached\n"));
}

#[tokio::test]
async fn connects_for_one_request_are_bounded_however_often_it_is_sent() {
    let mut balancer = Balancer::start(Setup::still()).await;
    let mut backends = Vec::new();
    for n in 0..12 {
        backends.push(Backend::absent(&format!("absent-{n}")).await);
    }
    for n in 0..6 {
        backends.push(proxy_without_a_container(&format!("proxy-{n}"), true, Duration::ZERO).await);
    }
    let all: Vec<&Backend> = backends.iter().collect();
    balancer.publish(simple(1, &all)).await;
    assert_eq!(status(&get(balancer.address, "a", "/").await), 502);
    let report = balancer.until(|r| all.iter().all(|backend| r.in_flight(&backend.id()) == 0)).await;
    let connects: u64 = report.endpoints.values().map(|endpoint| endpoint.requests).sum();
    assert!(connects <= 4, "{connects} connects");
}

#[tokio::test]
async fn balancer_ends_with_an_error_if_one_of_its_threads_cannot_serve() {
    // epoll accepts no regular file, so the thread fails when it registers its socket
    let file = tempfile::tempfile().unwrap();
    let extra_socket = Some(std::net::TcpListener::from(std::os::fd::OwnedFd::from(file)));
    let mut balancer = Balancer::start(Setup { extra_socket, ..Setup::default() }).await;
    balancer.tables.send_replace(Some(Arc::new(simple(1, &[]))));
    let ended = balancer.ended().await;
    assert!(matches!(ended, Err(BalancerError::ThreadFailed(_))), "{ended:?}");
}

#[tokio::test]
async fn endpoint_that_times_out_is_a_504_and_keeps_the_client_connection() {
    let mut balancer = started().await;
    let backend = Backend::http("a", |_| std::future::pending::<Response<Full<bytes::Bytes>>>()).await;
    let routes = [route_with(route(None, "/", "web"), |forward| forward.timeout = Millis(50))];
    balancer.publish(table(1, &routes, &[("web", &[&backend])])).await;
    let mut client = Client::connect(balancer.address).await;
    for (method, body) in [("GET", ""), ("POST", "body")] {
        let (status, text) = client.send(method, "/", body).await.unwrap();
        assert_eq!(
            (status, text.as_str()),
            (504, "the instance did not answer within route.timeout (50ms)\n"),
            "{method}"
        );
    }
    let report = balancer.until(|r| r.endpoints[&backend.id()].requests == 2).await;
    assert_eq!(report.endpoints[&backend.id()].errors, 2);
}

/// Answers the first request of each connection; what comes after, ends the connection after the request was read.
async fn one_answer_a_connection(name: &str, requests: Arc<AtomicUsize>) -> Backend {
    Backend::raw(name, move |mut stream, _| {
        let requests = Arc::clone(&requests);
        async move {
            let mut answered = false;
            while let Some(head) = read_head(&mut stream).await {
                let length = if head.contains("content-length: 4") { 4 } else { 0 };
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await.unwrap();
                requests.fetch_add(1, Ordering::SeqCst);
                if answered {
                    return;
                }
                answered = true;
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            }
        }
    })
    .await
}

#[tokio::test]
async fn get_is_repeated_and_post_is_not_if_a_reused_connection_closes() {
    let mut balancer = Balancer::start(Setup::still()).await;
    let requests = Arc::new(AtomicUsize::new(0));
    let backend = one_answer_a_connection("a", Arc::clone(&requests)).await;
    balancer.publish(simple(1, &[&backend])).await;
    let mut client = Client::connect(balancer.address).await;
    for _ in 0..5 {
        assert_eq!(client.send("GET", "/", "").await.unwrap(), (200, "ok".to_owned()));
    }
    assert_eq!(requests.load(Ordering::SeqCst), 9, "each but the first was sent twice");
    // the pool's connection has answered once: a POST goes out on it, and may have been acted on
    let (status, _) = client.send("POST", "/", "body").await.unwrap();
    assert_eq!((status, requests.load(Ordering::SeqCst)), (502, 10));
}

#[tokio::test]
async fn endpoint_that_closes_a_new_connection_is_a_502() {
    let mut balancer = started().await;
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    let backend = Backend::raw("a", move |mut stream, _| {
        let counter = Arc::clone(&counter);
        async move {
            read_head(&mut stream).await;
            counter.fetch_add(1, Ordering::SeqCst);
        }
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    assert_eq!(status(&get(balancer.address, "a", "/").await), 502);
    assert_eq!(seen.load(Ordering::SeqCst), 1, "it may have been acted on");
}

/// Docker's proxy accepts for a container that has ended, until Docker has cleared up behind it.
#[tokio::test]
async fn get_is_repeated_and_post_is_not_if_dockers_proxy_hangs_up() {
    let mut balancer = Balancer::start(Setup::still()).await;
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    let dead = Backend::published("dead", move |mut stream, _| {
        let counter = Arc::clone(&counter);
        async move {
            read_head(&mut stream).await;
            counter.fetch_add(1, Ordering::SeqCst);
        }
    })
    .await;
    let well = Backend::echo("well").await;
    balancer.publish(simple(1, &[&dead, &well])).await;
    for _ in 0..20 {
        assert_eq!(status(&get(balancer.address, "a", "/").await), 200);
    }
    assert_eq!(seen.swap(0, Ordering::SeqCst), 1, "it is passed over for a while");

    balancer.publish(simple(2, &[&dead])).await;
    let mut client = Client::connect(balancer.address).await;
    assert_eq!(client.send("GET", "/", "").await.unwrap().0, 502);
    assert_eq!(seen.swap(0, Ordering::SeqCst), 2, "with nowhere else to go it is asked once more");
    let mut client = Client::connect(balancer.address).await;
    assert_eq!(client.send("POST", "/", "body").await.unwrap().0, 502);
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

/// Something like Docker's proxy in front of a container without a listener: it hangs up after this long, having read
/// the request or not.
async fn proxy_without_a_container(name: &str, reads: bool, after: Duration) -> Backend {
    Backend::published(name, move |mut stream, _| async move {
        if reads {
            read_head(&mut stream).await;
        }
        tokio::time::sleep(after).await;
    })
    .await
}

#[tokio::test]
async fn endpoint_behind_a_proxy_that_hung_up_on_a_post_is_ejected() {
    let mut balancer = Balancer::start(Setup::still()).await;
    let dead = proxy_without_a_container("dead", true, Duration::ZERO).await;
    let well = Backend::echo("well").await;
    balancer.publish(simple(1, &[&dead, &well])).await;
    let mut failed = 0;
    for _ in 0..20 {
        let mut client = Client::connect(balancer.address).await;
        failed += usize::from(client.send("POST", "/", "body").await.unwrap().0 == 502);
    }
    assert!(failed <= 1, "it answers fastest, and would draw them all: {failed} failed");
}

#[tokio::test]
async fn endpoint_behind_a_proxy_that_hangs_up_unread_is_ejected() {
    let mut balancer = Balancer::start(Setup::still()).await;
    let one = proxy_without_a_container("one", false, Duration::ZERO).await;
    let two = proxy_without_a_container("two", false, Duration::ZERO).await;
    let well = Backend::echo("well").await;
    balancer.publish(simple(1, &[&one, &two, &well])).await;
    let mut failed = 0;
    for _ in 0..20 {
        failed += usize::from(status(&get(balancer.address, "a", "/").await) != 200);
    }
    assert!(failed <= 1, "two of three are gone: {failed} failed");
}

/// A request that ends its server must not be sent to all of them.
#[tokio::test]
async fn get_that_crashes_its_server_is_sent_at_most_twice() {
    let mut balancer = Balancer::start(Setup::still()).await;
    let ended = Arc::new(AtomicUsize::new(0));
    let fragile = async |name: &str| {
        let counter = Arc::clone(&ended);
        Backend::published(name, move |mut stream, _| {
            let counter = Arc::clone(&counter);
            async move {
                while let Some(head) = read_head(&mut stream).await {
                    if head.starts_with("GET /end ") {
                        counter.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
                }
            }
        })
        .await
    };
    let (one, two, three) = (fragile("one").await, fragile("two").await, fragile("three").await);
    balancer.publish(simple(1, &[&one, &two, &three])).await;
    for _ in 0..9 {
        assert_eq!(status(&get(balancer.address, "a", "/").await), 200);
    }
    assert_eq!(status(&get(balancer.address, "a", "/end").await), 502);
    assert_eq!(ended.load(Ordering::SeqCst), 2, "over a kept connection, and once again");
}

#[tokio::test]
async fn request_that_a_proxy_held_for_long_is_not_sent_again() {
    let mut balancer = Balancer::start(Setup { threads: 1, ..Setup::default() }).await;
    let late = proxy_without_a_container("late", true, Duration::from_millis(700)).await;
    balancer.publish(simple(1, &[&late])).await;
    assert_eq!(status(&get(balancer.address, "a", "/").await), 502);
    assert_eq!(late.accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn departed_endpoint_finishes_its_requests() {
    let mut balancer = started().await;
    let release = Arc::new(Notify::new());
    let gate = Arc::clone(&release);
    let old = Backend::http("old", move |_| {
        let gate = Arc::clone(&gate);
        async move {
            gate.notified().await;
            Response::new("slow".into())
        }
    })
    .await;
    let new = Backend::echo("new").await;
    balancer.publish(simple(1, &[&old])).await;
    let address = balancer.address;
    let slow = tokio::spawn(async move { Client::connect(address).await.send("POST", "/", "x").await });
    balancer.until(|r| r.in_flight(&old.id()) == 1).await;

    balancer.publish(simple(2, &[&new])).await;
    let report = balancer.until(|_| true).await;
    assert_eq!(report.in_flight(&old.id()), 1, "the acknowledgement counts what is in flight");
    assert!(get(address, "a", "/").await.contains("new GET /"));
    release.notify_one();
    balancer.until(|r| r.in_flight(&old.id()) == 0).await;
    assert_eq!(slow.await.unwrap().unwrap(), (200, "slow".to_owned()));
    let report = balancer.until(|r| r.endpoints[&old.id()].requests == 1).await;
    assert_eq!(report.endpoints[&old.id()].drained, 1, "it ended after the table without it");
}

/// The drain waits for this report. One that comes with a tick comes after the heartbeat of that tick; so a report without a
/// heartbeat since the request ended was sent because it ended. A busy machine may need several rounds to show one.
#[tokio::test]
async fn last_request_of_a_departed_endpoint_is_reported_before_the_next_tick() {
    let mut balancer = started().await;
    let release = Arc::new(Notify::new());
    let gate = Arc::clone(&release);
    let old = Backend::http("old", move |_| {
        let gate = Arc::clone(&gate);
        async move {
            gate.notified().await;
            Response::new("slow".into())
        }
    })
    .await;
    let new = Backend::echo("new").await;
    let rounds = async {
        for round in 0.. {
            balancer.publish(simple(2 * round + 1, &[&old])).await;
            let address = balancer.address;
            let slow = tokio::spawn(async move { get(address, "a", "/").await });
            balancer.until(|r| r.in_flight(&old.id()) == 1).await;
            balancer.publish(simple(2 * round + 2, &[&new])).await;
            let beats = balancer.heartbeats.load(Ordering::SeqCst);
            release.notify_one();
            balancer.until(|r| r.in_flight(&old.id()) == 0).await;
            let later = balancer.heartbeats.load(Ordering::SeqCst);
            assert_eq!(status(&slow.await.unwrap()), 200);
            if later == beats {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, rounds).await.expect("a report comes between two ticks");
}

#[tokio::test]
async fn idle_connections_to_a_departed_endpoint_are_closed() {
    let mut balancer = started().await;
    let closed = Arc::new(Notify::new());
    let signal = Arc::clone(&closed);
    let old = Backend::raw("old", move |mut stream, _| {
        let signal = Arc::clone(&signal);
        async move {
            while read_head(&mut stream).await.is_some() {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            }
            signal.notify_one();
        }
    })
    .await;
    balancer.publish(simple(1, &[&old])).await;
    assert_eq!(status(&get(balancer.address, "a", "/").await), 200);
    balancer.publish(simple(2, &[])).await;
    tokio::time::timeout(PATIENCE, closed.notified()).await.expect("the connection was closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaced_endpoints_fail_no_request() {
    const CLIENTS: usize = 8;
    const REQUESTS_PER_STEP: u64 = 25;
    let mut balancer = started().await;
    let mut backend = Backend::echo("b0").await;
    balancer.publish(simple(1, &[&backend])).await;
    let done = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicU64::new(0));
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let address = balancer.address;
        let done = Arc::clone(&done);
        let sent = Arc::clone(&sent);
        clients.push(tokio::spawn(async move {
            let mut client = Client::connect(address).await;
            while !done.load(Ordering::Relaxed) {
                let is_post = sent.fetch_add(1, Ordering::Relaxed).is_multiple_of(3);
                let (method, body) = if is_post { ("POST", "body") } else { ("GET", "") };
                let (status, text) = client.send(method, "/", body).await.unwrap();
                assert_eq!(status, 200, "{text}");
            }
        }));
    }
    for step in 0..40u64 {
        let next = Backend::echo(&format!("b{}", step + 1)).await;
        balancer.publish(simple(2 * step + 2, &[&backend, &next])).await;
        balancer.publish(simple(2 * step + 3, &[&next])).await;
        // drained: only now may it stop, as a container would
        balancer.until(|r| r.in_flight(&backend.id()) == 0).await;
        backend = next;
        let enough = async {
            while sent.load(Ordering::Relaxed) < step * REQUESTS_PER_STEP {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, enough).await.expect("requests are sent during the step");
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn table_file_is_served_without_a_controller() {
    let directory = tempfile::tempdir().unwrap();
    let at = || Some(directory.path().to_owned());
    let backend = Backend::echo("a").await;
    let mut first = Balancer::start(Setup { directory: at(), ..Setup::default() }).await;
    first.publish(simple(7, &[&backend])).await;
    first.stop().await;

    let alone = || Setup { directory: at(), controller: false, ..Setup::default() };
    let second = Balancer::start(alone()).await;
    assert_eq!(status(&get(second.address, "a", "/").await), 200);
    second.stop().await;

    let rebooted = Balancer::start(Setup { boot: "boot-2", ..alone() }).await;
    assert_eq!(status(&get(rebooted.address, "a", "/").await), 503, "its containers are gone");
    rebooted.stop().await;

    let mut rebooted = Balancer::start(Setup { boot: "boot-2", directory: at(), ..Setup::default() }).await;
    let report = rebooted.until(|_| true).await;
    assert_eq!(report.applied, None, "an emptied table is not the one that was named so");
    rebooted.publish(simple(7, &[&backend])).await;
    assert_eq!(status(&get(rebooted.address, "a", "/").await), 200);
    rebooted.stop().await;

    let file = directory.path().join("table");
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.iter().rposition(|byte| *byte == b'}').unwrap();
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let damaged = Balancer::start(Setup { boot: "boot-2", ..alone() }).await;
    let answer = get(damaged.address, "a", "/").await;
    assert!(answer.contains("no routes yet"), "{answer}");
}

#[tokio::test]
async fn starting_balancer_does_not_wait_for_a_table_file_that_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("table");
    // opening a pipe waits for its writer; its second name stays when the file is replaced
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let pipe = directory.path().join("pipe");
    std::fs::hard_link(&file, &pipe).unwrap();
    let setup = Setup { directory: Some(directory.path().to_owned()), ..Setup::default() };
    let mut balancer = Balancer::start(setup).await;
    balancer.until(|_| true).await;
    let beats = Arc::clone(&balancer.heartbeats);
    let beaten = async {
        while beats.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, beaten).await.expect("a heartbeat");
    let backend = Backend::echo("a").await;
    balancer.publish(simple(1, &[&backend])).await;
    assert_eq!(status(&get(balancer.address, "a", "/").await), 200);
    // lets the reading thread end
    let writer = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    drop(writer);
    balancer.stop().await;
}

#[tokio::test]
async fn invalid_table_is_rejected_with_a_reason_and_the_last_one_stays() {
    let mut balancer = started().await;
    let backend = Backend::echo("a").await;
    balancer.publish(simple(1, &[&backend])).await;
    let mut bad = simple(2, &[]);
    bad.routes.push(bad.routes[0].clone());
    balancer.tables.send_replace(Some(Arc::new(bad.clone())));
    let report = balancer.until(|r| r.refused.is_some()).await;
    let refused = report.refused.unwrap();
    assert_eq!((refused.table, refused.reason.as_str()), (bad.name, "two routes for `*/`"));
    assert_eq!(report.applied.unwrap().revision, 1);
    assert_eq!(status(&get(balancer.address, "a", "/").await), 200);
    balancer.publish(simple(3, &[&backend])).await;
    balancer.until(|r| r.refused.is_none()).await;
}

#[tokio::test]
async fn starting_balancer_serves_from_its_file_if_the_first_table_is_rejected() {
    let directory = tempfile::tempdir().unwrap();
    let at = || Some(directory.path().to_owned());
    let backend = Backend::echo("a").await;
    let mut first = Balancer::start(Setup { directory: at(), ..Setup::default() }).await;
    first.publish(simple(1, &[&backend])).await;
    first.stop().await;

    let mut bad = simple(2, &[]);
    bad.routes.push(bad.routes[0].clone());
    let setup = Setup { directory: at(), first_table: Some(bad.clone()), ..Setup::default() };
    let mut second = Balancer::start(setup).await;
    let report = second.until(|r| r.refused.is_some() && r.applied.is_some()).await;
    assert_eq!((report.refused.unwrap().table, report.applied), (bad.name, Some(simple(1, &[]).name)));
    assert_eq!(status(&get(second.address, "a", "/").await), 200);
    second.publish(simple(3, &[&backend])).await;
    second.until(|r| r.refused.is_none()).await;
}

#[tokio::test]
async fn table_that_cannot_be_decoded_is_reported_as_rejected() {
    let balancer = Balancer::start(Setup { controller: false, ..Setup::default() }).await;
    let listener = UnixListener::bind(&balancer.plane).unwrap();
    let (mut controller, _) = tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let sent = simple(1, &[]);
    let mut message = serde_json::to_value(ToBalancer::Table { table: sent.clone() }).unwrap();
    message["table"]["table"]["routes"][0]["action"] = serde_json::json!({ "answer": 204 });
    let frame = message.to_string();
    controller.write_u32(u32::try_from(frame.len()).unwrap()).await.unwrap();
    controller.write_all(frame.as_bytes()).await.unwrap();
    let refused = loop {
        let length = tokio::time::timeout(PATIENCE, controller.read_u32()).await.unwrap().unwrap();
        let mut frame = vec![0; length as usize];
        controller.read_exact(&mut frame).await.unwrap();
        if let ToController::Report { report } = serde_json::from_slice(&frame).unwrap()
            && let Some(refused) = report.refused
        {
            break refused;
        }
    };
    assert_eq!(refused.table, sent.name);
    assert!(refused.reason.contains("answer"), "{}", refused.reason);
}

#[tokio::test]
async fn table_without_a_file_is_served_and_not_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let mut balancer = Balancer::start(Setup { directory: Some(missing.clone()), ..Setup::default() }).await;
    let backend = Backend::echo("a").await;
    balancer.tables.send_replace(Some(Arc::new(simple(1, &[&backend]))));
    let report = balancer.until(|r| r.refused.is_some()).await;
    assert_eq!(report.applied, None);
    assert_eq!(status(&get(balancer.address, "a", "/").await), 200);
    std::fs::create_dir(&missing).unwrap();
    balancer.until(|r| r.applied.is_some() && r.refused.is_none()).await;
}

#[tokio::test]
async fn older_table_of_an_epoch_is_ignored_and_a_new_epoch_is_taken() {
    let mut balancer = started().await;
    let [a, b] = [Backend::echo("a").await, Backend::echo("b").await];
    balancer.publish(simple(5, &[&a])).await;
    balancer.tables.send_replace(Some(Arc::new(simple(4, &[&b]))));
    balancer.publish(simple(6, &[&a])).await;
    assert!(get(balancer.address, "a", "/").await.contains("a GET /"));
    let mut restarted = simple(1, &[&b]);
    restarted.name.epoch = coxswain::model::Epoch(2);
    balancer.publish(restarted).await;
    assert!(get(balancer.address, "a", "/").await.contains("b GET /"));
}

#[tokio::test]
async fn request_limits_are_enforced() {
    let mut balancer = started().await;
    // has no limits of its own
    let backend = Backend::raw("a", |mut stream, _| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    let headers = |count: usize| "X: y\r\n".repeat(count);
    let request =
        |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{more}\r\n");
    let uri = |length: usize| format!("/{}", "x".repeat(length - 1));
    for (what, text, wanted) in [
        ("1,000 headers", request("/", &headers(998)), 200),
        ("1,001 headers", request("/", &headers(999)), 431),
        ("a target of 8 KiB", request(&uri(8192), ""), 200),
        ("a longer target", request(&uri(8193), ""), 414),
        ("headers of 60 KiB", request("/", &format!("X: {}\r\n", "y".repeat(60 << 10))), 200),
        ("headers of 65 KiB", request("/", &format!("X: {}\r\n", "y".repeat(65 << 10))), 431),
    ] {
        let answer = exchange(balancer.address, &text).await;
        assert_eq!(status(&answer), wanted, "{what}: {}", &answer[..answer.len().min(200)]);
    }
}

#[tokio::test]
async fn ambiguous_request_is_not_forwarded() {
    let mut balancer = started().await;
    let heads = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&heads);
    let backend = Backend::http("a", move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        async { Response::new("ok".into()) }
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for (what, head, code, passed) in [
        ("two lengths", "Content-Length: 0\r\nContent-Length: 5\r\n", 400, 0),
        ("a list of lengths", "Content-Length: 0, 5\r\n", 400, 0),
        ("a signed length", "Content-Length: +5\r\n", 400, 0),
        ("a length that may be octal", "Content-Length: 010\r\n", 400, 0),
        ("another coding", "Transfer-Encoding: identity\r\n", 501, 0),
        ("chunked not last", "Transfer-Encoding: chunked, gzip\r\n", 501, 0),
        ("a coding that would be lost", "Transfer-Encoding: gzip, chunked\r\n", 501, 0),
        ("a space before the colon", "Content-Length : 5\r\n", 400, 0),
        ("a folded header", "X: a\r\n b\r\n", 400, 0),
        ("an empty name", ": x\r\n", 400, 0),
        ("two hosts", "Host: b\r\n", 400, 0),
        // a lone line feed ends a line, as it may; the request is written again with both
        ("a lone line feed", "Connection: close\nX: y\r\n", 200, 1),
        ("length and chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400, 0),
    ] {
        heads.store(0, Ordering::SeqCst);
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n0\r\n\r\n{smuggled}");
        let answer = exchange(balancer.address, &request).await;
        assert_eq!(status(&answer), code, "{what}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{what}: {answer}");
        assert_eq!(heads.load(Ordering::SeqCst), passed, "{what}");
    }
}

#[tokio::test]
async fn slow_clients_are_disconnected() {
    // Long enough that a busy machine does not make a slow client of the one that sends a whole request.
    let limit = Duration::from_secs(8);
    let limits = BalancerLimits { header: limit, idle: limit, ..BalancerLimits::default() };
    let mut balancer = Balancer::start(Setup { limits, ..Setup::default() }).await;
    let backend = Backend::echo("a").await;
    let routes = [route_with(route(None, "/", "web"), |forward| forward.waits.upload_timeout = limit.into())];
    balancer.publish(table(1, &routes, &[("web", &[&backend])])).await;
    let cases = [
        ("nothing", "", 0),
        ("half a head", "GET / HTTP/1.1\r\nHost: a\r\n", 0),
        ("half a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf", 408),
        ("no second request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
    ];
    let address = balancer.address;
    let exchanges = cases.map(|(what, sent, code)| async move {
        let answer = exchange(address, sent).await;
        assert_eq!(
            (status(&answer), answer.matches("HTTP/1.1").count()),
            (code, usize::from(code > 0)),
            "{what}: {answer}"
        );
    });
    futures::future::join_all(exchanges).await;
    balancer.until(|r| r.in_flight(&backend.id()) == 0).await;
}

#[tokio::test]
async fn request_of_a_client_that_disconnects_is_cancelled() {
    let mut balancer = started().await;
    let backend = Backend::http("a", |_| std::future::pending::<Response<Full<bytes::Bytes>>>()).await;
    balancer.publish(simple(1, &[&backend])).await;
    let mut stream = TcpStream::connect(balancer.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    balancer.until(|r| r.in_flight(&backend.id()) == 1).await;
    drop(stream);
    let report = balancer.until(|r| r.in_flight(&backend.id()) == 0).await;
    assert_eq!(report.endpoints[&backend.id()].errors, 0, "the endpoint is not to blame");
}

#[tokio::test]
async fn stopping_balancer_finishes_requests_and_closes_idle_connections() {
    let mut balancer = started().await;
    let release = Arc::new(Notify::new());
    let gate = Arc::clone(&release);
    let backend = Backend::http("a", move |request| {
        let gate = Arc::clone(&gate);
        async move {
            if request.uri().path() == "/slow" {
                gate.notified().await;
            }
            Response::new("done".into())
        }
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    let mut idle = Client::connect(balancer.address).await;
    idle.send("GET", "/", "").await.unwrap();
    let mut slow = TcpStream::connect(balancer.address).await.unwrap();
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    balancer.until(|r| r.in_flight(&backend.id()) == 1).await;

    balancer.drain(DrainReason::Stopped);
    // the threads hear of it in their turn, and a request that comes before is answered
    let closed = async { while idle.send("GET", "/", "").await.is_ok() && !idle.is_closed() {} };
    tokio::time::timeout(PATIENCE, closed).await.expect("the idle connection is closed");
    release.notify_one();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("connection: close") && answer.ends_with("done"), "{answer}");
    balancer.stop().await;
}

#[tokio::test]
async fn heartbeat_continues_while_every_thread_is_alive() {
    let balancer = started().await;
    let beats = Arc::clone(&balancer.heartbeats);
    let two = async {
        while beats.load(Ordering::Relaxed) < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, two).await.expect("two beats");
}

/// What an endpoint failed and another one answered is no failed request.
#[tokio::test]
async fn failed_requests_are_counted_by_service_and_revision_without_a_subscriber() {
    let mut balancer = Balancer::start(Setup { threads: 1, ..Setup::default() }).await;
    balancer.watchers.send_replace(0);
    let good = Backend::echo("good").await;
    let ill = Backend::http("ill", |_| async {
        let mut answer = Response::new(Full::default());
        *answer.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
        answer
    })
    .await;
    let requests = Arc::new(AtomicUsize::new(0));
    let closing = one_answer_a_connection("closing", requests).await;
    let short = Backend::raw("short", |mut stream, _| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await;
    })
    .await;
    let [dead, dead_too] = [Backend::absent("dead").await, Backend::absent("dead-too").await];
    let pools: [(&str, &[&Backend]); 6] = [
        ("closing", &[&closing]),
        ("empty", &[]),
        ("half-dead", &[&dead, &good]),
        ("ill", &[&ill]),
        ("short", &[&short]),
        ("dead", &[&dead_too]),
    ];
    let routes: Vec<TableRoute> =
        pools.iter().map(|(name, _)| route(None, &format!("/{name}"), name)).collect();
    balancer.publish(table(1, &routes, &pools)).await;
    for (path, code) in [("/ill", 500), ("/empty", 503), ("/dead", 502), ("/short", 200), ("/none", 404)] {
        assert_eq!(status(&get(balancer.address, "a", path).await), code, "{path}");
    }
    let mut client = Client::connect(balancer.address).await;
    for path in ["/closing", "/half-dead"].repeat(4) {
        assert_eq!(client.send("GET", path, "").await.unwrap().0, 200, "{path}");
    }
    // the service without endpoints has no revision that the request could have been for
    let of_revision = |service: &str| match service {
        "dead" | "ill" | "short" => [(RevisionNumber(1), RevisionStats { requests: 0, failed: 1 })].into(),
        _ => [].into(),
    };
    let expected = ["dead", "empty", "ill", "short"].map(|service| {
        (service.into(), ServiceStats { failed: 1, held: 0, revisions: of_revision(service) })
    });
    let report = balancer.until(|r| r.services.len() >= 4).await;
    assert_eq!((report.services, report.counted), (expected.into(), None));
}

#[tokio::test]
async fn counters_of_a_new_process_start_at_0_under_a_new_incarnation() {
    let directory = tempfile::tempdir().unwrap();
    let setup = || Setup { directory: Some(directory.path().to_owned()), ..Setup::default() };
    let mut first = Balancer::start(setup()).await;
    first.publish(simple(1, &[])).await;
    assert_eq!(status(&get(first.address, "a", "/").await), 503);
    let before = first.until(|r| r.failed(&"web".into()) == 1).await;
    first.stop().await;
    let mut second = Balancer::start(setup()).await;
    second.publish(simple(2, &[])).await;
    let after = second.until(|_| true).await;
    assert!(after.services.is_empty() && after.incarnation != before.incarnation, "{after:?}");
}

#[tokio::test]
async fn counters_are_reported_only_while_watched() {
    let mut balancer = Balancer::start(Setup { threads: 1, ..Setup::default() }).await;
    let backend = Backend::echo("a").await;
    balancer.publish(simple(1, &[&backend])).await;
    let mut client = Client::connect(balancer.address).await;
    let watched = balancer.until(|r| r.counted.is_some()).await;
    balancer.until(|r| r.counted > watched.counted).await; // every second, though nothing happens
    client.send("GET", "/", "").await.unwrap();
    let measured = |r: &coxswain::model::BalancerReport| r.endpoints[&backend.id()];
    let first = balancer.until(|r| measured(r).requests == 1 && !measured(r).latencies.is_empty()).await;
    let revisions = [(RevisionNumber(1), RevisionStats { requests: 1, failed: 0 })].into();
    assert_eq!(first.services, [("web".into(), ServiceStats { failed: 0, held: 0, revisions })].into());
    balancer.watchers.send_replace(0);
    balancer.until(|r| r.counted.is_none()).await;
    client.send("GET", "/", "").await.unwrap();
    let silent = balancer.until(|_| true).await;
    assert_eq!((measured(&silent).requests, measured(&silent).latencies.is_empty()), (0, true));
    balancer.watchers.send_replace(1);
    let again = balancer.until(|r| measured(r).requests == 2).await;
    assert_eq!(Vec::from(measured(&again).latencies).iter().sum::<u64>(), 1, "the second was not measured");
}
