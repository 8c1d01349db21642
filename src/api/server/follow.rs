//! Events, and the progress of an operation, as they happen.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use futures::{StreamExt, stream};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::answer::{FailedCall, ParsedQuery, ServiceQuery, SharedController};
use super::streams::{Reading, ndjson, snapshots};
use crate::api::types::{ApiError, EventObject, OperationProgress};
use crate::controller::{Awaited, Controller, ControllerError};
use crate::model::{Event, Generation, ServiceName};

pub(super) async fn events(
    State(controller): SharedController,
    axum::Extension(shutdown): axum::Extension<CancellationToken>,
    ParsedQuery(query): ParsedQuery<ServiceQuery>,
) -> Result<Response, FailedCall> {
    let name = query.names().into_iter().next();
    let first = controller.queries().events(name.as_ref()).await?;
    if !query.follow {
        return Ok(ndjson(stream::iter(first.into_iter().map(|event| Ok(EventObject::from(event))))));
    }
    let read = move |controller: Arc<Controller>| {
        let name = name.clone();
        async move {
            // Before its events are read: the last one says that it was deleted.
            let exists = match &name {
                Some(name) => controller.queries().exists(name).await?,
                None => true,
            };
            let events = controller.queries().events(name.as_ref()).await?;
            Ok(if exists { Reading::Current(events) } else { Reading::Last(events) })
        }
    };
    let mut shown: HashSet<Event> = HashSet::new();
    let fresh = snapshots(controller, shutdown, read).flat_map(move |events| {
        let lines: Vec<Result<EventObject, ApiError>> = match events {
            Ok(events) => {
                let new = events.iter().filter(|event| !shown.contains(*event)).cloned();
                let new = new.map(|event| Ok(event.into())).collect();
                shown = events.into_iter().collect();
                new
            }
            Err(error) => vec![Err(error)],
        };
        stream::iter(lines)
    });
    Ok(ndjson(fresh))
}

/// The operation that a client waits for.
#[derive(Debug, Deserialize)]
pub(super) struct OperationQuery {
    generation: Generation,
    #[serde(default)]
    awaited: Awaited,
    #[serde(default)]
    counters: bool,
}

pub(super) async fn progress(
    State(controller): SharedController,
    axum::Extension(shutdown): axum::Extension<CancellationToken>,
    Path(name): Path<ServiceName>,
    ParsedQuery(query): ParsedQuery<OperationQuery>,
) -> Result<Response, FailedCall> {
    let OperationQuery { generation, awaited, counters } = query;
    if !controller.queries().exists(&name).await? {
        // Who deleted it may ask when it is gone already. To anyone else it is unknown.
        let deletion = controller.queries().deletion(&name).await?;
        if awaited != Awaited::Deletion || deletion.is_none() {
            return Err(unknown(&name).into());
        }
    }
    // Dropped with the stream.
    let subscription = counters.then(|| controller.queries().subscribe_to_metrics());
    let read = move |controller: Arc<Controller>| {
        let counters = subscription.is_some();
        let name = name.clone();
        async move {
            let queries = controller.queries();
            let current = queries.progress(&name, generation, awaited).await?;
            let snapshot = match current {
                Some(snapshot) => snapshot,
                None => queries.deletion(&name).await?.ok_or_else(|| unknown(&name))?,
            };
            let progress = OperationProgress::new(snapshot, counters);
            let has_ended = progress.outcome.is_some();
            Ok(if has_ended { Reading::Last(progress) } else { Reading::Current(progress) })
        }
    };
    Ok(ndjson(snapshots(controller, shutdown, read)))
}

fn unknown(service: &ServiceName) -> ControllerError {
    ControllerError::NotFound(vec![service.into()])
}
