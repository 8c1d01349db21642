//! Logs of replicas, merged by time, with notices of what happens to the replicas.
//!
//! Invariants: a container is read once, and from its first line where it started after the client connected; at most a
//! bounded number of records is read ahead of a slow client; a service that is deleted does not end the logs of others.

mod follow;
mod merge;
mod reader;
mod records;
mod replica_changes;

use std::sync::Arc;

use futures::StreamExt;

use self::follow::Followed;
use self::reader::LogReader;
use self::records::RecordStream;
use self::replica_changes::ReplicaChanges;
use super::handle::Nodes;
use crate::agent::LogOptions;
use crate::controller::error::ControllerError;
use crate::controller::queries::ReplicaObject;
use crate::model::{Desired, ReplicaName, RevisionNumber, ServiceName};

/// Which replicas' logs, and which lines of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Services whose replicas are read …
    pub services: Vec<ServiceName>,
    /// … and single replicas.
    pub replicas: Vec<ReplicaName>,
    /// Only replicas of this revision. Without it, containers that are retained after a failure are left out.
    pub revision: Option<RevisionNumber>,
    pub options: LogOptions,
}

impl Nodes {
    /// Records of the replicas' current containers, merged by time. With `follow` the stream continues until nothing that
    /// was asked for is left: replicas that start later join in, and changes of replicas become notices.
    ///
    /// # Errors
    /// [`ControllerError::NotFound`] for an unknown service, [`ControllerError::NoReplica`], or the Engine's.
    pub async fn logs(self: &Arc<Self>, query: LogQuery) -> Result<RecordStream, ControllerError> {
        // Subscribed before the replicas are read, so that no later change is missed.
        let version = self.queries.version();
        let replicas = self.replicas_of(&query).await?;
        let mut reader = LogReader::default();
        let opened = reader.open_new(&self.links, &replicas, &query.options, self.clock.mono()).await;
        opened.error.map_or(Ok(()), Err)?;
        let notices = futures::stream::iter(opened.notices.into_iter().map(Ok));
        if !query.options.follow {
            return Ok(notices.chain(reader.merge).boxed());
        }
        let mut changes = ReplicaChanges::default();
        changes.update(&replicas); // the current statuses are no news
        let followed = Followed { query, reader, changes, version };
        Ok(notices.chain(self.follow_logs(followed)).boxed())
    }

    async fn replicas_of(&self, query: &LogQuery) -> Result<Vec<ReplicaObject>, ControllerError> {
        // A replica's name does not determine its service: all replicas are searched.
        let all =
            self.queries.replicas(if query.replicas.is_empty() { &query.services } else { &[] }).await?;
        let is_wanted = |replica: &ReplicaObject| {
            let of_service = query.services.is_empty() && query.replicas.is_empty()
                || query.services.contains(&replica.spec.service);
            let of_revision = match query.revision {
                Some(revision) => replica.spec.revision == revision,
                None => !matches!(replica.spec.desired, Desired::Retain { .. }),
            };
            query.replicas.contains(&replica.spec.name) || of_service && of_revision
        };
        let is_missing = |name: &&ReplicaName| !all.iter().any(|replica| replica.spec.name == **name);
        if let Some(missing) = query.replicas.iter().find(is_missing) {
            return Err(ControllerError::NoReplica(missing.clone()));
        }
        Ok(all.into_iter().filter(is_wanted).collect())
    }
}
