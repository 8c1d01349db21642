//! Requests and responses of every shape, whole and broken off, on their way through the balancer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use coxswain::model::Millis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::harness::{
    Backend, Balancer, Client, PATIENCE, Setup, exchange, get, read_head, route, route_with, simple, status,
    table,
};

async fn single() -> Balancer {
    Balancer::start(Setup::still()).await
}

/// Answers each request by its path, and keeps the connection.
async fn answering(rows: &'static [(&'static str, &'static str)]) -> Backend {
    Backend::raw("a", move |mut stream, _| async move {
        while let Some(head) = read_head(&mut stream).await {
            let path = head.split(' ').nth(1).unwrap().to_owned();
            let answer = rows.iter().find(|(row, _)| *row == path).unwrap().1;
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await
}

#[tokio::test]
async fn responses_without_a_body_leave_the_connection_usable() {
    let mut balancer = single().await;
    let backend = answering(&[
        ("/length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("/chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("/204", "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n"),
        ("/304", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 100\r\n\r\n"),
        ("/100", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ])
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    for (method, path, code, header, body) in [
        ("HEAD", "/length", 200, "content-length: 5", ""),
        ("HEAD", "/chunked", 200, "http/1.1 200", ""),
        ("GET", "/204", 204, "x-a: b", ""),
        ("GET", "/304", 304, "etag: \"x\"", ""),
        ("HEAD", "/304", 304, "etag: \"x\"", ""),
        ("GET", "/100", 200, "content-length: 2", "ok"),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = exchange(balancer.address, &request).await;
        let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!((status(&answer), rest), (code, body), "{method} {path}: {answer}");
        assert!(head.to_lowercase().contains(header), "{method} {path}: {answer}");
    }
    assert_eq!(backend.accepted.load(Ordering::SeqCst), 1, "one connection served them all");
    let report = balancer.until(|r| r.in_flight(&backend.id()) == 0).await;
    assert_eq!(report.endpoints[&backend.id()].errors, 0);
}

#[tokio::test]
async fn interim_responses_reach_clients_that_know_them() {
    let mut balancer = single().await;
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\n\r\n\
                 HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let rows = Box::leak(Box::new([("/", hints)]));
    let backend = answering(rows).await;
    balancer.publish(simple(1, &[&backend])).await;
    let answer = get(balancer.address, "a", "/").await;
    let (interim, last) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(interim.to_lowercase(), "http/1.1 103 early hints\r\nlink: </a>", "{answer}");
    assert_eq!((status(last), last.ends_with("\r\n\r\nok")), (200, true), "{answer}");
    let old = exchange(balancer.address, "GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
    assert!(status(&old) == 200 && !old.contains("103"), "{old}");
    assert_eq!(backend.accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn unrequested_upgrade_is_a_502() {
    let mut balancer = single().await;
    let switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
    let rows = Box::leak(Box::new([("/", switching)]));
    let backend = answering(rows).await;
    balancer.publish(simple(1, &[&backend])).await;
    assert_eq!(status(&get(balancer.address, "a", "/").await), 502);
    balancer.until(|r| r.in_flight(&backend.id()) == 0).await;
}

#[tokio::test]
async fn chunked_response_reaches_clients_of_both_http_versions() {
    let mut balancer = single().await;
    let backend = answering(&[(
        "/",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 1\r\n\r\n",
    )])
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    for _ in 0..2 {
        let old = exchange(balancer.address, "GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
        let (head, body) = old.split_once("\r\n\r\n").unwrap();
        assert_eq!((status(&old), body), (200, "hello"), "{old}");
        assert!(!head.to_lowercase().contains("transfer-encoding"), "{old}");
        let new = get(balancer.address, "a", "/").await;
        let (head, body) = new.split_once("\r\n\r\n").unwrap();
        assert!(head.to_lowercase().contains("transfer-encoding: chunked"), "{new}");
        assert!(body.ends_with("0\r\n\r\n") && body.contains("hel") && !body.contains("X-Sum"), "{new}");
    }
    assert_eq!(backend.accepted.load(Ordering::SeqCst), 1, "read to the end, trailers and all");
}

#[tokio::test]
async fn trailers_are_forwarded_in_both_directions_if_announced() {
    let mut balancer = single().await;
    let (seen, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let backend = Backend::raw("a", move |mut stream, _| {
        let seen = seen.clone();
        async move {
            let mut request = Vec::new();
            while !request.ends_with(b"0\r\nx-sum: 7\r\n\r\n")
                && stream.read_buf(&mut request).await.unwrap() > 0
            {}
            seen.send(String::from_utf8(request).unwrap().to_lowercase()).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Grpc-Status\r\n\r\n\
                           2\r\nok\r\n0\r\nGrpc-Status: 0\r\nX-Unsaid: 1\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-Sum, X-Forwarded-For\r\n\
                   Connection: te, close\r\nTransfer-Encoding: chunked\r\n\r\n\
                   2\r\nhi\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\nX-Sum: 7\r\n\r\n";
    let answer = exchange(balancer.address, request).await.to_lowercase();
    assert!(answer.contains("\r\ntrailer: grpc-status\r\n"), "{answer}");
    assert!(answer.ends_with("0\r\ngrpc-status: 0\r\n\r\n"), "only what was announced: {answer}");
    let seen = tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap().unwrap();
    assert!(seen.contains("te: trailers") && seen.contains("x-forwarded-for: 127.0.0.1"), "{seen}");
    assert!(!seen.contains("6.6.6.6"), "a client does not speak for itself in a trailer either: {seen}");
}

#[tokio::test]
async fn invalid_request_body_is_a_400_and_no_error_of_the_endpoint() {
    let mut balancer = single().await;
    // reads until the balancer closes, and closes without a word, as a server does with half a request
    let backend = Backend::raw("a", |mut stream, _| async move {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    for body in ["zz\r\nhalf\r\n", "4\r\nhalfway\r\n", "-1\r\n\r\n", "4\r\nhalf\r\nzz\r\n"] {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = exchange(balancer.address, &format!("{head}{body}")).await;
        assert_eq!(status(&answer), 400, "{body:?}: {answer}");
        let report = balancer.until(|r| r.in_flight(&backend.id()) == 0).await;
        assert_eq!(report.endpoints[&backend.id()].errors, 0, "{body:?}");
    }
}

/// Sends a large body while it reads the answer, as clients do.
async fn post_large(address: std::net::SocketAddr, bytes: usize) -> String {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let sending = tokio::spawn(async move {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {bytes}\r\n\r\n");
        write.write_all(head.as_bytes()).await?;
        write.write_all(&vec![b'x'; bytes]).await?;
        Ok::<_, std::io::Error>(write)
    });
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(PATIENCE, read.read_to_end(&mut answer)).await;
    // a reset after the answer is an end too; what counts is what was read
    let _ = reading.expect("the connection ended in time");
    sending.abort();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn response_before_the_request_body_is_read_is_delivered_whole() {
    // fits into the balancer's socket: a reset takes along what does not
    const ANSWER: usize = 20_000;
    let mut balancer = single().await;
    // says no, and closes with most of the body unread: a reset
    let backend = Backend::raw("a", |mut stream, _| async move {
        read_head(&mut stream).await;
        let head = format!("HTTP/1.1 413 Too Large\r\nContent-Length: {ANSWER}\r\nConnection: close\r\n\r\n");
        let whole = [head.into_bytes(), vec![b'n'; ANSWER]].concat();
        stream.write_all(&whole).await.unwrap();
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    for round in 0..20 {
        let answer = post_large(balancer.address, 8 << 20).await;
        assert_eq!(status(&answer), 413, "{round}: {}", &answer[..answer.len().min(300)]);
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        assert_eq!(body.len(), ANSWER, "{round}");
    }
    balancer.until(|r| r.in_flight(&backend.id()) == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_reply_reaches_a_client_that_is_still_sending() {
    let mut balancer = single().await;
    balancer.publish(simple(1, &[])).await;
    // sends all of its body before it reads: a reset would end that
    for round in 0..20 {
        let mut stream = TcpStream::connect(balancer.address).await.unwrap();
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 8 << 20);
        stream.write_all(request.as_bytes()).await.unwrap();
        let sent = stream.write_all(&vec![b'x'; 8 << 20]).await;
        assert!(sent.is_ok(), "{round}: {sent:?}");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(status(&answer), 503, "{round}: {answer}");
    }
}

#[tokio::test]
async fn connection_with_an_unfinished_request_body_is_not_reused() {
    let mut balancer = single().await;
    // answers as soon as it has the head, then reads the body
    let backend = Backend::raw("a", |mut stream, _| async move {
        while let Some(head) = read_head(&mut stream).await {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            let mut body = vec![0; if head.contains("content-length: 8") { 8 } else { 0 }];
            if stream.read_exact(&mut body).await.is_err() {
                return;
            }
        }
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    let mut slow = TcpStream::connect(balancer.address).await.unwrap();
    slow.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf").await.unwrap();
    let head =
        tokio::time::timeout(PATIENCE, read_head(&mut slow)).await.expect("the answer is not held back");
    assert_eq!(status(&head.unwrap()), 200);
    let report = balancer.until(|_| true).await;
    let mut other = Client::connect(balancer.address).await;
    assert_eq!(other.send("GET", "/", "").await.unwrap(), (200, "ok".to_owned()));
    assert_eq!(backend.accepted.load(Ordering::SeqCst), 2, "the first still takes in a body");
    assert!(report.in_flight(&backend.id()) <= 1);
    let mut ok = [0; 2];
    slow.read_exact(&mut ok).await.unwrap();
    slow.write_all(b"body").await.unwrap();
    balancer.until(|r| r.in_flight(&backend.id()) == 0).await;
    // and the client's connection stays open
    slow.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut rest = String::new();
    slow.read_to_string(&mut rest).await.unwrap();
    assert!(status(&rest) == 200 && rest.ends_with("ok"), "{rest}");
}

#[tokio::test]
async fn client_that_disconnects_in_its_body_frees_the_endpoint() {
    let mut balancer = single().await;
    let closed = Arc::new(Notify::new());
    let signal = Arc::clone(&closed);
    let backend = Backend::raw("a", move |mut stream, _| {
        let signal = Arc::clone(&signal);
        async move {
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all).await;
            signal.notify_one();
        }
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    for (what, framing) in [
        ("sized", "Content-Length: 10\r\n\r\nhalf"),
        ("chunked", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
    ] {
        let mut stream = TcpStream::connect(balancer.address).await.unwrap();
        stream.write_all(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}").as_bytes()).await.unwrap();
        balancer.until(|r| r.in_flight(&backend.id()) == 1).await;
        drop(stream);
        let report = balancer.until(|r| r.in_flight(&backend.id()) == 0).await;
        assert_eq!(report.endpoints[&backend.id()].errors, 0, "{what}: the endpoint is not to blame");
        tokio::time::timeout(PATIENCE, closed.notified())
            .await
            .expect("the connection to the endpoint is closed");
    }
}

#[tokio::test]
async fn trickling_request_body_is_cut() {
    let mut balancer = Balancer::start(Setup { threads: 1, ..Setup::default() }).await;
    let backend = Backend::echo("a").await;
    let routes =
        [route_with(route(None, "/", "web"), |forward| forward.waits.upload_timeout = Millis::secs(2))];
    balancer.publish(table(1, &routes, &[("web", &[&backend])])).await;
    let mut stream = TcpStream::connect(balancer.address).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n").await.unwrap();
    let (mut read, mut write) = stream.split();
    // The pauses are far shorter than the limit, on a busy machine too: the connection is cut for its rate.
    let dribbling = async {
        while write.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = dribbling => {}
        _ = read.read_to_end(&mut answer) => {}
        () = tokio::time::sleep(PATIENCE) => panic!("the connection is still held"),
    }
    let _ = read.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.is_empty() || status(&answer) == 408, "{answer}");
    balancer.until(|r| r.in_flight(&backend.id()) == 0).await;
}

#[tokio::test]
async fn endpoint_that_closes_after_each_response_gets_a_connection_per_request() {
    let mut balancer = single().await;
    let backend = Backend::raw("a", |mut stream, _| async move {
        let head = read_head(&mut stream).await.unwrap();
        let mut body = vec![0; if head.contains("content-length: 4") { 4 } else { 0 }];
        stream.read_exact(&mut body).await.unwrap();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    let mut client = Client::connect(balancer.address).await;
    for n in 0..200 {
        let (method, body) = if n % 2 == 0 { ("POST", "body") } else { ("GET", "") };
        let answered = client.send(method, "/", body).await.unwrap();
        assert_eq!(answered, (200, "ok".to_owned()), "{n}");
    }
    assert_eq!(backend.accepted.load(Ordering::SeqCst), 200);
}

#[tokio::test]
async fn unread_body_is_not_requested_with_100_continue() {
    let mut balancer = single().await;
    balancer.publish(simple(1, &[])).await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(balancer.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = tokio::time::timeout(PATIENCE, read_head(&mut stream)).await.unwrap().unwrap();
    assert_eq!(status(&head), 503, "{head}");
}

#[tokio::test]
async fn connection_in_use_when_its_endpoint_departs_is_closed_after_its_response() {
    let mut balancer = single().await;
    let (release, closed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (gate, signal) = (Arc::clone(&release), Arc::clone(&closed));
    let backend = Backend::raw("a", move |mut stream, _| {
        let (gate, signal) = (Arc::clone(&gate), Arc::clone(&signal));
        async move {
            while read_head(&mut stream).await.is_some() {
                gate.notified().await;
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            }
            signal.notify_one();
        }
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    let address = balancer.address;
    let asking = tokio::spawn(async move { get(address, "a", "/").await });
    balancer.until(|r| r.in_flight(&backend.id()) == 1).await;
    balancer.publish(simple(2, &[])).await;
    release.notify_one();
    assert!(asking.await.unwrap().ends_with("ok"));
    // a container that waits for its connections to end is not held up
    tokio::time::timeout(PATIENCE, closed.notified()).await.expect("the connection was closed");
}

/// A response that is longer than every buffer on the way, and breaks off.
async fn breaking_off(head: &'static str) -> Backend {
    Backend::raw("a", move |mut stream, _| async move {
        read_head(&mut stream).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        // the balancer may leave at any time
        let _ = stream.write_all(&vec![b'x'; 32 << 20]).await;
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn response_that_breaks_off_under_a_slow_reader_is_not_ended_as_whole() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5f5e0ff\r\n",
    ] {
        let mut balancer = single().await;
        let backend = breaking_off(head).await;
        balancer.publish(simple(1, &[&backend])).await;
        let mut client = TcpStream::connect(balancer.address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 1 << 10];
        let mut end = Vec::new();
        // reads slowly: the balancer always waits for this client when the endpoint leaves
        loop {
            let read = tokio::time::timeout(PATIENCE, client.read(&mut answer)).await;
            match read.expect("the connection ended in time") {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    end.extend_from_slice(&answer[..count]);
                    end.drain(..end.len().saturating_sub(5));
                }
            }
        }
        assert_ne!(end, b"0\r\n\r\n", "{head}");
        balancer.until(|r| r.endpoints.get(&backend.id()).is_some_and(|e| e.errors == 1)).await;
    }
}

#[tokio::test]
async fn connection_whose_request_breaks_off_after_its_response_is_not_reused() {
    let mut balancer = single().await;
    // answers before it has the body
    let backend = Backend::raw("a", |mut stream, _| async move {
        while read_head(&mut stream).await.is_some() {
            stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        }
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    for (framing, rest) in [("Content-Length: 100", "abc"), ("Transfer-Encoding: chunked", "zz\r\n")] {
        let mut client = TcpStream::connect(balancer.address).await.unwrap();
        client
            .write_all(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n").as_bytes())
            .await
            .unwrap();
        assert!(read_head(&mut client).await.unwrap().starts_with("HTTP/1.1 401"));
        let with_this = backend.accepted.load(Ordering::SeqCst);
        client.write_all(rest.as_bytes()).await.unwrap();
        drop(client);
        balancer.until(|r| r.in_flight(&backend.id()) == 0).await;
        assert_eq!(status(&get(balancer.address, "a", "/").await), 401);
        assert_eq!(backend.accepted.load(Ordering::SeqCst), with_this + 1, "{framing}: on one of its own");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn body_is_forwarded_while_the_client_reads_nothing() {
    const LENGTH: usize = 32 << 20;
    let mut balancer = single().await;
    // sends back what it gets: more than all buffers hold
    let backend = Backend::raw("a", |mut stream, _| async move {
        read_head(&mut stream).await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut read, mut write) = stream.split();
        let mut got = Vec::new();
        let mut sent = 0;
        while got.len() < LENGTH && read.read_buf(&mut got).await.unwrap() > 0 {
            // never waits for the client, as a service with buffers of its own does not
            sent += write.try_write(&got[sent..]).unwrap_or_default();
        }
        write.write_all(&got[sent..]).await.unwrap();
    })
    .await;
    balancer.publish(simple(1, &[&backend])).await;
    let mut client = TcpStream::connect(balancer.address).await.unwrap();
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {LENGTH}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let body = vec![b'x'; LENGTH];
    let sending = client.write_all(&body);
    tokio::time::timeout(PATIENCE, sending).await.expect("all is taken in time").unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, client.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(answer.len() > LENGTH && answer.ends_with(b"xxx"), "{}", answer.len());
}
