//! One request and its answer, without retries.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::tls::LoadTls;

/// The listener is local: it accepts at once unless its queue is full.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub(crate) struct LoadTarget {
    pub(crate) address: SocketAddr,
    /// `None`: HTTP without TLS.
    pub(crate) tls: Option<LoadTls>,
    /// For the `Host` header.
    pub(crate) host: String,
    /// Including the query.
    pub(crate) path: String,
    /// A safe method.
    pub(crate) method: Method,
    /// Time limit for the complete answer.
    pub(crate) deadline: Duration,
    /// Slower correct answers count as late.
    pub(crate) late_after: Duration,
}

pub(super) type KeptConnection = SendRequest<Empty<Bytes>>;

/// Sends a request and reads the complete answer. Uses the kept connection unless the server closed it before a byte was
/// sent; otherwise opens a new one.
///
/// # Errors
/// The kind of failure, the same text for the same kind.
pub(super) async fn exchange(
    target: &LoadTarget,
    kept: Option<KeptConnection>,
    keep: bool,
) -> Result<KeptConnection, String> {
    if let Some(mut connection) = kept
        && connection.ready().await.is_ok()
    {
        match connection.try_send_request(request(target, keep)?).await {
            Ok(response) => return finish(connection, response).await,
            Err(mut error) => {
                if error.take_message().is_none() {
                    return Err(connection_failure(&error.into_error()));
                }
            }
        }
    }
    let mut connection = connect(target).await?;
    let sent = connection.send_request(request(target, keep)?).await;
    finish(connection, sent.map_err(|error| connection_failure(&error))?).await
}

async fn connect(target: &LoadTarget) -> Result<KeptConnection, String> {
    let stream = match tokio::time::timeout(CONNECT_DEADLINE, TcpStream::connect(target.address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(format!("no connection: {}", error.kind())),
        Err(_) => return Err(format!("no connection within {}s", CONNECT_DEADLINE.as_secs())),
    };
    match &target.tls {
        None => speak(stream).await,
        Some(tls) => speak(tls.connect(stream).await?).await,
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<KeptConnection, String> {
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|error| connection_failure(&error))?;
    // The connection lives as long as its sender, and its errors surface at the request.
    tokio::spawn(connection);
    Ok(sender)
}

fn request(target: &LoadTarget, keep: bool) -> Result<Request<Empty<Bytes>>, String> {
    let request = Request::builder()
        .method(target.method.clone())
        .uri(&target.path)
        .header(http::header::HOST, &target.host)
        .header(http::header::USER_AGENT, concat!("ctl-verify/", env!("CARGO_PKG_VERSION")));
    let request = if keep { request } else { request.header(http::header::CONNECTION, "close") };
    request.body(Empty::new()).map_err(|error| format!("not a request: {error}"))
}

/// Reads and discards the body. A status of 400 or more is a failure.
async fn finish(connection: KeptConnection, response: Response<Incoming>) -> Result<KeptConnection, String> {
    let status = response.status();
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        frame.map_err(|_| "the answer was truncated".to_owned())?;
    }
    if status.is_client_error() || status.is_server_error() {
        Err(status.to_string())
    } else {
        Ok(connection)
    }
}

fn connection_failure(error: &hyper::Error) -> String {
    let kind = if error.is_parse() {
        "the answer is not HTTP"
    } else {
        "the connection was closed before an answer"
    };
    kind.to_owned()
}
