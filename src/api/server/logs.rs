//! Logs as a stream.

use std::future::ready;

use axum::extract::State;
use axum::response::Response;
use futures::{StreamExt, stream};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::answer::{FailedCall, ParsedQuery, SharedController, names_in};
use super::streams::ndjson;
use crate::api::codes;
use crate::api::refusals::error_of;
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
    previous: bool,
    #[serde(default)]
    follow: bool,
    tail: Option<u32>,
    since: Option<jiff::Timestamp>,
}

pub(super) async fn logs(
    State(controller): SharedController,
    axum::Extension(shutdown): axum::Extension<CancellationToken>,
    ParsedQuery(selection): ParsedQuery<LogSelection>,
) -> Result<Response, FailedCall> {
    let LogSelection { service, replica, revision, previous, follow, tail, since } = selection;
    let services = names_in(&service).map(ServiceName::new).collect();
    let replicas = names_in(&replica).map(ReplicaName::new).collect();
    let options = LogOptions { follow, tail, since };
    let query = LogQuery { services, replicas, revision, previous, options };
    let lines = controller.nodes().logs(query).await?;
    let lines = lines.map(|line| line.map_err(|error| error_of(error.into())));
    let stopped = shutdown.clone();
    let ended = stream::once(async move { Err(codes::stream_ended()) });
    // Logs end when there is nothing left to follow; only the end of the daemon is an error.
    let ended = ended.filter(move |_| ready(stopped.is_cancelled()));
    Ok(ndjson(lines.take_until(shutdown.cancelled_owned()).chain(ended)))
}
