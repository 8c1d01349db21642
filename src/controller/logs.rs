//! Logs of replicas, merged by time.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use futures::stream::{BoxStream, Peekable, SelectAll, select_all};
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;

use super::refused::Refused;
use super::{Controller, LogRecord, ReplicaObject};
use crate::engine::{Engine, EngineError, LogOptions};
use crate::model::{ContainerId, Desired, ReplicaName, RevisionNumber, ServiceName};

/// Lines that wait for a slow reader; the Engine is not read further then.
const BUFFERED_LINES: usize = 256;

/// Whose log, and which lines of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    /// Services whose replicas are read.
    pub services: Vec<ServiceName>,
    /// Only this replica.
    pub replica: Option<ReplicaName>,
    /// Only replicas of this revision. Without it and without a replica's name, containers that are kept after a
    /// failure are left out: their story is over.
    pub revision: Option<RevisionNumber>,
    /// Which lines.
    pub options: LogOptions,
}

type Lines = BoxStream<'static, Result<LogRecord, EngineError>>;

impl Controller {
    /// Lines of the replicas' current containers. Without `follow` they are merged by time; with it they come as they
    /// are written, and replicas that start later join in.
    ///
    /// # Errors
    /// [`Refused::NotFound`] for an unknown service, [`Refused::NoReplica`], or the Engine's.
    pub async fn logs(self: &Arc<Self>, query: LogQuery) -> Result<Lines, Refused> {
        let containers = self.containers_of(&query).await?;
        let mut streams = Vec::new();
        for (replica, container) in &containers {
            match lines(self.engine.as_ref(), replica, container, &query.options).await {
                Ok(stream) => streams.push(stream),
                Err(error) if error.is_not_found() => {} // removed meanwhile, and its log with it
                Err(error) => return Err(error.into()),
            }
        }
        if !query.options.follow {
            return Ok(merged(streams).boxed());
        }
        let (sender, receiver) = mpsc::channel(BUFFERED_LINES);
        let controller = Arc::clone(self);
        tokio::spawn(
            async move { controller.follow_logs(query, containers, select_all(streams), sender).await },
        );
        Ok(futures::stream::unfold(receiver, |mut lines| async {
            lines.recv().await.map(|line| (line, lines))
        })
        .boxed())
    }

    async fn containers_of(&self, query: &LogQuery) -> Result<BTreeSet<(ReplicaName, ContainerId)>, Refused> {
        let replicas = self.replicas(&query.services).await?;
        let wanted = |replica: &ReplicaObject| match (&query.replica, query.revision) {
            (Some(name), _) => replica.spec.name == *name,
            (None, Some(revision)) => replica.spec.revision == revision,
            (None, None) => !matches!(replica.spec.desired, Desired::Keep { .. }),
        };
        let found: Vec<_> = replicas.into_iter().filter(wanted).collect();
        if let (true, Some(name)) = (found.is_empty(), &query.replica) {
            return Err(Refused::NoReplica(name.clone()));
        }
        let found = found.into_iter();
        Ok(found.filter_map(|replica| Some((replica.spec.name, replica.status?.container?))).collect())
    }

    /// Forwards lines until the reader leaves or what it reads is gone; takes in containers that come later.
    async fn follow_logs(
        &self,
        query: LogQuery,
        mut known: BTreeSet<(ReplicaName, ContainerId)>,
        mut streams: SelectAll<Lines>,
        sender: mpsc::Sender<Result<LogRecord, EngineError>>,
    ) {
        // From its first line: what it wrote before we saw it belongs to the story.
        let options = LogOptions { follow: true, tail: None, since: None };
        let mut moved = self.moved();
        let mut gone = false;
        while !(gone && streams.is_empty()) {
            tokio::select! {
                () = sender.closed() => return,
                line = streams.next(), if !streams.is_empty() => {
                    let Some(line) = line else { continue };
                    if sender.send(line).await.is_err() {
                        return;
                    }
                }
                changed = moved.changed(), if !gone => {
                    if changed.is_err() {
                        return;
                    }
                    let now = match self.containers_of(&query).await {
                        Ok(now) => now,
                        Err(Refused::NotFound(_) | Refused::NoReplica(_)) => {
                            gone = true; // what its containers still say is read to the end
                            continue;
                        }
                        Err(error) => {
                            tracing::warn!(%error, "cannot look for further logs");
                            continue;
                        }
                    };
                    known.retain(|container| now.contains(container));
                    for (replica, container) in now.difference(&known.clone()) {
                        match lines(self.engine.as_ref(), replica, container, &options).await {
                            Ok(stream) => {
                                streams.push(stream);
                                known.insert((replica.clone(), container.clone()));
                            }
                            Err(error) => tracing::debug!(%replica, %error, "no log yet"),
                        }
                    }
                }
            }
        }
    }
}

async fn lines(
    engine: &dyn Engine,
    replica: &ReplicaName,
    container: &ContainerId,
    options: &LogOptions,
) -> Result<Lines, EngineError> {
    let replica = replica.clone();
    let record = move |line: crate::engine::LogLine| LogRecord {
        replica: replica.clone(),
        at: line.at,
        stderr: line.stderr,
        text: line.text,
    };
    Ok(engine.logs(container, options).await?.map(move |line| line.map(&record)).boxed())
}

/// The line with the earliest time of all streams, again and again.
fn merged(streams: Vec<Lines>) -> impl Stream<Item = Result<LogRecord, EngineError>> + Send {
    let heads: Vec<Pin<Box<Peekable<Lines>>>> =
        streams.into_iter().map(|lines| Box::pin(lines.peekable())).collect();
    futures::stream::unfold(heads, |mut heads| async move {
        let mut first: Option<(usize, Option<jiff::Timestamp>)> = None;
        for (i, head) in heads.iter_mut().enumerate() {
            let Some(line) = head.as_mut().peek().await else { continue };
            let at = line.as_ref().ok().and_then(|line| line.at);
            if first.is_none_or(|(_, earliest)| at < earliest) {
                first = Some((i, at));
            }
        }
        let (i, _) = first?;
        let line = heads.get_mut(i)?.next().await?;
        Some((line, heads))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn logs_merge_by_time() {
        let stream = |replica: &str, seconds: &[i64]| -> Lines {
            let record = |second: &i64| {
                Ok(LogRecord {
                    replica: replica.into(),
                    at: jiff::Timestamp::from_second(*second).ok(),
                    stderr: false,
                    text: second.to_string(),
                })
            };
            futures::stream::iter(seconds.iter().map(record).collect::<Vec<_>>()).boxed()
        };
        let lines = merged(vec![stream("a", &[1, 4, 5]), stream("b", &[2, 3, 9]), stream("c", &[])]);
        let texts: Vec<String> =
            lines.map(|line| line.map(|line| line.text).unwrap_or_default()).collect().await;
        assert_eq!(texts, ["1", "2", "3", "4", "5", "9"]);
    }
}
