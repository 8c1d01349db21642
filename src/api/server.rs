//! The server: HTTP/1.1 on the unix socket that the supervisor holds.
//!
//! A handler takes a request apart, calls the controller, and builds the answer; it decides nothing.

mod answer;
mod bounded_listener;
mod daemon;
mod follow;
mod logs;
mod reads;
mod store;
mod streams;
mod writes;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use self::bounded_listener::BoundedListener;
pub use self::store::serve_without_store;
use crate::controller::{Controller, DaemonControl, StoreKeeper};

/// Largest request: the client rejects documents above 1 MiB one by one; 1,000 that are left fit as JSON.
const REQUEST_MAX_BYTES: usize = 64 << 20;

/// Serves until `shutdown`, which also ends the streams.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: UnixListener,
    controller: Arc<Controller>,
    keeper: Arc<StoreKeeper>,
    daemon: Arc<dyn DaemonControl>,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let stop = shutdown.clone();
    let app = router(controller, shutdown).merge(store::router(keeper)).merge(daemon::router(daemon));
    let listener = BoundedListener::new(listener);
    axum::serve(listener, app).with_graceful_shutdown(async move { stop.cancelled().await }).await
}

fn router(controller: Arc<Controller>, shutdown: CancellationToken) -> Router {
    Router::new()
        .route("/v1/status", get(reads::status))
        .route("/v1/apply", post(writes::apply))
        .route("/v1/scale", post(writes::scale))
        .route("/v1/rollout", post(writes::rollout))
        .route("/v1/delete", post(writes::delete))
        .route("/v1/confirm", post(writes::confirm))
        .route("/v1/kill", post(writes::kill))
        .route("/v1/services", get(reads::services))
        .route("/v1/services/{name}", get(reads::service))
        .route("/v1/services/{name}/progress", get(follow::progress))
        .route("/v1/replicas", get(reads::replicas))
        .route("/v1/endpoints", get(reads::endpoints))
        .route("/v1/revisions", get(reads::revisions))
        .route("/v1/nodes", get(reads::nodes))
        .route("/v1/volumes", get(reads::volumes))
        .route("/v1/routes/explain", post(reads::explain_route))
        .route("/v1/certificates", get(reads::certificates))
        .route("/v1/certificates/authority", get(reads::authority))
        .route("/v1/events", get(follow::events))
        .route("/v1/logs", get(logs::logs))
        .fallback(answer::unknown_call)
        .layer(DefaultBodyLimit::max(REQUEST_MAX_BYTES))
        .layer(axum::Extension(shutdown))
        .with_state(controller)
}
