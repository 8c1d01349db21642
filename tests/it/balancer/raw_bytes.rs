//! Messages that servers read in different ways, byte for byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coxswain::clock::VirtualClock;
use tokio::io::AsyncWriteExt;

use super::harness::{Backend, Balancer, Client, Setup, exchange, read_head, simple, status};

/// Answers every request with the same bytes, and counts them.
async fn answering(answer: &'static str) -> (Backend, Arc<AtomicUsize>) {
    let heads = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&heads);
    let backend = Backend::raw("a", move |mut stream, _| {
        let counter = Arc::clone(&counter);
        async move {
            while read_head(&mut stream).await.is_some() {
                counter.fetch_add(1, Ordering::SeqCst);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    (backend, heads)
}

async fn balancer_of(backend: &Backend) -> Balancer {
    let mut balancer = Balancer::start(Setup::still()).await;
    balancer.publish(simple(1, &[backend])).await;
    balancer
}

#[tokio::test]
async fn chunked_request_that_ends_with_a_bare_line_feed_swallows_no_other_request() {
    let (backend, _) = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let balancer = balancer_of(&backend).await;
    for end in ["0\r\n\n", "0\r\nX: 1\r\n\n", "0\r\nX: 1\n\r\n", "0\n\r\n"] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{end}\
             GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        );
        let answer = exchange(balancer.address, &request).await;
        assert_eq!(status(&answer), 400, "{end:?}: {answer}");
        assert!(answer.contains("connection: close"), "{end:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{end:?}: {answer}");
    }
}

#[tokio::test]
async fn chunked_response_that_ends_with_a_bare_line_feed_breaks_off() {
    let (backend, _) =
        answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\n").await;
    let mut balancer = balancer_of(&backend).await;
    let answer = exchange(balancer.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(
        answer.contains("ok") && !answer.ends_with("0\r\n\r\n"),
        "the client sees that it is not whole: {answer}"
    );
    balancer.until(|r| r.endpoints[&backend.id()].errors == 1).await;
}

#[tokio::test]
async fn response_with_two_lengths_is_passed_whole() {
    let (backend, _) = answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    )
    .await;
    let balancer = balancer_of(&backend).await;
    for round in 1..=2 {
        let mut client = Client::connect(balancer.address).await;
        assert_eq!(client.send("GET", "/", "").await.unwrap(), (200, "hello".to_owned()));
        assert_eq!(backend.accepted.load(Ordering::SeqCst), round, "such a connection is not used again");
    }
}

#[tokio::test]
async fn response_in_an_unknown_coding_is_a_502() {
    let (backend, _) =
        answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n").await;
    let balancer = balancer_of(&backend).await;
    let answer = exchange(balancer.address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&answer), 502, "{answer}");
}

#[tokio::test]
async fn refusal_of_what_is_no_request_says_what_is_wrong() {
    let (backend, heads) = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let balancer = balancer_of(&backend).await;
    let method = "M".repeat(9000);
    for (request, code, text) in [
        ("\x16\x03\x01\x02\x00\x01".to_owned(), 400, "this port speaks HTTP without TLS"),
        ("hello\r\n\r\n".to_owned(), 400, "the request is not HTTP/1.1"),
        ("GET / HTTP/2.0\r\n\r\n".to_owned(), 505, "the request's HTTP version is not 1.0 or 1.1"),
        (format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"), 501, "the method is longer than 64 bytes"),
        (
            "TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(),
            405,
            "this method would show",
        ),
        (
            "GET ftp://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(),
            400,
            "another protocol than HTTP",
        ),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n".to_owned(), 400, "invalid header name"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400, "exactly one Host header"),
    ] {
        let answer = exchange(balancer.address, &request).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(status(&answer), code, "{request:.40}: {answer}");
        assert!(body.contains(text), "{request:.40}: {answer}");
        assert!(head.contains("connection: close"), "{request:.40}: {answer}");
    }
    assert_eq!(heads.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn endpoint_gets_no_header_that_mimics_a_framing_header() {
    let backend = Backend::echo("a").await;
    let balancer = balancer_of(&backend).await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\nTransfer_Encoding: chunked\r\n\
                   X_Other: 1\r\nConnection: close\r\n\r\n";
    let answer = exchange(balancer.address, request).await;
    assert!(answer.contains("x_other: 1"), "{answer}");
    assert!(!answer.contains("content_length") && !answer.contains("transfer_encoding"), "{answer}");
}

#[tokio::test]
async fn http_1_0_request_without_host_takes_the_route_for_every_host() {
    let backend = Backend::echo("a").await;
    let balancer = balancer_of(&backend).await;
    let answer = exchange(balancer.address, "GET /old HTTP/1.0\r\n\r\n").await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(answer.contains("a GET /old"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    let kept = "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n";
    let answer = exchange(balancer.address, kept).await;
    assert!(answer.contains("connection: keep-alive") && answer.contains("a GET /2"), "{answer}");
}

#[tokio::test]
async fn request_about_the_server_is_passed_as_such() {
    let backend = Backend::echo("a").await;
    let balancer = balancer_of(&backend).await;
    let answer =
        exchange(balancer.address, "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("a OPTIONS *"), "{answer}");
}

/// A backend that serves one request per connection, and closes when the next one arrives: the worst instant.
async fn closing_on_the_second_request() -> Backend {
    Backend::raw("a", |mut stream, _| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        read_head(&mut stream).await;
    })
    .await
}

#[tokio::test]
async fn repeatable_request_survives_a_connection_that_closes_on_it() {
    let backend = closing_on_the_second_request().await;
    let balancer = balancer_of(&backend).await;
    let mut client = Client::connect(balancer.address).await;
    for round in 0..5 {
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
            let (status, _) = client.send(method, "/", "").await.unwrap();
            assert_eq!(status, 200, "{method} {round}");
        }
    }
}

#[tokio::test]
async fn other_request_takes_no_connection_that_was_idle_for_seconds() {
    let clock = Arc::new(VirtualClock::new(1));
    let setup = Setup { clock: Arc::<VirtualClock>::clone(&clock), ..Setup::still() };
    let mut balancer = Balancer::start(setup).await;
    let backend = closing_on_the_second_request().await;
    balancer.publish(simple(1, &[&backend])).await;
    let mut client = Client::connect(balancer.address).await;
    for round in 0..5 {
        for body in ["", "hello"] {
            clock.advance(2000);
            let (status, _) = client.send("POST", "/", body).await.unwrap();
            assert_eq!(status, 200, "{round} {body:?}");
        }
    }
}
