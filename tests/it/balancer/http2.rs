//! Clients that speak HTTP/2 without TLS, to endpoints that speak HTTP/1.1.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use coxswain::balancer::{BalancerLimits, DrainReason};
use coxswain::model::{Millis, RouteWaits};
use h2::client::SendRequest;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::harness::{
    Backend, Balancer, PATIENCE, Setup, exchange, read_head, route, route_with, simple, status, table,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

async fn single() -> Balancer {
    Balancer::start(Setup::still()).await
}

/// A client's connection, and how it ended.
pub(super) struct Http2Client {
    sender: SendRequest<Bytes>,
    end: JoinHandle<Result<(), h2::Error>>,
}

impl Http2Client {
    pub(super) async fn connect(balancer: &Balancer) -> Self {
        let stream = TcpStream::connect(balancer.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        Self { sender, end: tokio::spawn(connection) }
    }

    pub(super) async fn begin(
        &self,
        request: http::request::Builder,
        is_whole: bool,
    ) -> Result<(h2::client::ResponseFuture, SendStream<Bytes>), h2::Error> {
        let mut sender = self.sender.clone().ready().await?;
        sender.send_request(request.body(()).unwrap(), is_whole)
    }

    /// The response to a request without a body.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, h2::Error> {
        self.send(Request::get(format!("http://web{path}")), b"").await
    }

    pub(super) async fn send(
        &self,
        request: http::request::Builder,
        body: &[u8],
    ) -> Result<Answer, h2::Error> {
        let (response, mut send) = self.begin(request, body.is_empty()).await?;
        if !body.is_empty() {
            send.send_data(Bytes::copy_from_slice(body), true)?;
        }
        Answer::read(timely(response).await?).await
    }

    async fn ended(self) -> Result<(), h2::Error> {
        drop(self.sender);
        timely(self.end).await.unwrap()
    }
}

pub(super) async fn timely<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it came in time")
}

#[derive(Debug)]
pub(super) struct Answer {
    head: http::response::Parts,
    pub(super) body: String,
    trailers: Option<HeaderMap>,
}

impl Answer {
    pub(super) async fn read(response: Response<RecvStream>) -> Result<Self, h2::Error> {
        let (head, mut stream) = response.into_parts();
        let mut body = Vec::new();
        while let Some(data) = timely(stream.data()).await {
            let data = data?;
            stream.flow_control().release_capacity(data.len())?;
            body.extend_from_slice(&data);
        }
        let trailers = timely(stream.trailers()).await?;
        Ok(Self { head, body: String::from_utf8_lossy(&body).into_owned(), trailers })
    }

    pub(super) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

#[tokio::test]
async fn http2_and_http1_share_a_port_and_requests_are_forwarded_alike() {
    let mut balancer = single().await;
    let backend = Backend::echo("a").await;
    balancer.publish(simple(1, &[&backend])).await;
    let client = Http2Client::connect(&balancer).await;
    let request = Request::get("http://Web:80/a%2Fb?c=d")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("x-forwarded-for", "1.2.3.4")
        .header("te", "trailers");
    let answer = client.send(request, b"").await.unwrap();
    assert_eq!(answer.status(), 200);
    for line in [
        "a GET /a%2Fb?c=d\n",
        "host: Web:80\n",
        "cookie: a=1; b=2\n",
        "x-forwarded-for: 127.0.0.1\n",
        "te: trailers\n",
    ] {
        assert!(answer.body.contains(line), "{line} is not in {}", answer.body);
    }
    assert!(answer.header("date").is_some() && answer.header("content-length").is_some(), "{answer:?}");
    let old = exchange(balancer.address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&old), 200);
    drop(client);
    balancer.stop().await;
}

#[tokio::test]
async fn requests_of_one_connection_are_served_at_the_same_time() {
    let mut balancer = single().await;
    let all_are_there = Arc::new(tokio::sync::Barrier::new(20));
    let backend = Backend::http("a", move |_| {
        let all_are_there = Arc::clone(&all_are_there);
        async move {
            all_are_there.wait().await;
            Response::new("together".into())
        }
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    let client = Http2Client::connect(&balancer).await;
    let answers = futures::future::join_all((0..20).map(|n| {
        let client = &client;
        async move { client.get(&format!("/{n}")).await }
    }));
    for answer in timely(answers).await {
        assert_eq!(answer.unwrap().body, "together");
    }
    balancer.until(|report| report.endpoints[&backend.id()].requests == 20).await;
}

#[tokio::test]
async fn bodies_larger_than_every_window_pass_both_ways() {
    let mut balancer = single().await;
    let backend = Backend::http("a", |request| async move {
        let length = request.headers().get("content-length").cloned();
        let body = http_body_util::BodyExt::collect(request.into_body()).await.unwrap().to_bytes();
        let mut response = Response::new(body.into());
        response.headers_mut().insert("x-length", length.unwrap_or(HeaderValue::from_static("none")));
        response
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    let client = Http2Client::connect(&balancer).await;
    let body: String = (0..400_000).map(|n| format!("{n:>8}\n")).collect();
    for length in [None, Some(body.len())] {
        let mut request = Request::post("http://web/");
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        let (response, mut send) = client.begin(request, false).await.unwrap();
        let mut rest = Bytes::from(body.clone());
        let sending = tokio::spawn(async move {
            while !rest.is_empty() {
                send.reserve_capacity(rest.len());
                let room = std::future::poll_fn(|cx| send.poll_capacity(cx)).await.unwrap().unwrap();
                send.send_data(rest.split_to(room.min(rest.len())), rest.is_empty()).unwrap();
            }
        });
        let answer = Answer::read(timely(response).await.unwrap()).await.unwrap();
        timely(sending).await.unwrap();
        assert!(answer.body == body, "{} bytes came back of {}", answer.body.len(), body.len());
        let wanted = length.map_or("none".to_owned(), |length| length.to_string());
        assert_eq!(answer.header("x-length"), Some(wanted.as_str()));
    }
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let mut balancer = single().await;
    let backend = Backend::raw("a", |mut stream, _| async move {
        let head = read_head(&mut stream).await.unwrap();
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        let mut body = Vec::new();
        while !body.ends_with(b"\r\n\r\n") {
            body.push(stream.read_u8().await.unwrap());
        }
        assert!(body.ends_with(b"0\r\nx-sum: 7\r\n\r\n"), "{}", String::from_utf8_lossy(&body));
        let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Status: 0\r\nHost: evil\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    let client = Http2Client::connect(&balancer).await;
    let request = Request::post("http://web/").header("te", "trailers").header("trailer", "x-sum");
    let (response, mut send) = client.begin(request, false).await.unwrap();
    send.send_data("abc".into(), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("7"));
    send.send_trailers(trailers).unwrap();
    let answer = Answer::read(timely(response).await.unwrap()).await.unwrap();
    assert_eq!(answer.body, "ok");
    let trailers = answer.trailers.unwrap();
    assert_eq!((trailers.get("x-status").unwrap(), trailers.len()), (&HeaderValue::from_static("0"), 1));
}

#[tokio::test]
async fn responses_without_a_body_end_with_their_head() {
    let mut balancer = single().await;
    let backend = Backend::raw("a", |mut stream, _| async move {
        while let Some(head) = read_head(&mut stream).await {
            let answer = match head.split(' ').nth(1).unwrap() {
                "/204" => "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n",
                "/304" => "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n",
                "/early" => {
                    "HTTP/1.1 103 Early Hints\r\nLink: </s>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                }
                _ => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    let client = Http2Client::connect(&balancer).await;
    for (method, path, code, length, body) in [
        ("HEAD", "/length", 200, Some("5"), ""),
        ("GET", "/204", 204, None, ""),
        ("GET", "/304", 304, Some("100"), ""),
        ("GET", "/early", 200, Some("2"), "ok"),
    ] {
        let request = Request::builder().method(method).uri(format!("http://web{path}"));
        let answer = client.send(request, b"").await.unwrap();
        let found = (answer.status(), answer.header("content-length"), answer.body.as_str());
        assert_eq!(found, (code, length, body), "{method} {path}");
    }
    assert_eq!(backend.accepted.load(Ordering::SeqCst), 1, "one connection served them all");
}

#[tokio::test]
async fn local_replies_have_no_connection_headers_and_the_connection_goes_on() {
    let mut balancer = single().await;
    balancer.publish(table(1, &[route(Some("web"), "/", "web")], &[("web", &[])])).await;
    let client = Http2Client::connect(&balancer).await;
    for (uri, code) in [("http://web/", 503), ("http://other/", 404), ("http://web/%zz", 400)] {
        let answer = client.send(Request::post(uri), b"body").await.unwrap();
        assert_eq!(answer.status(), code, "{uri}");
        assert!(answer.header("connection").is_none() && !answer.body.is_empty(), "{answer:?}");
    }
    let answer = client.send(Request::builder().method("TRACE").uri("http://web/"), b"").await.unwrap();
    assert_eq!(answer.status(), 405);
}

#[tokio::test]
async fn malformed_requests_are_reset_and_reach_no_endpoint() {
    let mut balancer = single().await;
    let backend = Backend::echo("a").await;
    balancer.publish(simple(1, &[&backend])).await;
    let client = Http2Client::connect(&balancer).await;
    for request in [
        Request::post("http://web/").header("content-length", "03"),
        Request::post("http://web/").header("content-length", "3, 3"),
        Request::get("http://web/").header("host", "other"),
        Request::builder().method("X".repeat(100).as_str()).uri("http://web/"),
    ] {
        let error = client.send(request, b"").await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::PROTOCOL_ERROR), "{error:?}");
    }
    assert_eq!(client.get("/").await.unwrap().status(), 200);
    let report = balancer.until(|report| report.endpoints[&backend.id()].requests == 1).await;
    assert_eq!(report.endpoints[&backend.id()].requests, 1);
}

#[tokio::test]
async fn response_that_breaks_off_is_reset_and_does_not_look_whole() {
    let mut balancer = single().await;
    let backend = Backend::raw("a", |mut stream, _| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart").await.unwrap();
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    let client = Http2Client::connect(&balancer).await;
    let error = client.get("/").await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "{error:?}");
}

#[tokio::test]
async fn request_that_its_client_gives_up_ends_at_the_endpoint() {
    let mut balancer = single().await;
    let hung_up = Arc::new(Notify::new());
    let seen = Arc::clone(&hung_up);
    let backend = Backend::raw("a", move |mut stream, _| {
        let seen = Arc::clone(&seen);
        async move {
            read_head(&mut stream).await;
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            seen.notify_one();
        }
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    let client = Http2Client::connect(&balancer).await;
    let (response, mut send) = client.begin(Request::get("http://web/"), true).await.unwrap();
    balancer.until(|report| report.in_flight(&backend.id()) == 1).await;
    send.send_reset(Reason::CANCEL);
    drop(response);
    timely(hung_up.notified()).await;
    balancer.until(|report| report.in_flight(&backend.id()) == 0).await;
}

/// Cancels one request after another, most of which have reached an endpoint, until the balancer closes the connection.
async fn cancel_until_disconnected(request: fn() -> http::request::Builder, is_whole: bool, most: usize) {
    let mut balancer = single().await;
    let backend = Backend::raw("a", |mut stream, _| async move {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    let client = Http2Client::connect(&balancer).await;
    let mut cancelled = 0;
    while let Ok((response, mut send)) = client.begin(request(), is_whole).await {
        tokio::time::timeout(Duration::from_millis(1), response)
            .await
            .unwrap_or_else(|_| Err(Reason::CANCEL.into()))
            .unwrap_err();
        send.send_reset(Reason::CANCEL);
        cancelled += 1;
        assert!(cancelled < most, "the connection is still served");
    }
    let error = client.ended().await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::ENHANCE_YOUR_CALM), "{error:?}");
}

#[tokio::test]
async fn client_that_cancels_every_request_is_disconnected() {
    cancel_until_disconnected(|| Request::get("http://web/"), true, 5_000).await;
}

#[tokio::test]
async fn client_that_cancels_every_upload_is_disconnected() {
    cancel_until_disconnected(|| Request::post("http://web/"), false, 1_000).await;
}

#[tokio::test]
async fn body_of_many_small_frames_passes_whole() {
    let mut balancer = single().await;
    let backend = Backend::echo("a").await;
    balancer.publish(simple(1, &[&backend])).await;
    let client = Http2Client::connect(&balancer).await;
    let (response, mut send) = client.begin(Request::post("http://web/"), false).await.unwrap();
    let message = "20 bytes of message.";
    for number in 0..10_000 {
        send.reserve_capacity(message.len());
        while send.capacity() < message.len() {
            std::future::poll_fn(|cx| send.poll_capacity(cx)).await.unwrap().unwrap();
        }
        send.send_data(message.into(), number == 9_999).unwrap();
    }
    let answer = Answer::read(timely(response).await.unwrap()).await.unwrap();
    assert_eq!(answer.body.matches(message).count(), 10_000);
}

#[tokio::test]
async fn uploads_that_a_service_does_not_read_hold_up_no_other() {
    let mut balancer = Balancer::start(Setup { threads: 1, ..Setup::default() }).await;
    let stuck = Backend::raw("stuck", |mut stream, _| async move {
        read_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let other = Backend::echo("other").await;
    let routes = [route(Some("stuck"), "/", "stuck"), route(Some("web"), "/", "web")];
    balancer.publish(table(1, &routes, &[("stuck", &[&stuck]), ("web", &[&other])])).await;
    let client = Http2Client::connect(&balancer).await;
    let mut kept = Vec::new();
    for _ in 0..20 {
        let (response, mut send) = client.begin(Request::post("http://stuck/"), false).await.unwrap();
        send.reserve_capacity(1 << 20);
        send.send_data(vec![b'x'; 1 << 20].into(), false).unwrap();
        kept.push((response, send));
    }
    balancer.until(|report| report.in_flight(&stuck.id()) == 20).await;
    let answer = client.send(Request::post("http://web/"), &[b'y'; 60_000]).await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn requests_next_to_others_count_for_the_limit_of_their_client() {
    let limits = BalancerLimits { per_client: 3, ..BalancerLimits::default() };
    let mut balancer = Balancer::start(Setup { limits, ..Setup::still() }).await;
    let backend = Backend::raw("a", |mut stream, _| async move {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    let client = Http2Client::connect(&balancer).await;
    let mut kept = Vec::new();
    for number in 1..=3 {
        kept.push(client.begin(Request::get("http://web/"), true).await.unwrap());
        balancer.until(|report| report.in_flight(&backend.id()) == number).await;
    }
    let answer = client.get("/").await.unwrap();
    assert_eq!(answer.status(), 429, "the connection with its first request, and two more");
}

#[tokio::test]
async fn draining_connection_answers_what_is_in_flight_and_takes_nothing_new() {
    let mut balancer = single().await;
    let go = Arc::new(Notify::new());
    let gate = Arc::clone(&go);
    let backend = Backend::http("a", move |_| {
        let gate = Arc::clone(&gate);
        async move {
            gate.notified().await;
            Response::new("late".into())
        }
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    let client = Http2Client::connect(&balancer).await;
    let (response, _) = client.begin(Request::get("http://web/"), true).await.unwrap();
    balancer.until(|report| report.in_flight(&backend.id()) == 1).await;
    balancer.drain(DrainReason::Stopped);
    // until the client hears of the drain, its requests are still taken; each is answered
    let mut taken = vec![response];
    while let Ok((response, _)) = client.begin(Request::get("http://web/new"), true).await {
        taken.push(response);
        go.notify_one();
        tokio::task::yield_now().await;
    }
    let answering = tokio::spawn(async move {
        loop {
            go.notify_waiters();
            tokio::task::yield_now().await;
        }
    });
    for (number, response) in taken.into_iter().enumerate() {
        match timely(response).await {
            Ok(response) => assert_eq!(Answer::read(response).await.unwrap().body, "late", "{number}"),
            // one that crossed the GOAWAY was not looked at, and says so
            Err(error) => assert!(number > 0 && error.is_go_away(), "{number}: {error:?}"),
        }
    }
    answering.abort();
    client.ended().await.unwrap();
    balancer.ended().await.unwrap();
}

#[tokio::test]
async fn idle_connection_is_ended_with_goaway() {
    let limits = BalancerLimits { idle: Duration::from_millis(200), ..BalancerLimits::default() };
    let mut balancer = Balancer::start(Setup { threads: 1, limits, ..Setup::default() }).await;
    let backend = Backend::echo("a").await;
    balancer.publish(simple(1, &[&backend])).await;
    let client = Http2Client::connect(&balancer).await;
    assert_eq!(client.get("/").await.unwrap().status(), 200);
    let sender = client.sender.clone();
    timely(client.end).await.unwrap().unwrap();
    drop(sender);
}

#[tokio::test]
async fn client_that_stops_in_the_preface_is_cut() {
    let limits = BalancerLimits { header: Duration::from_millis(200), ..BalancerLimits::default() };
    let mut balancer = Balancer::start(Setup { threads: 1, limits, ..Setup::default() }).await;
    let backend = Backend::echo("a").await;
    balancer.publish(simple(1, &[&backend])).await;
    for sent in [&PREFACE[..14], &PREFACE[..20], b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"] {
        let mut stream = TcpStream::connect(balancer.address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut answer = Vec::new();
        let _ = timely(stream.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    }
}

#[tokio::test]
async fn http2_after_a_request_in_http1_is_refused() {
    let mut balancer = single().await;
    let backend = Backend::echo("a").await;
    balancer.publish(simple(1, &[&backend])).await;
    let sent = format!("GET / HTTP/1.1\r\nHost: a\r\n\r\n{}", String::from_utf8_lossy(PREFACE));
    let answer = exchange(balancer.address, &sent).await;
    let (_, second) = answer.split_once("HTTP/1.1 505").expect("two answers");
    assert!(second.contains("speaks HTTP/2 from its beginning"), "{answer}");
}

#[tokio::test]
async fn upload_that_stalls_in_http2_ends_with_408() {
    let limits = BalancerLimits { stall: Duration::from_secs(1), ..BalancerLimits::default() };
    let mut balancer = Balancer::start(Setup { threads: 1, limits, ..Setup::default() }).await;
    let backend = Backend::echo("a").await;
    let waits = RouteWaits { upload_timeout: Millis::secs(1), ..RouteWaits::default() };
    let routes = [route_with(route(None, "/", "web"), |forward| forward.waits = waits)];
    balancer.publish(table(1, &routes, &[("web", &[&backend])])).await;
    let client = Http2Client::connect(&balancer).await;
    let (response, mut send) = client.begin(Request::post("http://web/"), false).await.unwrap();
    send.send_data("half".into(), false).unwrap();
    let answer = Answer::read(timely(response).await.unwrap()).await.unwrap();
    assert_eq!(answer.status(), 408, "{answer:?}");
    assert_eq!(client.get("/").await.unwrap().status(), 200, "the connection is still served");
}

#[tokio::test]
async fn client_that_reads_nothing_is_cut_after_the_idle_timeout_of_its_route() {
    let mut balancer = Balancer::start(Setup { threads: 1, ..Setup::default() }).await;
    let backend = Backend::http("a", |_| async { Response::new(vec![b'x'; 1 << 20].into()) }).await;
    let waits = RouteWaits { idle_timeout: Millis::secs(1), ..RouteWaits::default() };
    let routes = [route_with(route(None, "/", "web"), |forward| forward.waits = waits)];
    balancer.publish(table(1, &routes, &[("web", &[&backend])])).await;
    let client = Http2Client::connect(&balancer).await;
    let (response, _) = client.begin(Request::get("http://web/"), true).await.unwrap();
    let mut body = timely(response).await.unwrap().into_body();
    let end = loop {
        // nothing is released, so that the window stays shut
        match timely(body.data()).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("the response is whole"),
        }
    };
    assert_eq!(end.reason(), Some(Reason::CANCEL), "{end:?}");
    balancer.until(|report| report.in_flight(&backend.id()) == 0).await;
}
