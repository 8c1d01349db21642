//! Following logs: records are forwarded until the client leaves or nothing that was asked for is left.

use std::sync::Arc;

use futures::StreamExt;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::query::LogQuery;
use super::reader::ClientLogs;
use super::records::RecordStream;
use super::replica_changes::ReplicaChanges;
use crate::agent::{EngineError, LogOptions};
use crate::controller::error::ControllerError;
use crate::controller::nodes::handle::Nodes;
use crate::controller::queries::{LogEntry, ReplicaSnapshot};
use crate::model::Millis;

/// Records that wait for a slow client; the Engine is not read further then.
const BUFFERED_RECORDS: usize = 256;

/// What one client follows.
pub(super) struct Followed {
    pub(super) query: LogQuery,
    pub(super) reader: ClientLogs,
    pub(super) changes: ReplicaChanges,
    /// Changes when replicas may have changed.
    pub(super) version: watch::Receiver<u64>,
}

/// What a refresh found.
#[derive(Default)]
struct Refreshed {
    notices: Vec<LogEntry>,
    /// Whether nothing that was asked for is left.
    is_gone: bool,
}

impl Nodes {
    /// Follows what the reader has opened.
    pub(super) fn follow_logs(self: &Arc<Self>, followed: Followed) -> RecordStream {
        let (sender, receiver) = mpsc::channel(BUFFERED_RECORDS);
        let nodes = Arc::clone(self);
        tokio::spawn(async move {
            let forwarding = nodes.forward(followed, &sender);
            tokio::select! {
                () = sender.closed() => {}
                () = forwarding => {}
            }
        });
        let next = |mut receiver: mpsc::Receiver<_>| async { receiver.recv().await.map(|r| (r, receiver)) };
        futures::stream::unfold(receiver, next).boxed()
    }

    /// Forwards records, and refreshes the replicas whenever something changed. Ends once what was asked for is gone and
    /// the last records of its containers are read, or once the client left.
    async fn forward(&self, mut followed: Followed, sender: &mpsc::Sender<Result<LogEntry, EngineError>>) {
        let mut is_gone = false;
        while !is_gone || followed.reader.merge.len() > 0 {
            let retry_in = followed.reader.retry_at().map(|at| at.since(self.clock.mono()));
            let record = tokio::select! {
                record = followed.reader.merge.next(), if followed.reader.merge.len() > 0 => record,
                () = changed(&mut followed.version, retry_in), if !is_gone => None,
            };
            let records = match record {
                Some(record) => vec![record],
                None if is_gone => continue,
                None => {
                    let refreshed = self.refresh(&mut followed).await;
                    is_gone = refreshed.is_gone;
                    refreshed.notices.into_iter().map(Ok).collect()
                }
            };
            for record in records {
                if sender.send(record).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Opens the logs of new containers and reports changes of replicas.
    async fn refresh(&self, followed: &mut Followed) -> Refreshed {
        let left = match self.left_of(&followed.query).await {
            Ok(left) => left,
            Err(error) => {
                tracing::warn!(%error, "cannot list replicas whose logs are followed");
                return Refreshed::default();
            }
        };
        let is_gone = left.is_none();
        let replicas = left.unwrap_or_default();
        let mut notices = followed.changes.update(&replicas);
        // From the first line: the container started while the client was reading.
        let options = LogOptions { follow: true, tail: None, since: None };
        let opened = followed.reader.open_new(&self.links, &replicas, &options, self.clock.mono()).await;
        if let Some(error) = opened.error {
            tracing::debug!(%error, "a log cannot be opened yet");
        }
        notices.extend(opened.notices);
        Refreshed { notices, is_gone }
    }

    /// The replicas of what still exists; `None` once nothing does.
    async fn left_of(&self, query: &LogQuery) -> Result<Option<Vec<ReplicaSnapshot>>, ControllerError> {
        let mut left = query.clone();
        loop {
            match self.replicas_of(&left).await {
                Ok(replicas) => return Ok(Some(replicas)),
                Err(ControllerError::NotFound(names)) => {
                    left.services.retain(|name| !names.contains(&name.into()));
                }
                Err(ControllerError::NoReplica(gone)) => left.replicas.retain(|name| *name != gone),
                Err(error) => return Err(error),
            }
            // An empty query would mean every service.
            if left.services.is_empty() && left.replicas.is_empty() {
                return Ok(None);
            }
        }
    }
}

/// Returns when the version changes, or a log is due to be opened again.
async fn changed(version: &mut watch::Receiver<u64>, retry_in: Option<Millis>) {
    tokio::select! {
        // The controller owns the sender and outlives its clients: this is no error.
        _ = version.changed() => {}
        () = sleep(retry_in.unwrap_or_default().std()), if retry_in.is_some() => {}
    }
}
