//! The snapshots of one operation, over as many connections as it takes.

use std::time::Duration;

use coxswain::api::client::{ApiClient, ObjectStream};
use coxswain::api::codes;
use coxswain::api::types::{ApiError, Awaited, OperationProgress};
use coxswain::model::{Generation, ServiceName};
use futures::stream::{BoxStream, StreamExt, unfold};
use tokio::time::{Instant, sleep};

/// Between two attempts to reach a daemon that went away.
const RECONNECT_PAUSE: Duration = Duration::from_millis(300);
/// A controller that restarts is back long before; after this the daemon itself is gone.
const RECONNECT_LIMIT: Duration = Duration::from_secs(30);

/// What the stream of a service brings.
pub(super) enum Report {
    /// Where it stands.
    Snapshot(Box<OperationProgress>),
    /// The daemon will not tell any more, for this reason.
    Ended(Box<ApiError>),
}

struct Follower {
    client: ApiClient,
    service: ServiceName,
    generation: Generation,
    awaited: Awaited,
    counters: bool,
    stream: Option<ObjectStream<OperationProgress>>,
    /// Since when nothing was heard.
    lost_since: Option<Instant>,
    ended: bool,
}

/// Snapshots until one has an outcome, with the balancer's counters for who shows them. A connection that breaks is made again, as the daemon may be restarting.
pub(super) fn follow(
    client: ApiClient,
    service: ServiceName,
    generation: Generation,
    awaited: Awaited,
    counters: bool,
) -> BoxStream<'static, (ServiceName, Report)> {
    let stream = None;
    let follower =
        Follower { client, service, generation, awaited, counters, stream, lost_since: None, ended: false };
    unfold(follower, |mut follower| async move {
        if follower.ended {
            return None;
        }
        let report = follower.next().await;
        follower.ended = match &report {
            Report::Snapshot(snapshot) => snapshot.outcome.is_some(),
            Report::Ended(_) => true,
        };
        Some(((follower.service.clone(), report), follower))
    })
    .boxed()
}

impl Follower {
    async fn next(&mut self) -> Report {
        loop {
            match self.attempt().await {
                Ok(snapshot) => {
                    self.lost_since = None;
                    return Report::Snapshot(Box::new(snapshot));
                }
                Err(error) => {
                    self.stream = None;
                    let since = *self.lost_since.get_or_insert_with(Instant::now);
                    if error.exit != codes::DAEMON_SILENT.exit || since.elapsed() > RECONNECT_LIMIT {
                        return Report::Ended(Box::new(error));
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
        let ended = || codes::DAEMON_SILENT.error("the daemon ended the report before the operation ended");
        stream.next().await.unwrap_or_else(|| Err(ended()))
    }
}
