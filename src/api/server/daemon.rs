//! Calls about the daemon's processes.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};

use super::answer::{FailedCall, JsonAnswer};
use crate::api::codes;
use crate::api::types::{DaemonProcessList, ErrorDetail, ReloadStarted};
use crate::controller::{DaemonControl, DaemonControlError};

type SharedDaemon = State<Arc<dyn DaemonControl>>;

/// The calls about processes.
pub(super) fn router(daemon: Arc<dyn DaemonControl>) -> Router {
    Router::new()
        .route("/v1/daemon", get(processes))
        .route("/v1/daemon/reload", post(reload))
        .with_state(daemon)
}

async fn processes(State(daemon): SharedDaemon) -> JsonAnswer<DaemonProcessList> {
    Ok(Json(daemon.processes().await.map_err(failed)?.into()))
}

async fn reload(State(daemon): SharedDaemon) -> JsonAnswer<ReloadStarted> {
    let number = daemon.reload().await.map_err(failed)?;
    Ok(Json(ReloadStarted { number }))
}

fn failed(error: DaemonControlError) -> FailedCall {
    let now = Some("nothing was changed".to_owned());
    FailedCall::of(match error {
        DaemonControlError::NoReload(refusal) => {
            let next = vec!["ctl status".to_owned()];
            ErrorDetail { now, next, ..codes::RELOAD_NOT_NOW.detail(format!("cannot reload: {refusal}")) }
        }
        silent @ DaemonControlError::Silent(_) => codes::SUPERVISOR_SILENT.detail(silent.to_string()),
    })
}
