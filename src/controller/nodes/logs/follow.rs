//! Following: lines are forwarded until the reader leaves or nothing is left that could bring one.

use std::sync::Arc;

use futures::StreamExt;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::LogQuery;
use super::lines::LogLines;
use super::reader::Reader;
use crate::agent::{EngineError, LogOptions};
use crate::controller::error::ControllerError;
use crate::controller::nodes::handle::Nodes;
use crate::controller::queries::{LogRecord, ReplicaObject};

/// LogLines that wait for a slow reader; the Engine is not read further then.
const BUFFERED_LINES: usize = 256;

impl Nodes {
    /// Goes on with what the reader has taken in.
    pub(super) fn follow_logs(
        self: &Arc<Self>,
        query: LogQuery,
        reader: Reader,
        moved: watch::Receiver<u64>,
    ) -> LogLines {
        let (sender, receiver) = mpsc::channel(BUFFERED_LINES);
        let nodes = Arc::clone(self);
        tokio::spawn(async move {
            let forwarding = nodes.forward(&query, reader, moved, &sender);
            tokio::select! {
                () = sender.closed() => {}
                () = forwarding => {}
            }
        });
        let lines = |mut receiver: mpsc::Receiver<_>| async { receiver.recv().await.map(|l| (l, receiver)) };
        futures::stream::unfold(receiver, lines).boxed()
    }

    /// Forwards lines, and looks again whenever something moved; ends once what is asked for is gone and its containers'
    /// last lines are read, or nobody reads.
    async fn forward(
        &self,
        query: &LogQuery,
        mut reader: Reader,
        mut moved: watch::Receiver<u64>,
        sender: &mpsc::Sender<Result<LogRecord, EngineError>>,
    ) {
        let mut gone = false;
        while !(gone && reader.merge.len() == 0) {
            let again_at = reader.again_at();
            let line = tokio::select! {
                line = reader.merge.next(), if reader.merge.len() > 0 => line,
                () = worth_a_look(&mut moved, again_at), if !gone => None,
            };
            let lines = match line {
                Some(line) => vec![line],
                None if gone => continue,
                None => {
                    let told;
                    (told, gone) = self.look(query, &mut reader).await;
                    told.into_iter().map(Ok).collect()
                }
            };
            for line in lines {
                if sender.send(line).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Takes in containers that are new; brings what has happened to the replicas, and whether nothing is left.
    async fn look(&self, query: &LogQuery, reader: &mut Reader) -> (Vec<LogRecord>, bool) {
        let left = match self.left_of(query).await {
            Ok(left) => left,
            Err(error) => {
                tracing::warn!(%error, "cannot look for further logs");
                return (Vec::new(), false);
            }
        };
        let gone = left.is_none();
        let now = left.unwrap_or_default();
        let mut told = reader.happened(&now);
        // From its first line: what it wrote before we saw it belongs to the story.
        let options = LogOptions { follow: true, tail: None, since: None };
        let taken = reader.take_in(&self.links, &now, &options, Instant::now()).await;
        if let Some(error) = taken.failed {
            tracing::debug!(%error, "no log yet");
        }
        told.extend(taken.told);
        (told, gone)
    }

    /// The replicas of what is still there; `None` once nothing is.
    async fn left_of(&self, query: &LogQuery) -> Result<Option<Vec<ReplicaObject>>, ControllerError> {
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
            // A query that names nothing would mean everything.
            if left.services.is_empty() && left.replicas.is_empty() {
                return Ok(None);
            }
        }
    }
}

/// Passes when something moved, or a log is to be asked for again.
async fn worth_a_look(moved: &mut watch::Receiver<u64>, again_at: Option<Instant>) {
    tokio::select! {
        // Its sender is the controller's, which we hold: an error is not to be had.
        _ = moved.changed() => {}
        () = sleep_until(again_at.unwrap_or_else(Instant::now)), if again_at.is_some() => {}
    }
}
