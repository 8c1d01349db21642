//! Streams the snapshots of one operation and reconnects when the connection breaks.

use std::time::Duration;

use coxswain::api::client::{ApiClient, ObjectStream};
use coxswain::api::codes;
use coxswain::api::types::{ApiError, Awaited, OperationProgress};
use coxswain::model::{Generation, ServiceName};
use futures::stream::{BoxStream, StreamExt, unfold};
use tokio::time::{Instant, sleep};

const RECONNECT_PAUSE: Duration = Duration::from_millis(300);
/// A controller restarts well within this time; after it the daemon is considered gone.
const RECONNECT_LIMIT: Duration = Duration::from_secs(30);

pub(super) enum FollowUpdate {
    Snapshot(Box<OperationProgress>),
    /// No more snapshots will come, for this reason.
    Ended(ApiError),
}

struct OperationFollower {
    client: ApiClient,
    service: ServiceName,
    generation: Generation,
    awaited: Awaited,
    counters: bool,
    stream: Option<ObjectStream<OperationProgress>>,
    lost_since: Option<Instant>,
    ended: bool,
}

/// Snapshots until one has an outcome, optionally with the balancer's counters. Reconnects if the connection breaks,
/// because the daemon may be restarting.
pub(super) fn follow(
    client: ApiClient,
    service: ServiceName,
    generation: Generation,
    awaited: Awaited,
    counters: bool,
) -> BoxStream<'static, (ServiceName, FollowUpdate)> {
    let stream = None;
    let follower = OperationFollower {
        client,
        service,
        generation,
        awaited,
        counters,
        stream,
        lost_since: None,
        ended: false,
    };
    unfold(follower, |mut follower| async move {
        if follower.ended {
            return None;
        }
        let report = follower.next().await;
        follower.ended = match &report {
            FollowUpdate::Snapshot(snapshot) => snapshot.outcome.is_some(),
            FollowUpdate::Ended(_) => true,
        };
        Some(((follower.service.clone(), report), follower))
    })
    .boxed()
}

impl OperationFollower {
    async fn next(&mut self) -> FollowUpdate {
        loop {
            match self.attempt().await {
                Ok(snapshot) => {
                    self.lost_since = None;
                    return FollowUpdate::Snapshot(Box::new(snapshot));
                }
                Err(error) => {
                    self.stream = None;
                    let since = *self.lost_since.get_or_insert_with(Instant::now);
                    if error.exit != codes::DAEMON_SILENT.exit || since.elapsed() > RECONNECT_LIMIT {
                        return FollowUpdate::Ended(error);
                    }
                    sleep(RECONNECT_PAUSE).await;
                }
            }
        }
    }

    async fn attempt(&mut self) -> Result<OperationProgress, ApiError> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => self.stream.insert(
                self.client.progress(&self.service, self.generation, self.awaited, self.counters).await?,
            ),
        };
        let ended =
            || codes::DAEMON_SILENT.error("the daemon closed the connection before the operation ended");
        stream.next().await.unwrap_or_else(|| Err(ended()))
    }
}
