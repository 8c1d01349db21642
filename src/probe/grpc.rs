//! One gRPC probe: `grpc.health.v1.Health/Check` over h2c, on a connection of its own; `SERVING` passes.

use ::http::{HeaderMap, Request, Response, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use percent_encoding::percent_decode_str;

use super::address::ProbeAddress;
use super::health_message::{request, serving};
use super::{http, observation};
use crate::model::FailedProbe;

/// How much of a response is read: its message has a few bytes.
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

/// Probes once. The caller bounds the time.
pub(super) async fn probe(place: &ProbeAddress, service: &str) -> Result<(), FailedProbe> {
    let failed = |why: &str| observation::grpc(service, why, b"");
    let stream = place.connect(failed).await?;
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .map_err(|error| http::failed(place, failed, &error))?;
    let request = Request::post(format!("http://{}/grpc.health.v1.Health/Check", place.address))
        .header(header::USER_AGENT, "coxswain-probe")
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .body(Full::new(Bytes::from(request(service))))
        .map_err(|error| failed(&error.to_string()))?;

    let exchange = async {
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| http::failed(place, failed, &error))?;
        judge(service, response).await
    };
    http::drive(exchange, connection).await
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
        None => Err(observation::grpc(service, "the response is not a health check's", b"")),
    }
}

/// Status and message of a call that failed, from the headers or trailers.
fn refusal(headers: &HeaderMap) -> Option<(String, String)> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let code = text("grpc-status");
    match code.parse::<u64>() {
        Ok(0) => None,
        Ok(number) => Some((
            named(&CODES, number),
            percent_decode_str(text("grpc-message")).decode_utf8_lossy().into_owned(),
        )),
        Err(_) => Some(("no gRPC status".to_owned(), String::new())),
    }
}

fn named(names: &[&str], number: u64) -> String {
    let name = usize::try_from(number).ok().and_then(|index| names.get(index));
    name.map_or_else(|| number.to_string(), |name| (*name).to_owned())
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

    /// The reply of a server: status, message, trailers.
    #[derive(Clone)]
    struct GrpcReply(u16, &'static [u8], &'static [(&'static str, &'static str)]);

    /// An h2c server that answers one connection so; the outcome of a probe, and what it was asked.
    async fn ask(service: &str, answer: GrpcReply) -> (Result<(), FailedProbe>, (String, Vec<u8>)) {
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
        let outcome = probe(&ProbeAddress::direct(target), service).await;
        server.abort();
        let asked = asked.lock().unwrap().clone();
        (outcome, asked)
    }

    type Frames = futures::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>;

    fn reply_with(GrpcReply(status, message, trailers): &GrpcReply) -> Response<StreamBody<Frames>> {
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
    async fn grpc_probe_of_serving_service_passes() {
        let (outcome, asked) = ask("shop.Users", GrpcReply(200, b"\0\0\0\0\x02\x08\x01", OK)).await;
        assert_eq!(outcome, Ok(()));
        assert_eq!(asked.0, "/grpc.health.v1.Health/Check trailers");
        assert_eq!(asked.1, b"\0\0\0\0\x0c\x0a\x0ashop.Users");
        let (outcome, asked) = ask("", GrpcReply(200, b"\0\0\0\0\x02\x08\x01", OK)).await;
        assert_eq!((outcome, asked.1.as_slice()), (Ok(()), &b"\0\0\0\0\0"[..]));
    }

    #[tokio::test]
    async fn grpc_probe_of_other_status_fails_with_its_name() {
        let unknown: &[(&str, &str)] = &[("grpc-status", "5"), ("grpc-message", "unknown%20service")];
        for (answer, reported) in [
            (GrpcReply(200, b"\0\0\0\0\x02\x08\x02", OK), "NOT_SERVING"),
            (GrpcReply(200, b"\0\0\0\0\0", OK), "UNKNOWN"),
            (GrpcReply(200, b"\0\0\0\0\x02\x08\x09", OK), "9"),
            (GrpcReply(200, b"", OK), "the response is not a health check's"),
            (GrpcReply(200, b"", unknown), "NOT_FOUND \"unknown service\""),
            (GrpcReply(200, b"", &[("grpc-status", "12")]), "UNIMPLEMENTED"),
            (GrpcReply(200, b"hello", &[]), "no gRPC status"),
            (GrpcReply(404, b"", OK), "HTTP 404"),
        ] {
            let (outcome, _) = ask("users", answer).await;
            let message = outcome.map_err(|failed| failed.message);
            assert_eq!(message, Err(format!("grpc Health/Check users → {reported}")));
        }
    }

    #[test]
    fn grpc_message_percent_encoding_is_decoded() {
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
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", HeaderValue::from_static("2"));
            headers.insert("grpc-message", HeaderValue::from_static(coded));
            assert_eq!(refusal(&headers), Some(("UNKNOWN".to_owned(), text.to_owned())), "{coded}");
        }
    }

    #[tokio::test]
    async fn grpc_probe_of_server_without_http2_fails() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // A proxy would make nothing else of it.
        let address = listener.local_addr().unwrap();
        let place = ProbeAddress { address, port: 8080, proxied: true };
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
            // Until the client is done: closing with its words unread would reset the connection.
            while stream.read(&mut [0; 1024]).await.is_ok_and(|n| n > 0) {}
            drop(listener);
        });
        let reported = probe(&place, "").await.unwrap_err();
        assert!(
            reported.message.starts_with("grpc Health/Check → the response is not HTTP/2"),
            "{reported:?}"
        );
        assert_eq!(reported.answer, crate::model::ProbeAnswer::Nothing);
        server.await.unwrap();
        let refused = probe(&place, "").await.unwrap_err();
        assert_eq!(refused.message, "grpc Health/Check → connection refused");
        assert_eq!(refused.answer, crate::model::ProbeAnswer::Refused { port: 8080 });
    }
}
