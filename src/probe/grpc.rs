//! One gRPC probe: `grpc.health.v1.Health/Check` over h2c, on a connection of its own; `SERVING` passes.
//!
//! The two messages have one field each, so they are written and read here: no `protoc`, no generated code.

use ::http::{HeaderMap, Request, Response, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::place::Place;
use super::{http, observation};
use crate::model::FailedProbe;

/// As much of an answer as is read: its message has a few bytes.
const BODY_MAX: usize = 1024;

/// `HealthCheckResponse.ServingStatus`, by its number.
const SERVING: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/// gRPC's status codes, by their number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Asks once. The caller bounds the time.
pub(super) async fn probe(place: &Place, service: &str) -> Result<(), FailedProbe> {
    let failed = |why: &str| observation::grpc(service, why, b"");
    let stream = place.connect(failed).await?;
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .map_err(|error| http::failed(place, failed, &error))?;
    let request = Request::post(format!("http://{}/grpc.health.v1.Health/Check", place.address))
        .header(header::USER_AGENT, "coxswain-probe")
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .body(Full::new(request(service)))
        .map_err(|error| failed(&error.to_string()))?;

    let exchange = async {
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| http::failed(place, failed, &error))?;
        judge(service, response).await
    };
    tokio::pin!(exchange, connection);
    tokio::select! {
        biased;
        outcome = &mut exchange => outcome,
        // The connection's end also wakes the exchange, which says what it meant.
        _ = &mut connection => exchange.await,
    }
}

async fn judge(service: &str, response: Response<Incoming>) -> Result<(), FailedProbe> {
    let unwell = |why: &str, message: &str| {
        Err(observation::unwell(observation::grpc(service, why, message.as_bytes())))
    };
    let status = response.status();
    if !status.is_success() {
        return unwell(&format!("HTTP {}", status.as_u16()), "");
    }
    let mut headers = response.headers().clone();
    let mut body = response.into_body();
    let mut seen = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| observation::grpc(service, &http::reason(&error), b""))?;
        match frame.into_trailers() {
            Ok(trailers) => headers.extend(trailers),
            Err(frame) => {
                let data = frame.into_data().unwrap_or_default();
                seen.extend_from_slice(&data[..data.len().min(BODY_MAX - seen.len())]);
            }
        }
    }
    if let Some((code, message)) = refusal(&headers) {
        return unwell(&code, &message);
    }
    match serving(&seen) {
        Some(1) => Ok(()),
        Some(other) => unwell(&named(&SERVING, other), ""),
        None => Err(observation::grpc(service, "the answer is not a health check's", b"")),
    }
}

/// What the call itself failed with, if it did: status and message from the headers or trailers.
fn refusal(headers: &HeaderMap) -> Option<(String, String)> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let code = text("grpc-status");
    match code.parse::<u64>() {
        Ok(0) => None,
        Ok(number) => Some((named(&CODES, number), percent_decoded(text("grpc-message")))),
        Err(_) => Some(("no gRPC status".to_owned(), String::new())),
    }
}

/// gRPC writes `%E2%86%92` for bytes outside of printable ASCII and for `%`. What is no such code stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        let coded = others.first_chunk().filter(|_| *first == b'%').and_then(|digits| byte(*digits));
        bytes.push(coded.unwrap_or(*first));
        rest = if coded.is_some() { &others[2..] } else { others };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn byte([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

fn named(names: &[&str], number: u64) -> String {
    let name = usize::try_from(number).ok().and_then(|index| names.get(index));
    name.map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

/// `HealthCheckRequest { service = 1 }` in gRPC's frame: not compressed, length, message.
fn request(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        write_varint(&mut message, service.len());
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut frame = vec![0];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&message);
    frame.into()
}

fn write_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// `HealthCheckResponse { status = 1 }` out of gRPC's frame; a message without the field says 0.
fn serving(frame: &[u8]) -> Option<u64> {
    let (head, rest) = frame.split_at_checked(5)?;
    let length = usize::try_from(u32::from_be_bytes([head[1], head[2], head[3], head[4]])).ok()?;
    if head[0] != 0 {
        return None;
    }
    let mut message = rest.get(..length)?;
    let mut status = 0;
    while !message.is_empty() {
        let key = read_varint(&mut message)?;
        let skipped = match key & 7 {
            0 => {
                let value = read_varint(&mut message)?;
                if key >> 3 == 1 {
                    status = value;
                }
                0
            }
            1 => 8,
            2 => usize::try_from(read_varint(&mut message)?).ok()?,
            5 => 4,
            _ => return None,
        };
        message = message.get(skipped..)?;
    }
    Some(status)
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (shift, byte) in (0..64).step_by(7).zip(*bytes) {
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            *bytes = &bytes[shift / 7 + 1..];
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use ::http::{HeaderValue, StatusCode};
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use hyper::service::service_fn;
    use tokio::net::TcpListener;

    use super::*;

    /// What a server answers: status, message, trailers.
    #[derive(Clone)]
    struct Answer(u16, &'static [u8], &'static [(&'static str, &'static str)]);

    /// An h2c server that answers one connection so; the outcome of a probe, and what it was asked.
    async fn ask(service: &str, answer: Answer) -> (Result<(), FailedProbe>, (String, Vec<u8>)) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        let asked = Arc::new(std::sync::Mutex::new((String::new(), Vec::new())));
        let seen = asked.clone();
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let reply = service_fn(move |request: Request<Incoming>| {
                let (seen, answer) = (seen.clone(), answer.clone());
                async move {
                    let path = request.uri().path().to_owned();
                    let te = request.headers()[header::TE].to_str().unwrap().to_owned();
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    *seen.lock().unwrap() = (format!("{path} {te}"), body.to_vec());
                    Ok::<_, Infallible>(reply_with(&answer))
                }
            });
            let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), reply)
                .await;
        });
        let outcome = probe(&Place::direct(target), service).await;
        server.abort();
        let asked = asked.lock().unwrap().clone();
        (outcome, asked)
    }

    type Frames = futures::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>;

    fn reply_with(Answer(status, message, trailers): &Answer) -> Response<StreamBody<Frames>> {
        let pairs = trailers
            .iter()
            .map(|(name, value)| (::http::HeaderName::from_static(name), HeaderValue::from_static(value)));
        let frames = vec![
            Ok(Frame::data(Bytes::from_static(message))),
            Ok(Frame::trailers(pairs.collect::<HeaderMap>())),
        ];
        let mut response = Response::new(StreamBody::new(futures::stream::iter(frames)));
        *response.status_mut() = StatusCode::from_u16(*status).unwrap();
        response
    }

    const OK: &[(&str, &str)] = &[("grpc-status", "0")];

    #[tokio::test]
    async fn a_serving_service_passes() {
        let (outcome, asked) = ask("shop.Users", Answer(200, b"\0\0\0\0\x02\x08\x01", OK)).await;
        assert_eq!(outcome, Ok(()));
        assert_eq!(asked.0, "/grpc.health.v1.Health/Check trailers");
        assert_eq!(asked.1, b"\0\0\0\0\x0c\x0a\x0ashop.Users");
        let (outcome, asked) = ask("", Answer(200, b"\0\0\0\0\x02\x08\x01", OK)).await;
        assert_eq!((outcome, asked.1.as_slice()), (Ok(()), &b"\0\0\0\0\0"[..]));
    }

    #[tokio::test]
    async fn other_answers_are_told() {
        let unknown: &[(&str, &str)] = &[("grpc-status", "5"), ("grpc-message", "unknown%20service")];
        for (answer, told) in [
            (Answer(200, b"\0\0\0\0\x02\x08\x02", OK), "NOT_SERVING"),
            (Answer(200, b"\0\0\0\0\0", OK), "UNKNOWN"),
            (Answer(200, b"\0\0\0\0\x02\x08\x09", OK), "9"),
            (Answer(200, b"", OK), "the answer is not a health check's"),
            (Answer(200, b"", unknown), "NOT_FOUND \"unknown service\""),
            (Answer(200, b"", &[("grpc-status", "12")]), "UNIMPLEMENTED"),
            (Answer(200, b"hello", &[]), "no gRPC status"),
            (Answer(404, b"", OK), "HTTP 404"),
        ] {
            let (outcome, _) = ask("users", answer).await;
            let message = outcome.map_err(|failed| failed.message);
            assert_eq!(message, Err(format!("grpc Health/Check users → {told}")));
        }
    }

    #[test]
    fn messages_are_written_as_people_read_them() {
        for (coded, text) in [
            ("unknown service", "unknown service"),
            ("unknown%20service", "unknown service"),
            ("1%25 of %E2%86%92%e2%86%90", "1% of →←"),
            ("100%", "100%"),
            ("%2", "%2"),
            ("%zz %+1", "%zz %+1"),
            ("%FF", "\u{fffd}"),
            ("%25%32%30", "%20"),
            ("", ""),
        ] {
            assert_eq!(percent_decoded(coded), text, "{coded}");
        }
    }

    #[tokio::test]
    async fn what_is_not_http2_is_told() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // A proxy would make nothing else of it.
        let address = listener.local_addr().unwrap();
        let place = Place { address, port: 8080, proxied: true };
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
            // Until the client is done: closing with its words unread would reset the connection.
            while stream.read(&mut [0; 1024]).await.is_ok_and(|n| n > 0) {}
            drop(listener);
        });
        let told = probe(&place, "").await.unwrap_err();
        assert!(told.message.starts_with("grpc Health/Check → the answer is not HTTP/2"), "{told:?}");
        assert_eq!(told.answer, crate::model::ProbeAnswer::Nothing);
        server.await.unwrap();
        let refused = probe(&place, "").await.unwrap_err();
        assert_eq!(refused.message, "grpc Health/Check → connection refused");
        assert_eq!(refused.answer, crate::model::ProbeAnswer::Refused { port: 8080 });
    }

    #[test]
    fn messages_are_read_as_protobuf_has_them() {
        for (frame, status) in [
            (&b"\0\0\0\0\x02\x08\x01"[..], Some(1)),
            (b"\0\0\0\0\x07\x12\x03abc\x08\x01", Some(1)),
            (b"\0\0\0\0\x03\x08\x80\x01", Some(128)),
            (b"\0\0\0\0\x02\x08\x80", None),
            (b"\0\0\0\0\x03\x12\x7fa", None),
            (b"\x01\0\0\0\x02\x08\x01", None),
            (b"\0\0\0\0\x09\x08\x01", None),
            (b"\0\0", None),
        ] {
            assert_eq!(serving(frame), status, "{frame:?}");
        }
        let long = request(&"x".repeat(200));
        assert_eq!(&long[..8], b"\0\0\0\0\xcb\x0a\xc8\x01");
    }
}
