//! Streams the snapshots of one operation.

use coxswain::api::client::{ApiClient, ObjectStream};
use coxswain::api::codes;
use coxswain::api::types::{ApiError, Awaited, OperationProgress};
use coxswain::model::{Generation, ServiceName};
use futures::stream::{BoxStream, StreamExt, unfold};

use crate::reconnect::{ReconnectingStream, StreamSource, StreamUpdate};

pub(super) enum FollowUpdate {
    Snapshot(Box<OperationProgress>),
    /// No more snapshots will come, for this reason.
    Ended(ApiError),
}

struct ProgressSource {
    client: ApiClient,
    service: ServiceName,
    generation: Generation,
    awaited: Awaited,
    counters: bool,
}

impl StreamSource for ProgressSource {
    type Item = OperationProgress;

    async fn open(&mut self) -> Result<ObjectStream<OperationProgress>, ApiError> {
        self.client.progress(&self.service, self.generation, self.awaited, self.counters).await
    }

    fn end(&self) -> Option<ApiError> {
        Some(codes::DAEMON_SILENT.error("the daemon closed the connection before the operation ended"))
    }
}

/// Snapshots until one has an outcome, optionally with the balancer's counters.
pub(super) fn follow(
    client: ApiClient,
    service: ServiceName,
    generation: Generation,
    awaited: Awaited,
    counters: bool,
) -> BoxStream<'static, (ServiceName, FollowUpdate)> {
    let source = ProgressSource { client, service: service.clone(), generation, awaited, counters };
    let stream = Some(ReconnectingStream::new(source));
    unfold((service, stream), |(service, stream)| async move {
        let mut stream = stream?;
        let update = next(&mut stream).await;
        let goes_on = matches!(&update, FollowUpdate::Snapshot(snapshot) if snapshot.outcome.is_none());
        Some(((service.clone(), update), (service, goes_on.then_some(stream))))
    })
    .boxed()
}

async fn next(stream: &mut ReconnectingStream<ProgressSource>) -> FollowUpdate {
    loop {
        match stream.next().await {
            Ok(StreamUpdate::Item(snapshot)) => return FollowUpdate::Snapshot(Box::new(snapshot)),
            // The operation continues in the daemon, and the display with it.
            Ok(StreamUpdate::Lost | StreamUpdate::Restored | StreamUpdate::Ended) => {}
            Err(error) => return FollowUpdate::Ended(error),
        }
    }
}
