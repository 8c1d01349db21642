//! Streams: snapshots of something, again whenever it changes, one JSON document a line.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::refusals::error_of;
use crate::api::types::ApiError;
use crate::controller::{Controller, ControllerError};

/// A stream reads at most this often, however much changes.
const STREAM_PAUSE: Duration = Duration::from_millis(50);
/// A stream reads at least this often: remaining times change without a write.
const STREAM_PULSE: Duration = Duration::from_secs(1);

/// What a stream reads.
pub(super) enum Reading<T> {
    /// The current state.
    Current(T),
    /// The last state.
    Last(T),
}

/// Snapshots of something: the first at once, then each that differs from the one before. An error is the last item.
pub(super) fn snapshots<T, F, L>(
    controller: Arc<Controller>,
    shutdown: CancellationToken,
    read: L,
) -> impl Stream<Item = Result<T, ApiError>> + Send + 'static
where
    T: Clone + PartialEq + Send + 'static,
    F: Future<Output = Result<Reading<T>, ControllerError>> + Send + 'static,
    L: Fn(Arc<Controller>) -> F + Send + Sync + 'static,
{
    let version = controller.queries().version();
    let state = Some((controller, version, shutdown, read, None::<T>));
    futures::stream::unfold(state, |state| async move {
        let (controller, mut version, shutdown, read, mut last) = state?;
        loop {
            if last.is_some() {
                tokio::select! {
                    () = shutdown.cancelled() => return None,
                    () = pause(&mut version) => {}
                }
            }
            match read(Arc::clone(&controller)).await {
                Ok(Reading::Current(now)) if last.as_ref() == Some(&now) => {}
                Ok(Reading::Current(now)) => {
                    last = Some(now.clone());
                    return Some((Ok(now), Some((controller, version, shutdown, read, last))));
                }
                Ok(Reading::Last(now)) => return Some((Ok(now), None)),
                Err(error) => return Some((Err(error_of(error)), None)),
            }
        }
    })
}

/// Until the next read.
async fn pause(version: &mut watch::Receiver<u64>) {
    tokio::time::sleep(STREAM_PAUSE).await;
    // A closed channel means that the controller stops; the pulse ends the wait as well.
    let _ = tokio::time::timeout(STREAM_PULSE, version.changed()).await;
}

/// One JSON document a line; an error is the last line that a client reads.
pub(super) fn ndjson<T: Serialize>(
    items: impl Stream<Item = Result<T, ApiError>> + Send + 'static,
) -> Response {
    let lines = items.map(|item| {
        let mut line =
            item.map_or_else(|error| serde_json::to_vec(&error), |item| serde_json::to_vec(&item))?;
        line.push(b'\n');
        Ok::<_, serde_json::Error>(Bytes::from(line))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}
