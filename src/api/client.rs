//! The client's end of the API: one connection per call, over the daemon's unix socket.
//!
//! Purpose: typed calls; every failure comes back as an [`ApiError`] with the code and exit code that `ctl` ends with.
//! Invariants: connecting, each answer and the head of each stream have deadlines; answers and lines have a greatest
//! size; a write whose answer was lost is repeated once with the same request id, and nothing else is repeated.
//! Deliberately absent: waiting for an operation, reconnecting a stream (the caller knows what it has seen), making
//! request ids.

#![allow(clippy::result_large_err)] // an error ends the command: it is made once and never copied around

mod lines;
mod log_query;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use self::lines::{Lines, next_object};
use super::codes;
use super::types::{
    ApiError, ApplyRequest, ApplyResponse, Awaited, ConfirmRequest, ConfirmResponse, DaemonStatus,
    DeleteRequest, KillRequest, KillResponse, List, LogQuery, LogRecord, NodeObject, OperationProgress,
    ReplicaObject, RevisionObject, RolloutRequest, ScaleRequest, ServiceObject, WriteResponse,
};

use crate::model::{Endpoint, Event, Generation, ServiceName};

/// A unix socket connects at once or its queue is full; the supervisor keeps it open while a controller restarts.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
/// A read takes milliseconds; a controller that restarts is back within a few seconds.
const READ_DEADLINE: Duration = Duration::from_secs(10);
/// A write may have to pull an image before it can say what it resolves to.
const WRITE_DEADLINE: Duration = Duration::from_secs(600);
/// An answer larger than this is not one of ours: 5,000 services with 20 KiB each fit.
const ANSWER_MAX_BYTES: usize = 128 << 20;

/// A stream of objects; it ends when the daemon ends it, or after its first error.
pub type ObjectStream<T> = BoxStream<'static, Result<T, ApiError>>;

/// Calls the daemon that listens on one socket.
#[derive(Debug, Clone)]
pub struct ApiClient {
    socket: PathBuf,
}

impl ApiClient {
    /// A client for this socket; nothing is opened before the first call.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// State of the daemon.
    pub async fn status(&self) -> Result<DaemonStatus, ApiError> {
        self.get("/v1/status").await
    }

    /// All services.
    pub async fn services(&self) -> Result<Vec<ServiceObject>, ApiError> {
        Ok(self.get::<List<_>>("/v1/services").await?.items)
    }

    /// One service.
    pub async fn service(&self, name: &ServiceName) -> Result<ServiceObject, ApiError> {
        self.get(&format!("/v1/services/{name}")).await
    }

    /// Replicas, of one service or of all.
    pub async fn replicas(&self, service: Option<&ServiceName>) -> Result<Vec<ReplicaObject>, ApiError> {
        Ok(self.get::<List<_>>(&of_service("/v1/replicas", service)).await?.items)
    }

    /// Endpoints, of one service or of all.
    pub async fn endpoints(&self, service: Option<&ServiceName>) -> Result<Vec<Endpoint>, ApiError> {
        Ok(self.get::<List<_>>(&of_service("/v1/endpoints", service)).await?.items)
    }

    /// Revisions with what became of them, of one service or of all.
    pub async fn revisions(&self, service: Option<&ServiceName>) -> Result<Vec<RevisionObject>, ApiError> {
        Ok(self.get::<List<_>>(&of_service("/v1/revisions", service)).await?.items)
    }

    /// Hosts.
    pub async fn nodes(&self) -> Result<Vec<NodeObject>, ApiError> {
        Ok(self.get::<List<_>>("/v1/nodes").await?.items)
    }

    /// Applies documents.
    pub async fn apply(&self, request: &ApplyRequest) -> Result<ApplyResponse, ApiError> {
        self.write("/v1/apply", request).await
    }

    /// Sets replica counts.
    pub async fn scale(&self, request: &ScaleRequest) -> Result<WriteResponse, ApiError> {
        self.write("/v1/scale", request).await
    }

    /// Rolls a service.
    pub async fn rollout(&self, request: &RolloutRequest) -> Result<WriteResponse, ApiError> {
        self.write("/v1/rollout", request).await
    }

    /// Deletes services.
    pub async fn delete(&self, request: &DeleteRequest) -> Result<WriteResponse, ApiError> {
        self.write("/v1/delete", request).await
    }

    /// Releases held removals.
    pub async fn confirm(&self, request: &ConfirmRequest) -> Result<ConfirmResponse, ApiError> {
        self.write("/v1/confirm", request).await
    }

    /// Ends a container by force.
    pub async fn kill(&self, request: &KillRequest) -> Result<KillResponse, ApiError> {
        self.write("/v1/kill", request).await
    }

    /// All services, again whenever one changes.
    pub async fn watch_services(&self) -> Result<ObjectStream<List<ServiceObject>>, ApiError> {
        self.stream("/v1/services?watch=true").await
    }

    /// All replicas, again whenever one changes.
    pub async fn watch_replicas(&self) -> Result<ObjectStream<List<ReplicaObject>>, ApiError> {
        self.stream("/v1/replicas?watch=true").await
    }

    /// All endpoints, again whenever one changes.
    pub async fn watch_endpoints(&self) -> Result<ObjectStream<List<Endpoint>>, ApiError> {
        self.stream("/v1/endpoints?watch=true").await
    }

    /// All revisions, again whenever there is another, or one less.
    pub async fn watch_revisions(&self) -> Result<ObjectStream<List<RevisionObject>>, ApiError> {
        self.stream("/v1/revisions?watch=true").await
    }

    /// All hosts, again whenever one changes.
    pub async fn watch_nodes(&self) -> Result<ObjectStream<List<NodeObject>>, ApiError> {
        self.stream("/v1/nodes?watch=true").await
    }

    /// Events, oldest first, of one service or of all.
    pub async fn events(
        &self,
        service: Option<&ServiceName>,
        follow: bool,
    ) -> Result<ObjectStream<Event>, ApiError> {
        let service = service.map(|name| format!("service={name}&")).unwrap_or_default();
        self.stream(&format!("/v1/events?{service}follow={follow}")).await
    }

    /// Snapshots of the operation that this generation started; the last one has an outcome. With `counters` the balancer
    /// measures meanwhile, and a snapshot comes every second.
    pub async fn progress(
        &self,
        service: &ServiceName,
        generation: Generation,
        awaited: Awaited,
        counters: bool,
    ) -> Result<ObjectStream<OperationProgress>, ApiError> {
        let awaited = match awaited {
            Awaited::Release => "",
            Awaited::Count => "&awaited=count",
        };
        let counters = if counters { "&counters=true" } else { "" };
        let query = format!("generation={generation}{awaited}{counters}");
        self.stream(&format!("/v1/services/{service}/progress?{query}")).await
    }

    /// Lines of logs.
    pub async fn logs(&self, query: &LogQuery) -> Result<ObjectStream<LogRecord>, ApiError> {
        self.stream(&log_query::path(query)).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        let request = self.request(Method::GET, path, Bytes::new())?;
        let answer = self.exchange(request, READ_DEADLINE).await;
        self.parse(path, &answer.map_err(|failure| self.explain(failure))?)
    }

    async fn write<Q: Serialize, T: DeserializeOwned>(&self, path: &str, request: &Q) -> Result<T, ApiError> {
        let body = serde_json::to_vec(request).map_err(|error| self.silent(error.to_string()))?;
        let body = Bytes::from(body);
        let first = self.exchange(self.request(Method::POST, path, body.clone())?, WRITE_DEADLINE).await;
        let answer = match first {
            Err(Failure::Lost(_)) => {
                self.exchange(self.request(Method::POST, path, body)?, WRITE_DEADLINE).await
            }
            other => other,
        };
        self.parse(path, &answer.map_err(|failure| self.explain(failure))?)
    }

    async fn stream<T>(&self, path: &str) -> Result<ObjectStream<T>, ApiError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let request = self.request(Method::GET, path, Bytes::new())?;
        let response = match timeout(READ_DEADLINE, self.send(request)).await {
            Ok(sent) => sent.map_err(|failure| self.explain(failure))?,
            Err(_) => return Err(self.explain(Failure::Late(READ_DEADLINE))),
        };
        if !response.status().is_success() {
            let body = timeout(READ_DEADLINE, collect(response)).await;
            let body = body.unwrap_or(Err(Failure::Late(READ_DEADLINE)));
            return Err(body.map_or_else(|failure| self.explain(failure), |(s, b)| self.refusal(s, &b)));
        }
        let lines = Lines::of(self.clone(), response.into_body());
        Ok(futures::stream::unfold(Some(lines), next_object).boxed())
    }

    /// Sends a request and reads the whole answer.
    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        deadline: Duration,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let whole = async { collect(self.send(request).await?).await };
        timeout(deadline, whole).await.unwrap_or(Err(Failure::Late(deadline)))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let socket = match timeout(CONNECT_DEADLINE, UnixStream::connect(&self.socket)).await {
            Ok(connected) => connected.map_err(Failure::Connect)?,
            Err(_) => return Err(Failure::Late(CONNECT_DEADLINE)),
        };
        let lost = |error: hyper::Error| Failure::Lost(error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.map_err(lost)?;
        // The connection lives as long as its response; what goes wrong on it comes out at the response.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(lost)
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, ApiError> {
        Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, "ctl")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| self.silent(format!("{path} is not a request: {error}")))
    }

    fn parse<T: DeserializeOwned>(&self, path: &str, answer: &(StatusCode, Bytes)) -> Result<T, ApiError> {
        let (status, body) = answer;
        if !status.is_success() {
            return Err(self.refusal(*status, body));
        }
        serde_json::from_slice(body)
            .map_err(|error| self.silent(format!("the answer to {path} is not what it should be: {error}")))
    }

    /// A line of a stream: an object, or the daemon's reason to end it.
    fn object<T: DeserializeOwned>(&self, line: &[u8]) -> Result<T, ApiError> {
        serde_json::from_slice(line).map_err(|error| {
            serde_json::from_slice::<ApiError>(line).unwrap_or_else(|_| {
                self.silent(format!("a line of a stream is not what it should be: {error}"))
            })
        })
    }

    /// The daemon's own error, or what an answer of something else looks like.
    fn refusal(&self, status: StatusCode, body: &[u8]) -> ApiError {
        serde_json::from_slice(body).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(body);
            self.silent(format!("it answered {status}: {}", text.lines().next().unwrap_or_default()))
        })
    }

    fn explain(&self, failure: Failure) -> ApiError {
        let socket = self.socket.display();
        let next = vec!["ctl serve".to_owned()];
        match failure {
            Failure::Connect(error) => match error.kind() {
                io::ErrorKind::NotFound => ApiError {
                    why: vec![format!("{socket} does not exist")],
                    next,
                    ..codes::DAEMON_NOT_RUNNING.error("the daemon is not running")
                },
                io::ErrorKind::ConnectionRefused => ApiError {
                    why: vec![format!("nothing listens on {socket}")],
                    next,
                    ..codes::DAEMON_NOT_RUNNING.error("the daemon is not running")
                },
                io::ErrorKind::PermissionDenied => ApiError {
                    why: vec![format!("{socket}: permission denied")],
                    ..codes::SOCKET_DENIED.error("this user may not use the daemon's socket")
                },
                _ => self.silent(format!("{socket}: {error}")),
            },
            Failure::Late(after) => self.silent(format!("{socket}: no answer within {}s", after.as_secs())),
            Failure::Lost(reason) => self.silent(format!("{socket}: {reason}")),
        }
    }

    fn silent(&self, why: String) -> ApiError {
        ApiError { why: vec![why], ..codes::DAEMON_SILENT.error("the daemon did not answer") }
    }
}

/// Why a call brought no answer.
#[derive(Debug)]
enum Failure {
    /// No connection.
    Connect(io::Error),
    /// Nothing came for this long.
    Late(Duration),
    /// The connection ended or broke; whether the daemon did what was asked is unknown.
    Lost(String),
}

fn of_service(path: &str, service: Option<&ServiceName>) -> String {
    service.map_or_else(|| path.to_owned(), |name| format!("{path}?service={name}"))
}

async fn collect(response: Response<Incoming>) -> Result<(StatusCode, Bytes), Failure> {
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_MAX_BYTES).collect().await;
    Ok((status, body.map_err(|error| Failure::Lost(error.to_string()))?.to_bytes()))
}
