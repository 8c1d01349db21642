//! Answers that go on: snapshots of something, again whenever it changes, one JSON document a line.

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

/// A stream looks again at most this often, however much moves.
const STREAM_PAUSE: Duration = Duration::from_millis(50);
/// A stream looks again at least this often: times that pass move nothing.
const STREAM_PULSE: Duration = Duration::from_secs(1);

/// What a stream sees when it looks.
pub(super) enum Look<T> {
    /// How things stand.
    Now(T),
    /// How they ended.
    Last(T),
    /// There is nothing to look at any more.
    Over,
}

/// Snapshots of something: the first at once, then each that differs from the one before. Where a look fails, its error
/// is the last item.
pub(super) fn snapshots<T, F, L>(
    controller: Arc<Controller>,
    shutdown: CancellationToken,
    look: L,
) -> impl Stream<Item = Result<T, ApiError>> + Send + 'static
where
    T: Clone + PartialEq + Send + 'static,
    F: Future<Output = Result<Look<T>, ControllerError>> + Send + 'static,
    L: Fn(Arc<Controller>) -> F + Send + Sync + 'static,
{
    let moved = controller.queries().version();
    let state = Some((controller, moved, shutdown, look, None::<T>));
    futures::stream::unfold(state, |state| async move {
        let (controller, mut moved, shutdown, look, mut last) = state?;
        loop {
            if last.is_some() {
                tokio::select! {
                    () = shutdown.cancelled() => return None,
                    () = pause(&mut moved) => {}
                }
            }
            match look(Arc::clone(&controller)).await {
                Ok(Look::Now(now)) if last.as_ref() == Some(&now) => {}
                Ok(Look::Now(now)) => {
                    last = Some(now.clone());
                    return Some((Ok(now), Some((controller, moved, shutdown, look, last))));
                }
                Ok(Look::Last(now)) => return Some((Ok(now), None)),
                Ok(Look::Over) => return None,
                Err(refused) => return Some((Err(error_of(refused)), None)),
            }
        }
    })
}

/// Until it is worth to look again.
async fn pause(moved: &mut watch::Receiver<u64>) {
    tokio::time::sleep(STREAM_PAUSE).await;
    // A closed channel means the controller is going; the pulse ends the wait as well.
    let _ = tokio::time::timeout(STREAM_PULSE, moved.changed()).await;
}

/// One JSON document a line; an error ends what the client reads.
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
