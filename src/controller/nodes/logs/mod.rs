//! Logs of replicas, merged by time, with notices of what happens to the replicas.
//!
//! Invariants: a container is read once, and from its first line where it started after the client connected; at most a
//! bounded number of records is read ahead of a slow client; a service that is deleted does not end the logs of others.

mod follow;
mod merge;
mod previous;
mod query;
mod reader;
mod records;
mod replica_changes;

use std::sync::Arc;

use futures::StreamExt;

use self::follow::Followed;
use self::reader::ClientLogs;
use self::records::RecordStream;
use self::replica_changes::ReplicaChanges;
use super::handle::Nodes;
use crate::controller::error::ControllerError;

pub use self::query::LogQuery;

impl Nodes {
    /// Records of the replicas' current containers, merged by time. With `follow` the stream continues until nothing that
    /// was asked for is left: replicas that start later join in, and changes of replicas become notices. With `previous`
    /// those of the containers that ended last, and nothing is followed.
    ///
    /// # Errors
    /// [`ControllerError::NotFound`] for an unknown service, [`ControllerError::NoReplica`],
    /// [`ControllerError::NoPrevious`], [`ControllerError::PreviousGone`], or the Engine's.
    pub async fn logs(self: &Arc<Self>, query: LogQuery) -> Result<RecordStream, ControllerError> {
        // Subscribed before the replicas are read, so that no later change is missed.
        let version = self.queries.version();
        let replicas = self.replicas_of(&query).await?;
        if query.previous {
            return previous::open(&self.links, &replicas, &query.options).await;
        }
        let mut reader = ClientLogs::default();
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
}
