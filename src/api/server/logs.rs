//! Logs as a stream.

use std::future::ready;

use axum::extract::State;
use axum::response::Response;
use futures::{StreamExt, stream};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::super::codes;
use super::super::refusals::error_of;
use super::{Asked, Failure, Shared, names_in, ndjson};
use crate::controller::{LogOptions, LogQuery};
use crate::model::{ReplicaName, RevisionNumber, ServiceName};

#[derive(Debug, Deserialize)]
pub(super) struct LogSelection {
    #[serde(default)]
    service: String,
    #[serde(default)]
    replica: String,
    #[serde(default)]
    revision: Option<RevisionNumber>,
    #[serde(default)]
    follow: bool,
    tail: Option<u32>,
    since: Option<jiff::Timestamp>,
}

pub(super) async fn logs(
    State(controller): Shared,
    axum::Extension(shutdown): axum::Extension<CancellationToken>,
    Asked(asked): Asked<LogSelection>,
) -> Result<Response, Failure> {
    let LogSelection { service, replica, revision, follow, tail, since } = asked;
    let services = names_in(&service).map(ServiceName::new).collect();
    let replicas = names_in(&replica).map(ReplicaName::new).collect();
    let options = LogOptions { follow, tail, since };
    let lines = controller.nodes().logs(LogQuery { services, replicas, revision, options }).await?;
    let lines = lines.map(|line| line.map_err(|error| error_of(error.into())));
    let stopped = shutdown.clone();
    let ended = stream::once(async move { Err(codes::stream_ended()) });
    // logs end by themselves where nothing is left to follow, so the end of the daemon is told from that
    let ended = ended.filter(move |_| ready(stopped.is_cancelled()));
    Ok(ndjson(lines.take_until(shutdown.cancelled_owned()).chain(ended)))
}
