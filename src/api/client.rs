//! The client's end of the API: one connection per call, over the daemon's unix socket.
//!
//! Purpose: typed calls; every failure is an [`ApiError`] with the code and exit code that `ctl` ends with.
//! Invariants: connecting, each answer and the head of each stream have deadlines; answers and lines have a maximum
//! size; a write whose answer was lost is repeated once with the same request id, and nothing else is repeated.
//! Deliberately absent: waiting for an operation, reconnecting a stream (the caller knows what came), making
//! request ids.

mod command_deadline;
mod failed_call;
mod lines;
mod log_query;
mod pieces;
mod transport;

use std::path::{Path, PathBuf};

use futures::stream::BoxStream;
use hyper::body::Bytes;

pub use self::command_deadline::CommandDeadline;
use self::transport::Transport;
use super::types::{
    ApiError, ApplyRequest, ApplyResponse, AuthorityObject, Awaited, CertificateObject, ConfirmRequest,
    ConfirmResponse, DaemonProcessList, DaemonStatus, DeleteRequest, EndpointObject, EventObject,
    ExplainedRequest, KillRequest, KillResponse, List, ListedObject, LogEntry, LogQuery, NodeObject,
    OperationProgress, ReloadStarted, ReplicaObject, RevisionObject, RolloutRequest, RouteExplanation,
    SNAPSHOT_MAX_BYTES, ScaleRequest, ServiceObject, StoreReplaced, StoreStatus, VolumeObject, WriteResponse,
};
use crate::model::{Generation, ServiceName};

/// A stream of objects; it ends when the daemon ends it, or after its first error.
pub type ObjectStream<T> = BoxStream<'static, Result<T, ApiError>>;

/// Calls the daemon that listens on one socket.
#[derive(Debug, Clone)]
pub struct ApiClient {
    transport: Transport,
}

impl ApiClient {
    /// A client for this socket; nothing is opened before the first call.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { transport: Transport::new(socket.into()) }
    }

    /// The same, with every call bounded by a deadline of the whole command.
    #[must_use]
    pub fn bounded(self, deadline: CommandDeadline) -> Self {
        Self { transport: self.transport.bounded(deadline) }
    }

    /// The path of the daemon's socket.
    pub fn socket(&self) -> &Path {
        self.transport.socket()
    }

    /// State of the daemon.
    pub async fn status(&self) -> Result<DaemonStatus, ApiError> {
        self.transport.get("/v1/status").await
    }

    /// Lists the services.
    pub async fn services(&self) -> Result<Vec<ServiceObject>, ApiError> {
        Ok(self.transport.get::<List<_>>("/v1/services").await?.items)
    }

    /// Reads one service by name.
    pub async fn service(&self, name: &ServiceName) -> Result<ServiceObject, ApiError> {
        self.transport.get(&format!("/v1/services/{name}")).await
    }

    /// Replicas, of one service or of all.
    pub async fn replicas(&self, service: Option<&ServiceName>) -> Result<Vec<ReplicaObject>, ApiError> {
        Ok(self.transport.get::<List<_>>(&of_service("/v1/replicas", service)).await?.items)
    }

    /// Endpoints, of one service or of all.
    pub async fn endpoints(&self, service: Option<&ServiceName>) -> Result<Vec<EndpointObject>, ApiError> {
        Ok(self.transport.get::<List<_>>(&of_service("/v1/endpoints", service)).await?.items)
    }

    /// Revisions with their outcomes, of one service or of all.
    pub async fn revisions(&self, service: Option<&ServiceName>) -> Result<Vec<RevisionObject>, ApiError> {
        Ok(self.transport.get::<List<_>>(&of_service("/v1/revisions", service)).await?.items)
    }

    /// Lists the volumes.
    pub async fn volumes(&self) -> Result<Vec<VolumeObject>, ApiError> {
        Ok(self.transport.get::<List<_>>("/v1/volumes").await?.items)
    }

    /// Lists the certificates.
    pub async fn certificates(&self) -> Result<Vec<CertificateObject>, ApiError> {
        Ok(self.transport.get::<List<_>>("/v1/certificates").await?.items)
    }

    /// The certificate of the daemon's local CA.
    pub async fn authority(&self) -> Result<AuthorityObject, ApiError> {
        self.transport.get("/v1/certificates/authority").await
    }

    /// Lists the nodes.
    pub async fn nodes(&self) -> Result<Vec<NodeObject>, ApiError> {
        Ok(self.transport.get::<List<_>>("/v1/nodes").await?.items)
    }

    /// What the balancer does with a request, and why.
    pub async fn explain_route(&self, request: &ExplainedRequest) -> Result<RouteExplanation, ApiError> {
        self.transport.write("/v1/routes/explain", request).await
    }

    /// Applies documents.
    pub async fn apply(&self, request: &ApplyRequest) -> Result<ApplyResponse, ApiError> {
        self.transport.write("/v1/apply", request).await
    }

    /// Sets replica counts.
    pub async fn scale(&self, request: &ScaleRequest) -> Result<WriteResponse, ApiError> {
        self.transport.write("/v1/scale", request).await
    }

    /// Rolls a service.
    pub async fn rollout(&self, request: &RolloutRequest) -> Result<WriteResponse, ApiError> {
        self.transport.write("/v1/rollout", request).await
    }

    /// Deletes services.
    pub async fn delete(&self, request: &DeleteRequest) -> Result<WriteResponse, ApiError> {
        self.transport.write("/v1/delete", request).await
    }

    /// Releases held removals.
    pub async fn confirm(&self, request: &ConfirmRequest) -> Result<ConfirmResponse, ApiError> {
        self.transport.write("/v1/confirm", request).await
    }

    /// Kills a container.
    pub async fn kill(&self, request: &KillRequest) -> Result<KillResponse, ApiError> {
        self.transport.write("/v1/kill", request).await
    }

    /// The processes of the daemon, and how the last reload went.
    pub async fn daemon(&self) -> Result<DaemonProcessList, ApiError> {
        self.transport.get("/v1/daemon").await
    }

    /// Begins a reload.
    pub async fn reload(&self) -> Result<ReloadStarted, ApiError> {
        self.transport.ask("/v1/daemon/reload").await
    }

    /// The state of the daemon's store.
    pub async fn store(&self) -> Result<StoreStatus, ApiError> {
        self.transport.get("/v1/store").await
    }

    /// The whole store in one file, piece by piece; an error is the last one.
    pub async fn store_snapshot(&self) -> Result<BoxStream<'static, Result<Bytes, ApiError>>, ApiError> {
        self.transport.download("/v1/store/snapshot", SNAPSHOT_MAX_BYTES).await
    }

    /// Replaces the store by a snapshot.
    pub async fn store_restore(&self, snapshot: Vec<u8>) -> Result<StoreReplaced, ApiError> {
        self.transport.upload("/v1/store/restore", snapshot).await
    }

    /// Replaces the store by an empty one.
    pub async fn store_new(&self) -> Result<StoreReplaced, ApiError> {
        self.transport.upload("/v1/store/new", Vec::new()).await
    }

    /// All objects of a kind, again whenever one changes.
    pub async fn watch<T: ListedObject>(&self) -> Result<ObjectStream<List<T>>, ApiError> {
        self.transport.stream(&format!("/v1/{}?watch=true", T::PLURAL)).await
    }

    /// Events, oldest first, of one service or of all.
    pub async fn events(
        &self,
        service: Option<&ServiceName>,
        follow: bool,
    ) -> Result<ObjectStream<EventObject>, ApiError> {
        let service = service.map(|name| format!("service={name}&")).unwrap_or_default();
        self.transport.stream(&format!("/v1/events?{service}follow={follow}")).await
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
            Awaited::Deletion => "&awaited=deletion",
        };
        let counters = if counters { "&counters=true" } else { "" };
        let query = format!("generation={generation}{awaited}{counters}");
        self.transport.stream(&format!("/v1/services/{service}/progress?{query}")).await
    }

    /// Lines of logs.
    pub async fn logs(&self, query: &LogQuery) -> Result<ObjectStream<LogEntry>, ApiError> {
        self.transport.stream(&log_query::path(query)).await
    }
}

fn of_service(path: &str, service: Option<&ServiceName>) -> String {
    service.map_or_else(|| path.to_owned(), |name| format!("{path}?service={name}"))
}
