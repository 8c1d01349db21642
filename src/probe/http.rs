//! One HTTP probe: `GET` over a connection of its own; 200 to 399 passes.

use std::time::Duration;

use ::http::{Request, Response, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::address::ProbeAddress;
use super::observation;
use crate::model::{FailedProbe, Health, io_error_text};

/// How much of a failed response's body is read for its first line.
const BODY_MAX: usize = 4096;

/// How long the body of a failed response may take: its status is known and must not be lost to an endless body.
const BODY_WAIT: Duration = Duration::from_millis(200);

/// Probes once. The caller bounds the time.
pub(super) async fn probe(place: &ProbeAddress, path: &str, health: &Health) -> Result<(), FailedProbe> {
    let no_answer = |why: &str| observation::no_answer(path, why);
    let stream = place.connect(no_answer).await?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(place, no_answer, &error))?;
    let request = request(place, path, health).map_err(|error| no_answer(&error.to_string()))?;

    let exchange = async {
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| failed(place, no_answer, &error))?;
        judge(path, response).await
    };
    drive(exchange, connection).await
}

fn request(
    place: &ProbeAddress,
    path: &str,
    health: &Health,
) -> Result<Request<Empty<Bytes>>, ::http::Error> {
    let host = health.host.clone().unwrap_or_else(|| place.address.to_string());
    let mut request = Request::get(path).header(header::HOST, host).header(header::CONNECTION, "close");
    if !health.headers.keys().any(|name| name.eq_ignore_ascii_case("user-agent")) {
        request = request.header(header::USER_AGENT, "coxswain-probe");
    }
    for (name, value) in &health.headers {
        request = request.header(name, value);
    }
    request.body(Empty::new())
}

/// Drives a connection until its exchange ends.
pub(super) async fn drive<T>(exchange: impl Future<Output = T>, connection: impl Future) -> T {
    tokio::pin!(exchange, connection);
    tokio::select! {
        biased;
        outcome = &mut exchange => outcome,
        // The connection's end also wakes the exchange, which reports the cause.
        _ = &mut connection => exchange.await,
    }
}

async fn judge(path: &str, response: Response<Incoming>) -> Result<(), FailedProbe> {
    let status = response.status();
    if status.is_success() || status.is_redirection() {
        return Ok(());
    }
    let mut seen = Vec::new();
    let reading = read_start(response.into_body(), &mut seen);
    if tokio::time::timeout(BODY_WAIT, reading).await.is_err() {
        tracing::trace!(path, "a failed probe's body did not come in time");
    }
    Err(observation::answer(path, status.as_u16(), &seen))
}

/// Reads up to [`BODY_MAX`] bytes; a body that breaks off counts as complete.
async fn read_start(mut body: Incoming, seen: &mut Vec<u8>) {
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref() {
            seen.extend_from_slice(&data[..data.len().min(BODY_MAX - seen.len())]);
        }
        if seen.len() == BODY_MAX {
            return;
        }
    }
}

/// The failure of an exchange without a response; `describe` makes the observation from the reason.
pub(super) fn failed(
    place: &ProbeAddress,
    describe: impl FnOnce(&str) -> FailedProbe,
    error: &hyper::Error,
) -> FailedProbe {
    let why = reason(error);
    if hung_up(error) { place.hung_up(describe, &why) } else { describe(&why) }
}

/// Whether the only failure is that the connection ended.
fn hung_up(error: &hyper::Error) -> bool {
    use std::error::Error as _;
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected, UnexpectedEof};
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return matches!(io.kind(), BrokenPipe | ConnectionReset | NotConnected | UnexpectedEof);
        }
        cause = error.source();
    }
    error.is_incomplete_message() || error.is_canceled() || error.is_closed()
}

/// hyper's error in the words of an observation.
pub(super) fn reason(error: &hyper::Error) -> String {
    use std::error::Error as _;
    let io = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    match io {
        Some(io) => io_error_text(io),
        None if error.is_incomplete_message() || error.is_canceled() || error.is_closed() => {
            "connection closed without a response".to_owned()
        }
        None if error.is_parse() => "the response is not HTTP".to_owned(),
        // hyper displays "http2 error" without the cause.
        None if format!("{error:?}").contains("Http2") => {
            let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            format!("the response is not HTTP/2: {cause}")
        }
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HealthCheck, ProbeAnswer};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A server that reads a request, answers these bytes and closes; returns the probe's outcome and the request.
    async fn ask(answer: &'static [u8]) -> (Result<(), FailedProbe>, String) {
        ask_with(answer, &plain()).await
    }

    fn plain() -> Health {
        Health::with(HealthCheck::Http("/".into()))
    }

    async fn ask_with(answer: &'static [u8], health: &Health) -> (Result<(), FailedProbe>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let n = stream.read(&mut request).await.unwrap();
            stream.write_all(answer).await.unwrap();
            String::from_utf8_lossy(&request[..n]).into_owned()
        });
        let outcome = probe(&ProbeAddress::direct(target), "/healthz?full=1", health).await;
        (outcome, server.await.unwrap())
    }

    #[tokio::test]
    async fn http_probe_passes_on_2xx_and_3xx() {
        for answer in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"[..],
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\n\r\nold",
        ] {
            assert_eq!(ask(answer).await.0, Ok(()));
        }
        let (_, request) = ask(b"HTTP/1.1 200 OK\r\n\r\n").await;
        assert!(request.starts_with("GET /healthz?full=1 HTTP/1.1\r\nhost: 127.0.0.1:"), "{request}");
    }

    #[tokio::test]
    async fn http_probe_sends_host_and_headers() {
        let health = Health {
            host: Some("shop.example.com".into()),
            headers: [("X-Forwarded-Proto", "https"), ("user-agent", "mine")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..plain()
        };
        let (_, request) = ask_with(b"HTTP/1.1 200 OK\r\n\r\n", &health).await;
        for line in ["host: shop.example.com\r\n", "x-forwarded-proto: https\r\n", "user-agent: mine\r\n"] {
            assert!(request.contains(line), "{request}");
        }
        assert_eq!(request.matches("host:").count(), 1, "{request}");
        assert!(!request.contains("coxswain-probe"), "{request}");
    }

    #[tokio::test]
    async fn http_probe_of_other_status_fails_with_first_line() {
        for (answer, reported) in [
            (&b"HTTP/1.1 503 No\r\ncontent-length: 13\r\n\r\nwarming cache"[..], "503 \"warming cache\""),
            (b"HTTP/1.1 404 Not Found\r\n\r\n", "404"),
            (b"HTTP/1.1 500 No\r\ncontent-length: 99\r\n\r\nbroken off", "500 \"broken off\""),
            (b"", "connection closed without a response"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", "the response is not HTTP"),
        ] {
            let message = ask(answer).await.0.map_err(|failed| failed.message);
            assert_eq!(message, Err(format!("GET /healthz?full=1 → {reported}")));
        }
    }

    #[tokio::test]
    async fn closed_port_is_connection_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = ProbeAddress::direct(listener.local_addr().unwrap());
        drop(listener);
        let answer = ProbeAnswer::Refused { port: place.port };
        for (reported, expected) in [
            (probe(&place, "/", &plain()).await, "GET / → connection refused".to_owned()),
            (
                super::super::tcp::probe(&place, crate::model::Millis::secs(1)).await,
                format!("connect to port {} → connection refused", place.port),
            ),
        ] {
            assert_eq!(reported, Err(FailedProbe { message: expected, answer: answer.clone() }));
        }
    }

    #[tokio::test]
    async fn proxy_that_closes_means_nothing_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let direct = ProbeAddress::direct(listener.local_addr().unwrap());
        let proxied = ProbeAddress { port: 8080, proxied: true, ..direct };
        let closing = async {
            while let Ok((stream, _)) = listener.accept().await {
                drop(stream);
            }
        };
        let probes = async {
            let answer = async |place: &ProbeAddress| probe(place, "/", &plain()).await.unwrap_err().answer;
            let grpc =
                async |place: &ProbeAddress| super::super::grpc::probe(place, "").await.unwrap_err().answer;
            assert_eq!(answer(&direct).await, ProbeAnswer::Nothing, "someone accepted");
            assert_eq!(answer(&proxied).await, ProbeAnswer::Refused { port: 8080 });
            assert_eq!(grpc(&direct).await, ProbeAnswer::Nothing);
            assert_eq!(grpc(&proxied).await, ProbeAnswer::Refused { port: 8080 });
        };
        tokio::select! {
            () = closing => unreachable!("it accepts on"),
            () = probes => {}
        }
    }
}
