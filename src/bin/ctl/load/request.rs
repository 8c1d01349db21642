//! One request and its answer, judged strictly: a client that would try again is not the point here.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The entry point is on this machine: it accepts at once, or its queue is full.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// Where requests go, and what is right.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The HTTP entry point.
    pub(crate) address: SocketAddr,
    /// For the `Host` header.
    pub(crate) host: String,
    /// With its query.
    pub(crate) path: String,
    /// A safe one: it may come in the middle of anything.
    pub(crate) method: Method,
    /// The longest until an answer is whole; longer is a failure.
    pub(crate) deadline: Duration,
    /// A right answer that takes longer is late.
    pub(crate) late_after: Duration,
}

/// A connection that can carry another request.
pub(super) type Connection = SendRequest<Empty<Bytes>>;

/// Sends a request and reads its answer to the end. Over the kept connection, unless the other side has closed that before
/// a byte was sent: then, and without one, over a new one.
///
/// # Errors
/// The kind of failure, in words that are the same for each request.
pub(super) async fn exchange(
    target: &Target,
    kept: Option<Connection>,
    keep: bool,
) -> Result<Connection, String> {
    if let Some(mut connection) = kept
        && connection.ready().await.is_ok()
    {
        match connection.try_send_request(request(target, keep)?).await {
            Ok(response) => return finish(connection, response).await,
            Err(mut error) => {
                if error.take_message().is_none() {
                    return Err(cut(&error.into_error()));
                }
            }
        }
    }
    let mut connection = connect(target.address).await?;
    let sent = connection.send_request(request(target, keep)?).await;
    finish(connection, sent.map_err(|error| cut(&error))?).await
}

async fn connect(address: SocketAddr) -> Result<Connection, String> {
    let stream = match tokio::time::timeout(CONNECT_DEADLINE, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(format!("no connection: {}", error.kind())),
        Err(_) => return Err(format!("no connection within {}s", CONNECT_DEADLINE.as_secs())),
    };
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|error| cut(&error))?;
    // It lives as long as its sender; what goes wrong on it comes out at the request.
    tokio::spawn(connection);
    Ok(sender)
}

fn request(target: &Target, keep: bool) -> Result<Request<Empty<Bytes>>, String> {
    let request = Request::builder()
        .method(target.method.clone())
        .uri(&target.path)
        .header(http::header::HOST, &target.host)
        .header(http::header::USER_AGENT, concat!("ctl-verify/", env!("CARGO_PKG_VERSION")));
    let request = if keep { request } else { request.header(http::header::CONNECTION, "close") };
    request.body(Empty::new()).map_err(|error| format!("not a request: {error}"))
}

/// Reads the body, whatever is in it; a service that answers with 400 or more does not serve this request.
async fn finish(connection: Connection, response: Response<Incoming>) -> Result<Connection, String> {
    let status = response.status();
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        frame.map_err(|_| "the answer was cut off".to_owned())?;
    }
    if status.is_client_error() || status.is_server_error() {
        Err(status.to_string())
    } else {
        Ok(connection)
    }
}

fn cut(error: &hyper::Error) -> String {
    let kind = match () {
        () if error.is_parse() => "an answer that is not HTTP",
        () => "the connection was closed before an answer",
    };
    kind.to_owned()
}
