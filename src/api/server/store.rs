//! Calls about the store itself, and the whole API while the store cannot be used.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{StatusCode, header};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::answer::{FailedCall, JsonAnswer};
use super::bounded_listener::BoundedListener;
use crate::api::codes;
use crate::api::types::{DaemonStatus, ErrorDetail, SNAPSHOT_MAX_BYTES, StoreReplaced, StoreStatus};
use crate::controller::{DaemonControl, StoreKeeper, StoreKeepingError};

type SharedKeeper = State<Arc<StoreKeeper>>;

/// The calls about the store.
pub(super) fn router(keeper: Arc<StoreKeeper>) -> Router {
    Router::new()
        .route("/v1/store", get(check))
        .route("/v1/store/snapshot", get(snapshot))
        .route("/v1/store/restore", post(restore).layer(DefaultBodyLimit::max(SNAPSHOT_MAX_BYTES)))
        .route("/v1/store/new", post(start_new))
        .with_state(keeper)
}

/// Serves while the store cannot be used, until `shutdown`: its state, and the ways back. Every other call is an error that says
/// why.
///
/// # Errors
/// When the listener fails.
pub async fn serve_without_store(
    listener: UnixListener,
    keeper: Arc<StoreKeeper>,
    daemon: Arc<dyn DaemonControl>,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let app = Router::new()
        .route("/v1/status", get(status))
        .fallback(unavailable)
        .with_state(Arc::clone(&keeper))
        .merge(router(keeper))
        .merge(super::daemon::router(daemon));
    let listener = BoundedListener::new(listener);
    axum::serve(listener, app).with_graceful_shutdown(async move { shutdown.cancelled().await }).await
}

async fn status(State(keeper): SharedKeeper) -> Json<DaemonStatus> {
    Json(keeper.status().into())
}

async fn unavailable(State(keeper): SharedKeeper) -> FailedCall {
    FailedCall::of(of_problem(keeper.problem().unwrap_or_default()))
}

fn of_problem(reason: &str) -> ErrorDetail {
    let why = vec![reason.to_owned()];
    let now = Some("traffic is served from the last routing table; nothing is changed".to_owned());
    let next = vec!["ctl store check".to_owned(), "ctl store restore FILE".to_owned()];
    ErrorDetail { why, now, next, ..codes::STORE_UNAVAILABLE.detail("the daemon cannot use its store") }
}

async fn check(State(keeper): SharedKeeper) -> Result<Json<StoreStatus>, FailedCall> {
    Ok(Json(blocking(move || Ok(keeper.check())).await?.into()))
}

async fn snapshot(State(keeper): SharedKeeper) -> Result<Response, FailedCall> {
    let bytes = blocking(move || keeper.snapshot()).await?;
    if bytes.len() > SNAPSHOT_MAX_BYTES {
        let why = format!("it has {} bytes; at most {SNAPSHOT_MAX_BYTES} can be restored", bytes.len());
        let error = codes::STORE_FAILED.detail("the store is too large for a snapshot");
        return Err(FailedCall::of(ErrorDetail { why: vec![why], ..error }));
    }
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

async fn restore(State(keeper): SharedKeeper, body: Bytes) -> JsonAnswer<StoreReplaced> {
    let store = keeper.restore(&body).await.map_err(failed)?;
    Ok(Json(StoreReplaced { store: Some(store) }))
}

async fn start_new(State(keeper): SharedKeeper) -> JsonAnswer<StoreReplaced> {
    keeper.start_new().await.map_err(failed)?;
    Ok(Json(StoreReplaced { store: None }))
}

/// A large store takes a while to read: off the threads that serve other calls.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreKeepingError> + Send + 'static,
) -> Result<T, FailedCall> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(failed),
        Err(error) => Err(FailedCall::of(codes::STORE_FAILED.detail(error.to_string()))),
    }
}

fn failed(error: StoreKeepingError) -> FailedCall {
    let now = Some("nothing was changed".to_owned());
    FailedCall::of(match error {
        StoreKeepingError::Unavailable(reason) => of_problem(&reason),
        StoreKeepingError::Snapshot(_) => {
            ErrorDetail { now, ..codes::BAD_SNAPSHOT.detail(error.to_string()) }
        }
        StoreKeepingError::Store(_) => ErrorDetail { now, ..codes::STORE_FAILED.detail(error.to_string()) },
    })
}
