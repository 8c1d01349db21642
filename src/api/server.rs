//! The server: HTTP/1.1 on the unix socket that the supervisor holds.
//!
//! A handler takes a request apart, calls the controller, and puts the answer together; it decides nothing.

#![allow(clippy::result_large_err)] // an error ends a call or a stream: it is made once and never copied around

mod logs;
mod streams;

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use self::streams::{Look, ndjson, snapshots};
use super::codes;
use super::refusals::error_of;
use super::types::{
    ApiError, ApplyRequest, ApplyResponse, Awaited, ConfirmRequest, ConfirmResponse, DeleteRequest,
    KillRequest, KillResponse, List, OperationOutcome, OperationProgress, RolloutRequest, ScaleRequest,
    WriteResponse,
};
use crate::controller::{Controller, ControllerError};
use crate::model::{Event, Generation, ServiceName};

/// Largest request: 1,000 documents of 1 MiB are refused by the client one by one; what is left of them as JSON fits.
const REQUEST_MAX_BYTES: usize = 64 << 20;

type Shared = State<Arc<Controller>>;
type Answer<T> = Result<Json<T>, Failure>;

/// Serves until told to stop. Streams end then.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: UnixListener,
    controller: Arc<Controller>,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let stop = shutdown.clone();
    let app = router(controller, shutdown);
    axum::serve(listener, app).with_graceful_shutdown(async move { stop.cancelled().await }).await
}

fn router(controller: Arc<Controller>, shutdown: CancellationToken) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/apply", post(apply))
        .route("/v1/scale", post(scale))
        .route("/v1/rollout", post(rollout))
        .route("/v1/delete", post(delete))
        .route("/v1/confirm", post(confirm))
        .route("/v1/kill", post(kill))
        .route("/v1/services", get(services))
        .route("/v1/services/{name}", get(service))
        .route("/v1/services/{name}/progress", get(progress))
        .route("/v1/replicas", get(replicas))
        .route("/v1/endpoints", get(endpoints))
        .route("/v1/revisions", get(revisions))
        .route("/v1/nodes", get(nodes))
        .route("/v1/events", get(events))
        .route("/v1/logs", get(logs::logs))
        .fallback(unknown_call)
        .layer(DefaultBodyLimit::max(REQUEST_MAX_BYTES))
        .layer(axum::Extension(shutdown))
        .with_state(controller)
}

/// An error on its way out.
struct Failure(ApiError);

impl From<ControllerError> for Failure {
    fn from(refused: ControllerError) -> Self {
        Self(error_of(refused))
    }
}

impl From<JsonRejection> for Failure {
    fn from(rejection: JsonRejection) -> Self {
        Self(codes::USAGE.error(format!("the request is not understood: {}", rejection.body_text())))
    }
}

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Self {
        Self(codes::USAGE.error(format!("the request is not understood: {}", rejection.body_text())))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match self.0.exit {
            2 => StatusCode::UNPROCESSABLE_ENTITY,
            3 => StatusCode::SERVICE_UNAVAILABLE,
            7 => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(self.0)).into_response()
    }
}

/// A JSON body whose faults are answered as [`ApiError`].
#[derive(FromRequest)]
#[from_request(via(Json), rejection(Failure))]
struct Given<T>(T);

/// A query whose faults are answered as [`ApiError`].
#[derive(FromRequestParts)]
#[from_request(via(Query), rejection(Failure))]
struct Asked<T>(T);

async fn unknown_call(method: axum::http::Method, uri: axum::http::Uri) -> Failure {
    Failure(
        codes::USAGE
            .error(format!("this daemon has no call {method} {}; ctl may be newer than it", uri.path())),
    )
}

async fn status(State(controller): Shared) -> Answer<super::types::DaemonStatus> {
    Ok(Json(controller.queries().status().await?))
}

async fn apply(State(controller): Shared, Given(request): Given<ApplyRequest>) -> Answer<ApplyResponse> {
    let ApplyRequest { request_id, documents, applying, by } = request;
    let dry_run = !applying.writes();
    let results = controller.writes().apply(&request_id, &documents, applying, by).await?;
    Ok(Json(ApplyResponse { results, dry_run }))
}

async fn scale(State(controller): Shared, Given(request): Given<ScaleRequest>) -> Answer<WriteResponse> {
    let results = controller.writes().scale(&request.request_id, &request.targets, request.by).await?;
    Ok(Json(WriteResponse { results }))
}

async fn rollout(State(controller): Shared, Given(request): Given<RolloutRequest>) -> Answer<WriteResponse> {
    let RolloutRequest { request_id, service, change, by } = request;
    let results = controller.writes().rollout(&request_id, &service, &change, by).await?;
    Ok(Json(WriteResponse { results }))
}

async fn delete(State(controller): Shared, Given(request): Given<DeleteRequest>) -> Answer<WriteResponse> {
    let DeleteRequest { request_id, services, volumes, by } = request;
    let results = controller.writes().delete(&request_id, &services, volumes, by).await?;
    Ok(Json(WriteResponse { results }))
}

async fn confirm(
    State(controller): Shared,
    Given(request): Given<ConfirmRequest>,
) -> Answer<ConfirmResponse> {
    tracing::info!(request = request.request_id, "held removals confirmed");
    Ok(Json(ConfirmResponse { released: controller.confirm().await? }))
}

async fn kill(State(controller): Shared, Given(request): Given<KillRequest>) -> Answer<KillResponse> {
    let KillRequest { request_id, service, replica, container, by } = request;
    tracing::info!(request = request_id, %replica, "a container is killed by request");
    controller.nodes().kill(&service, &replica, &container, by).await?;
    Ok(Json(KillResponse { container }))
}

/// Which services; commas between names, none is all.
#[derive(Debug, Default, Deserialize)]
struct Selection {
    #[serde(default)]
    service: String,
    #[serde(default)]
    watch: bool,
    #[serde(default)]
    follow: bool,
}

impl Selection {
    fn names(&self) -> Vec<ServiceName> {
        names_in(&self.service).map(ServiceName::new).collect()
    }
}

/// Names with commas between them.
fn names_in(names: &str) -> impl Iterator<Item = &str> {
    names.split(',').filter(|name| !name.is_empty())
}

/// Objects of the services asked for, once or again whenever one changes.
async fn listed<T, F>(
    controller: Arc<Controller>,
    shutdown: CancellationToken,
    selection: Selection,
    look: impl Fn(Arc<Controller>, Vec<ServiceName>) -> F + Send + Sync + 'static,
) -> Result<Response, Failure>
where
    T: Clone + PartialEq + Serialize + Send + 'static,
    F: Future<Output = Result<Vec<T>, ControllerError>> + Send + 'static,
{
    let names = selection.names();
    if !selection.watch {
        return Ok(Json(List::of(look(controller, names).await?)).into_response());
    }
    let again = move |controller: Arc<Controller>| {
        let items = look(controller, names.clone());
        async move { Ok(Look::Now(List::of(items.await?))) }
    };
    Ok(ndjson(snapshots(controller, shutdown, again)))
}

/// A handler that lists what one method of the controller finds.
macro_rules! listing {
    ($($name:ident)*) => {
        $(async fn $name(
            State(controller): Shared,
            axum::Extension(shutdown): axum::Extension<CancellationToken>,
            Asked(selection): Asked<Selection>,
        ) -> Result<Response, Failure> {
            listed(controller, shutdown, selection, |controller, names| async move { controller.queries().$name(&names).await })
                .await
        })*
    };
}

listing!(services replicas endpoints revisions);

async fn nodes(
    State(controller): Shared,
    axum::Extension(shutdown): axum::Extension<CancellationToken>,
    Asked(selection): Asked<Selection>,
) -> Result<Response, Failure> {
    listed(controller, shutdown, selection, |controller, _| async move { Ok(controller.queries().nodes()) })
        .await
}

async fn service(
    State(controller): Shared,
    Path(name): Path<ServiceName>,
) -> Answer<super::types::ServiceObject> {
    let mut found = controller.queries().services(std::slice::from_ref(&name)).await?;
    found.pop().map(Json).ok_or_else(|| ControllerError::NotFound(vec![(&name).into()]).into())
}

async fn events(
    State(controller): Shared,
    axum::Extension(shutdown): axum::Extension<CancellationToken>,
    Asked(selection): Asked<Selection>,
) -> Result<Response, Failure> {
    let name = selection.names().into_iter().next();
    let first = controller.queries().events(name.as_ref()).await?;
    if !selection.follow {
        return Ok(ndjson(futures::stream::iter(first.into_iter().map(Ok))));
    }
    let look = move |controller: Arc<Controller>| {
        let name = name.clone();
        async move {
            match controller.queries().events(name.as_ref()).await {
                Err(ControllerError::NotFound(_)) => Ok(Look::Over), // deleted, and its events with it
                events => Ok(Look::Now(events?)),
            }
        }
    };
    let mut shown: HashSet<Event> = HashSet::new();
    let fresh = snapshots(controller, shutdown, look).flat_map(move |now| {
        let lines: Vec<Result<Event, ApiError>> = match now {
            Ok(now) => {
                let new = now.iter().filter(|event| !shown.contains(*event)).cloned().map(Ok).collect();
                shown = now.into_iter().collect();
                new
            }
            Err(error) => vec![Err(error)],
        };
        futures::stream::iter(lines)
    });
    Ok(ndjson(fresh))
}

#[derive(Debug, Deserialize)]
struct Since {
    generation: Generation,
    #[serde(default)]
    awaited: Awaited,
    #[serde(default)]
    counters: bool,
}

async fn progress(
    State(controller): Shared,
    axum::Extension(shutdown): axum::Extension<CancellationToken>,
    Path(name): Path<ServiceName>,
    Asked(since): Asked<Since>,
) -> Result<Response, Failure> {
    let Some(first) = controller.queries().progress(&name, since.generation, since.awaited).await? else {
        return Err(ControllerError::NotFound(vec![(&name).into()]).into());
    };
    // Dropped with the stream.
    let watching = since.counters.then(|| controller.queries().subscribe_to_metrics());
    let look = move |controller: Arc<Controller>| {
        let counters = watching.is_some();
        let (name, mut last) = (name.clone(), first.clone());
        async move {
            let now = match controller.queries().progress(&name, since.generation, since.awaited).await? {
                Some(now) => now,
                None => {
                    last.replicas.clear();
                    OperationProgress { outcome: Some(OperationOutcome::Deleted), ..last }
                }
            };
            let now = if counters { now } else { now.without_counters() };
            Ok(if now.outcome.is_some() { Look::Last(now) } else { Look::Now(now) })
        }
    };
    Ok(ndjson(snapshots(controller, shutdown, look)))
}
