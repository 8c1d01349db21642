//! Logs of replicas, merged by time, and what happens to the replicas meanwhile.
//!
//! Invariants: a container is read once, from its first line on where it came after the reader; nothing is read ahead of
//! a slow reader but a bounded number of lines; what goes of several services does not end the others.

mod follow;
mod life;
mod lines;
mod merge;
mod reader;

use std::sync::Arc;

use futures::StreamExt;
use tokio::time::Instant;

use self::lines::LogLines;
use self::reader::Reader;
use crate::agent::LogOptions;
use crate::controller::error::ControllerError;
use crate::controller::nodes::handle::Nodes;
use crate::controller::queries::ReplicaObject;
use crate::model::{Desired, ReplicaName, RevisionNumber, ServiceName};

/// Whose log, and which lines of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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

impl Nodes {
    /// Lines of the replicas' current containers, merged by time. With `follow` it goes on until nothing of what was asked
    /// for is left: replicas that start later join in, and what happens to the replicas is told between the lines.
    ///
    /// # Errors
    /// [`ControllerError::NotFound`] for an unknown service, [`ControllerError::NoReplica`], or the Engine's.
    pub async fn logs(self: &Arc<Self>, query: LogQuery) -> Result<LogLines, ControllerError> {
        // Before the look, so that what moves after it is not missed.
        let moved = self.queries.version();
        let replicas = self.replicas_of(&query).await?;
        let mut reader = Reader::default();
        let taken = reader.take_in(&self.links, &replicas, &query.options, Instant::now()).await;
        taken.failed.map_or(Ok(()), Err)?;
        let left_out = futures::stream::iter(taken.told.into_iter().map(Ok));
        if !query.options.follow {
            return Ok(left_out.chain(reader.merge).boxed());
        }
        reader.happened(&replicas); // what was before is no news
        Ok(left_out.chain(self.follow_logs(query, reader, moved)).boxed())
    }

    async fn replicas_of(&self, query: &LogQuery) -> Result<Vec<ReplicaObject>, ControllerError> {
        // Of a replica only the name is known: it is looked for among all.
        let all =
            self.queries.replicas(if query.replicas.is_empty() { &query.services } else { &[] }).await?;
        let wanted = |replica: &ReplicaObject| {
            let of_service = query.services.is_empty() && query.replicas.is_empty()
                || query.services.contains(&replica.spec.service);
            let of_revision = match query.revision {
                Some(revision) => replica.spec.revision == revision,
                None => !matches!(replica.spec.desired, Desired::Retain { .. }),
            };
            query.replicas.contains(&replica.spec.name) || of_service && of_revision
        };
        if let Some(none) = query.replicas.iter().find(|name| !all.iter().any(|r| r.spec.name == **name)) {
            return Err(ControllerError::NoReplica(none.clone()));
        }
        Ok(all.into_iter().filter(wanted).collect())
    }
}
