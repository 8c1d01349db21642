//! Logs of replicas, merged by time, and what happens to the replicas meanwhile.
//!
//! Invariants: a container is read once, from its first line on where it came after the reader; nothing is read ahead of
//! a slow reader but [`BUFFERED_LINES`].

mod life;
mod merge;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::mpsc;

use self::merge::Merge;
use super::refused::Refused;
use super::{Controller, LogRecord, ReplicaObject};
use crate::engine::{Engine, EngineError, LogOptions};
use crate::model::{ContainerId, Desired, Phase, ReplicaName, ReplicaStatus, RevisionNumber, ServiceName};

/// Lines that wait for a slow reader; the Engine is not read further then.
const BUFFERED_LINES: usize = 256;
/// Logs followed at a time by one reader: each is a connection to the Engine.
const FOLLOWED_MAX: usize = 256;

/// Whose log, and which lines of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    /// Services whose replicas are read …
    pub services: Vec<ServiceName>,
    /// … and single replicas.
    pub replicas: Vec<ReplicaName>,
    /// Of the services' replicas only those of this revision. Without it containers that are kept after a failure are
    /// left out: their story is over.
    pub revision: Option<RevisionNumber>,
    /// Which lines.
    pub options: LogOptions,
}

type Lines = BoxStream<'static, Result<LogRecord, EngineError>>;

/// What one reader follows.
#[derive(Default)]
struct Followed {
    containers: BTreeSet<(ReplicaName, ContainerId)>,
    statuses: BTreeMap<ReplicaName, ReplicaStatus>,
    /// That there are more than can be followed has been said.
    overflowed: bool,
}

impl Controller {
    /// Lines of the replicas' current containers, merged by time. With `follow` it goes on: replicas that start later join
    /// in, and what happens to the replicas is told between the lines.
    ///
    /// # Errors
    /// [`Refused::NotFound`] for an unknown service, [`Refused::NoReplica`], or the Engine's.
    pub async fn logs(self: &Arc<Self>, query: LogQuery) -> Result<Lines, Refused> {
        let replicas = self.replicas_of(&query).await?;
        let mut merge = Merge::default();
        let mut followed = Followed::default();
        for (replica, container) in containers(&replicas) {
            match lines(self.engine.as_ref(), &replica, &container, &query.options).await {
                Ok(lines) => merge.push(lines),
                Err(error) if error.is_not_found() => {} // removed meanwhile, and its log with it
                Err(error) => return Err(error.into()),
            }
            followed.containers.insert((replica, container));
        }
        if !query.options.follow {
            return Ok(merge.boxed());
        }
        let statuses = replicas.into_iter().filter_map(|replica| replica.status);
        followed.statuses = statuses.map(|status| (status.replica.clone(), status)).collect();
        let (sender, receiver) = mpsc::channel(BUFFERED_LINES);
        let controller = Arc::clone(self);
        tokio::spawn(async move { controller.follow_logs(query, followed, merge, sender).await });
        Ok(futures::stream::unfold(receiver, |mut lines| async {
            lines.recv().await.map(|line| (line, lines))
        })
        .boxed())
    }

    async fn replicas_of(&self, query: &LogQuery) -> Result<Vec<ReplicaObject>, Refused> {
        // Of a replica only the name is known: it is looked for among all.
        let all = self.replicas(if query.replicas.is_empty() { &query.services } else { &[] }).await?;
        let wanted = |replica: &ReplicaObject| {
            let of_service = query.services.is_empty() && query.replicas.is_empty()
                || query.services.contains(&replica.spec.service);
            let of_revision = match query.revision {
                Some(revision) => replica.spec.revision == revision,
                None => !matches!(replica.spec.desired, Desired::Keep { .. }),
            };
            query.replicas.contains(&replica.spec.name) || of_service && of_revision
        };
        if let Some(none) = query.replicas.iter().find(|name| !all.iter().any(|r| r.spec.name == **name)) {
            return Err(Refused::NoReplica(none.clone()));
        }
        Ok(all.into_iter().filter(wanted).collect())
    }

    /// Forwards lines until the reader leaves or what it reads is gone; takes in containers that come later.
    async fn follow_logs(
        &self,
        query: LogQuery,
        mut followed: Followed,
        mut merge: Merge,
        sender: mpsc::Sender<Result<LogRecord, EngineError>>,
    ) {
        let mut moved = self.moved();
        let mut gone = false;
        while !(gone && merge.len() == 0) {
            tokio::select! {
                () = sender.closed() => return,
                line = merge.next(), if merge.len() > 0 => {
                    let Some(line) = line else { continue };
                    if sender.send(line).await.is_err() {
                        return;
                    }
                }
                changed = moved.changed(), if !gone => {
                    if changed.is_err() {
                        return;
                    }
                    match self.replicas_of(&query).await {
                        Ok(now) => {
                            for told in self.join(&now, &mut followed, &mut merge).await {
                                if sender.send(Ok(told)).await.is_err() {
                                    return;
                                }
                            }
                        }
                        // what its containers still say is read to the end
                        Err(Refused::NotFound(_) | Refused::NoReplica(_)) => gone = true,
                        Err(error) => tracing::warn!(%error, "cannot look for further logs"),
                    }
                }
            }
        }
    }

    /// Takes in containers that are new, and says what has happened to the replicas.
    async fn join(
        &self,
        now: &[ReplicaObject],
        followed: &mut Followed,
        merge: &mut Merge,
    ) -> Vec<LogRecord> {
        // From its first line: what it wrote before we saw it belongs to the story.
        let options = LogOptions { follow: true, tail: None, since: None };
        let mut told = happened(now, &mut followed.statuses);
        for (replica, container) in containers(now) {
            if followed.containers.contains(&(replica.clone(), container.clone())) {
                continue;
            }
            if merge.len() >= FOLLOWED_MAX {
                if !std::mem::replace(&mut followed.overflowed, true) {
                    let text = format!("not followed: {FOLLOWED_MAX} logs are followed already");
                    told.push(life_of(&replica, None, text));
                }
                continue;
            }
            match lines(self.engine.as_ref(), &replica, &container, &options).await {
                Ok(lines) => {
                    merge.push(lines);
                    followed.containers.insert((replica, container));
                }
                Err(error) => tracing::debug!(%replica, %error, "no log yet"),
            }
        }
        told
    }
}

/// What is new of each replica, and who is gone; remembers how things stand.
fn happened(now: &[ReplicaObject], before: &mut BTreeMap<ReplicaName, ReplicaStatus>) -> Vec<LogRecord> {
    let mut told = Vec::new();
    for status in now.iter().filter_map(|replica| replica.status.as_ref()) {
        let earlier = before.insert(status.replica.clone(), status.clone());
        let text = life::told(earlier.as_ref(), status);
        told.extend(text.map(|text| life_of(&status.replica, Some(status.since), text)));
    }
    before.retain(|name, last| {
        let is_here = now.iter().any(|replica| replica.spec.name == *name);
        // Its agent may have said so before.
        if !is_here && last.phase != Phase::Gone {
            told.push(life_of(name, None, "gone".to_owned()));
        }
        is_here
    });
    told
}

fn life_of(replica: &ReplicaName, at: Option<jiff::Timestamp>, text: String) -> LogRecord {
    LogRecord { replica: replica.clone(), at, stderr: false, text, life: true }
}

fn containers(replicas: &[ReplicaObject]) -> BTreeSet<(ReplicaName, ContainerId)> {
    let of = |replica: &ReplicaObject| {
        Some((replica.spec.name.clone(), replica.status.as_ref()?.container.clone()?))
    };
    replicas.iter().filter_map(of).collect()
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
        life: false,
    };
    Ok(engine.logs(container, options).await?.map(move |line| line.map(&record)).boxed())
}
