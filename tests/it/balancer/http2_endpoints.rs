//! Endpoints that speak HTTP/2: gRPC servers, most of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use coxswain::model::{Millis, RouteWaits};
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::harness::{
    Backend, Balancer, Setup, exchange, get, read_head, route, route_with, simple, status, table,
};
use super::http2::{Answer, Http2Client, timely};

/// An endpoint that serves each stream so.
async fn http2_backend<F, Served>(name: &str, serve: F) -> Backend
where
    F: Fn(Request<RecvStream>, SendResponse<Bytes>) -> Served + Clone + Send + 'static,
    Served: Future<Output = ()> + Send + 'static,
{
    Backend::raw(name, move |stream, _| serve_streams(stream, serve.clone())).await.declared_h2c()
}

async fn serve_streams<F, Served>(stream: TcpStream, serve: F)
where
    F: Fn(Request<RecvStream>, SendResponse<Bytes>) -> Served + Clone + Send + 'static,
    Served: Future<Output = ()> + Send + 'static,
{
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, reply))) = connection.accept().await {
        tokio::spawn(serve(request, reply));
    }
}

/// Answers with what it saw of the request.
async fn echo(request: Request<RecvStream>, mut reply: SendResponse<Bytes>) {
    let (head, mut body) = request.into_parts();
    let mut text = format!("{} {} {:?}\n", head.method, head.uri, head.version);
    for (name, value) in &head.headers {
        text.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
    }
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
        text.push_str(&String::from_utf8_lossy(&data));
    }
    let mut send = reply.send_response(Response::new(()), false).unwrap();
    send.send_data(text.into(), true).unwrap();
}

/// Sends back each piece of the request's body, and `grpc-status` at its end.
async fn echo_stream(request: Request<RecvStream>, mut reply: SendResponse<Bytes>) {
    let mut body = request.into_body();
    let response = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut send = reply.send_response(response, false).unwrap();
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
        if send.send_data(data, false).is_err() {
            return;
        }
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let _ = send.send_trailers(trailers);
}

async fn started(backend: &Backend) -> Balancer {
    let mut balancer = Balancer::start(Setup { threads: 1, ..Setup::default() }).await;
    balancer.publish(simple(1, &[backend])).await;
    balancer
}

fn grpc_call() -> http::request::Builder {
    Request::post("http://web/shop.Users/Get")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

#[tokio::test]
async fn clients_of_both_protocols_share_a_connection_to_the_endpoint() {
    let backend = http2_backend("a", echo).await;
    let mut balancer = started(&backend).await;
    let old = exchange(
        balancer.address,
        "POST /a?b HTTP/1.1\r\nHost: Web:80\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    )
    .await;
    assert_eq!(status(&old), 200, "{old}");
    assert!(old.contains("POST http://Web:80/a?b HTTP/2.0\n") && old.contains("body"), "{old}");
    for absent in ["transfer-encoding: chunked\n", "connection: ", "\nhost: "] {
        let body = old.split_once("\r\n\r\n").unwrap().1;
        assert!(!body.contains(absent), "{absent} is in {body}");
    }
    let client = Http2Client::connect(&balancer).await;
    let answers = futures::future::join_all((0..10).map(|n| {
        let client = &client;
        async move { client.get(&format!("/{n}")).await }
    }));
    for answer in timely(answers).await {
        assert!(answer.unwrap().body.starts_with("GET http://web/"));
    }
    assert_eq!(backend.accepted.load(Ordering::SeqCst), 1);
    balancer.until(|report| report.in_flight(&backend.id()) == 0).await;
}

#[tokio::test]
async fn messages_of_a_call_pass_one_by_one_and_its_status_comes_last() {
    let backend = http2_backend("a", echo_stream).await;
    let balancer = started(&backend).await;
    let client = Http2Client::connect(&balancer).await;
    let (response, mut send) = client.begin(grpc_call(), false).await.unwrap();
    let mut body = timely(response).await.unwrap().into_body();
    for message in ["one", "two", "three"] {
        send.send_data(message.into(), false).unwrap();
        let data = timely(body.data()).await.unwrap().unwrap();
        assert_eq!(data, message);
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    send.send_data(Bytes::new(), true).unwrap();
    assert!(timely(body.data()).await.is_none());
    let trailers = timely(body.trailers()).await.unwrap().unwrap();
    assert_eq!(trailers.get("grpc-status").unwrap(), "0");
}

#[tokio::test]
async fn call_may_be_silent_for_longer_than_an_upload() {
    let backend = http2_backend("a", echo_stream).await;
    let mut balancer = Balancer::start(Setup { threads: 1, ..Setup::default() }).await;
    let waits = RouteWaits { upload_timeout: Millis(300), ..RouteWaits::default() };
    let routes = [route_with(route(None, "/", "web"), |forward| {
        forward.waits = waits;
        forward.timeout = Millis(300);
    })];
    balancer.publish(table(1, &routes, &[("web", &[&backend])])).await;
    let client = Http2Client::connect(&balancer).await;
    let (response, mut send) = client.begin(grpc_call(), false).await.unwrap();
    let (other, mut other_send) = client.begin(Request::post("http://web/"), false).await.unwrap();
    other_send.send_data("half".into(), false).unwrap();
    // the other request is cut for its pause; the call is as silent
    let mut other = timely(other).await.unwrap().into_body();
    assert_eq!(timely(other.data()).await.unwrap().unwrap(), "half");
    assert!(timely(other.data()).await.unwrap().is_err());
    let mut body = timely(response).await.unwrap().into_body();
    send.send_data("late".into(), true).unwrap();
    assert_eq!(timely(body.data()).await.unwrap().unwrap(), "late");
}

#[tokio::test]
async fn request_that_an_endpoint_refuses_to_look_at_is_sent_again() {
    let refuses = Arc::new(std::sync::atomic::AtomicUsize::new(2));
    let left = Arc::clone(&refuses);
    let backend = http2_backend("a", move |request, mut reply| {
        let left = Arc::clone(&left);
        async move {
            if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                reply.send_reset(Reason::REFUSED_STREAM);
            } else {
                echo(request, reply).await;
            }
        }
    })
    .await;
    let mut balancer = started(&backend).await;
    let answer = exchange(
        balancer.address,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(status(&answer), 200, "{answer}");
    let report = balancer.until(|report| report.in_flight(&backend.id()) == 0).await;
    assert_eq!(report.failed(&"web".into()), 0);
}

#[tokio::test]
async fn call_that_an_endpoint_refuses_to_look_at_is_sent_again_with_its_message() {
    let refuses = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let first = Arc::clone(&refuses);
    let backend = http2_backend("a", move |mut request, mut reply| {
        let first = Arc::clone(&first);
        async move {
            if first.swap(false, Ordering::SeqCst) {
                // the message has come with the head
                let _ = request.body_mut().data().await;
                reply.send_reset(Reason::REFUSED_STREAM);
            } else {
                echo(request, reply).await;
            }
        }
    })
    .await;
    let balancer = started(&backend).await;
    let client = Http2Client::connect(&balancer).await;
    let answer = client.send(grpc_call(), b"message").await.unwrap();
    assert!(answer.status() == 200 && answer.body.ends_with("message"), "{answer:?}");
    assert!(!refuses.load(Ordering::SeqCst));
}

#[tokio::test]
async fn connection_that_its_endpoint_ends_is_replaced_once_while_its_last_request_lasts() {
    let go = Arc::new(Notify::new());
    let gate = Arc::clone(&go);
    let backend = Backend::raw("a", move |stream, number| {
        let gate = Arc::clone(&gate);
        async move {
            if number > 0 {
                return serve_streams(stream, echo).await;
            }
            let mut connection = h2::server::handshake(stream).await.unwrap();
            let (request, reply) = connection.accept().await.unwrap().unwrap();
            tokio::spawn(async move {
                gate.notified().await;
                echo(request, reply).await;
            });
            connection.graceful_shutdown();
            while connection.accept().await.is_some() {}
        }
    })
    .await
    .declared_h2c();
    let mut balancer = started(&backend).await;
    let client = Http2Client::connect(&balancer).await;
    let (response, _) = client.begin(Request::get("http://web/long"), true).await.unwrap();
    balancer.until(|report| report.in_flight(&backend.id()) == 1).await;
    for _ in 0..20 {
        assert_eq!(client.get("/").await.unwrap().status(), 200);
    }
    assert_eq!(backend.accepted.load(Ordering::SeqCst), 2);
    go.notify_one();
    assert_eq!(timely(response).await.unwrap().status(), 200);
}

#[tokio::test]
async fn request_of_http_1_0_without_a_host_reaches_an_http2_endpoint() {
    let backend = http2_backend("a", echo).await;
    let balancer = started(&backend).await;
    let answer = exchange(balancer.address, "GET /a HTTP/1.0\r\n\r\n").await;
    assert!(status(&answer) == 200 && answer.contains("GET /a"), "{answer}");
    assert_eq!(backend.accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn http2_endpoint_that_switches_protocols_is_a_502() {
    let backend = http2_backend("a", |request, mut reply| async move {
        let switching = Response::builder().status(101).body(()).unwrap();
        reply.send_informational(switching).unwrap();
        echo(request, reply).await;
    })
    .await;
    let balancer = started(&backend).await;
    let answer = get(balancer.address, "a", "/").await;
    assert_eq!(status(&answer), 502, "{answer}");
}

#[tokio::test]
async fn endpoint_of_another_protocol_than_declared_is_a_502_that_says_so() {
    let http1 = Backend::raw("a", |mut stream, _| async move {
        stream.read_u8().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    })
    .await
    .declared_h2c();
    let mut balancer = started(&http1).await;
    let answer = get(balancer.address, "a", "/").await;
    assert_eq!(status(&answer), 502, "{answer}");
    assert!(answer.contains("is not HTTP/2, which the service declares"), "{answer}");
    let http2 = Backend::raw("b", |stream, _| serve_streams(stream, echo)).await;
    balancer.publish(simple(2, &[&http2])).await;
    let answer = get(balancer.address, "a", "/").await;
    assert_eq!(status(&answer), 502, "{answer}");
    assert!(answer.contains("is not HTTP/1.1, which the service declares"), "{answer}");
}

#[tokio::test]
async fn stream_that_its_endpoint_resets_counts_as_a_failure_and_is_reset() {
    let backend = http2_backend("a", |_, mut reply| async move {
        let mut send = reply.send_response(Response::new(()), false).unwrap();
        send.send_data("part".into(), false).unwrap();
        tokio::task::yield_now().await;
        send.send_reset(Reason::INTERNAL_ERROR);
    })
    .await;
    let mut balancer = started(&backend).await;
    let client = Http2Client::connect(&balancer).await;
    let error = client.get("/").await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "{error:?}");
    let answer = get(balancer.address, "a", "/").await;
    assert!(!answer.ends_with("0\r\n\r\n"), "it does not look whole: {answer}");
    balancer.until(|report| report.failed(&"web".into()) == 2).await;
}

#[tokio::test]
async fn kept_connection_that_ends_with_the_next_request_costs_a_get_nothing() {
    let backend = Backend::raw("a", |stream, number| async move {
        match number {
            0 => serve_once(stream).await,
            _ => serve_streams(stream, echo).await,
        }
    })
    .await;
    let backend = backend.declared_h2c();
    let balancer = started(&backend).await;
    for _ in 0..2 {
        assert_eq!(status(&get(balancer.address, "a", "/").await), 200);
    }
    assert_eq!(backend.accepted.load(Ordering::SeqCst), 2);
}

/// Answers one request; the connection breaks with the next.
async fn serve_once(stream: TcpStream) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let (request, reply) = connection.accept().await.unwrap().unwrap();
    let served = tokio::spawn(echo(request, reply));
    let next = connection.accept().await;
    served.await.unwrap();
    drop(next);
}

#[tokio::test]
async fn departed_endpoint_keeps_its_connection_until_its_last_request_has_ended() {
    let go = Arc::new(Notify::new());
    let gate = Arc::clone(&go);
    let ended = Arc::new(Notify::new());
    let has_ended = Arc::clone(&ended);
    let backend = Backend::raw("a", move |stream, _| {
        let (gate, has_ended) = (Arc::clone(&gate), Arc::clone(&has_ended));
        async move {
            serve_streams(stream, move |request, reply| {
                let gate = Arc::clone(&gate);
                async move {
                    gate.notified().await;
                    echo(request, reply).await;
                }
            })
            .await;
            has_ended.notify_one();
        }
    })
    .await;
    let backend = backend.declared_h2c();
    let mut balancer = started(&backend).await;
    let client = Http2Client::connect(&balancer).await;
    let (response, _) = client.begin(Request::get("http://web/"), true).await.unwrap();
    balancer.until(|report| report.in_flight(&backend.id()) == 1).await;
    balancer.publish(simple(2, &[])).await;
    go.notify_one();
    let answer = Answer::read(timely(response).await.unwrap()).await.unwrap();
    assert!(answer.body.starts_with("GET"));
    timely(ended.notified()).await;
}

#[tokio::test]
async fn interim_responses_of_an_http2_endpoint_are_passed() {
    let backend = http2_backend("a", |request, mut reply| async move {
        let hints = Response::builder().status(103).header("link", "</s>").body(()).unwrap();
        reply.send_informational(hints).unwrap();
        echo(request, reply).await;
    })
    .await;
    let balancer = started(&backend).await;
    let answer = get(balancer.address, "a", "/").await;
    assert!(answer.starts_with("HTTP/1.1 103") && answer.contains("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn http1_endpoint_is_not_disturbed_by_one_that_speaks_http2() {
    let old = Backend::raw("old", |mut stream, _| async move {
        while read_head(&mut stream).await.is_some() {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold").await.unwrap();
        }
    })
    .await;
    let new = http2_backend("new", echo).await;
    let mut balancer = Balancer::start(Setup { threads: 1, ..Setup::default() }).await;
    balancer.publish(simple(1, &[&old, &new])).await;
    let mut seen = [0, 0];
    for _ in 0..40 {
        let answer = get(balancer.address, "a", "/").await;
        assert_eq!(status(&answer), 200, "{answer}");
        seen[usize::from(answer.contains("HTTP/2.0"))] += 1;
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}
