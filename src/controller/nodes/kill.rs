//! Killing a replica's container on request, as a crash would, so that a user can watch the recovery.
//!
//! Nothing declared changes: the replica stays, and its agent restarts it as after any crash.

use super::handle::Nodes;
use crate::agent::KillTarget;
use crate::controller::error::ControllerError;
use crate::events::{EventWriter, append_to};
use crate::model::{Author, ContainerId, Event, EventKind, EventReason, ReplicaName, ServiceName};
use crate::store::Txn;

impl Nodes {
    /// Kills the container of a replica with SIGKILL, and records the request first: a kill whose answer is lost has its
    /// event too. The caller names the container, so a repeated
    /// call does nothing: a container that has ended is left alone, and its successor has another id.
    ///
    /// # Errors
    /// [`ControllerError::NotFound`] and [`ControllerError::NoReplica`]; [`ControllerError::BadValue`] for a container that
    /// is not this replica's; [`ControllerError::NodeNotConnected`] where its agent cannot be asked; the store's and the
    /// Engine's.
    pub async fn kill(
        &self,
        service: &ServiceName,
        replica: &ReplicaName,
        container: &ContainerId,
        by: Author,
    ) -> Result<(), ControllerError> {
        let replicas = self.queries.replicas(std::slice::from_ref(service)).await?;
        let Some(found) = replicas.iter().find(|found| found.replica.name == *replica) else {
            return Err(ControllerError::NoReplica(replica.clone()));
        };
        let Some(node) = self.links.get(&found.replica.node) else {
            return Err(ControllerError::NodeNotConnected(found.replica.node.clone()));
        };
        match node.kill_target(replica, container).await? {
            KillTarget::NotOfReplica => return Err(not_of_replica(replica, container)),
            KillTarget::NotRunning => return Ok(()),
            KillTarget::Running => {}
        }
        let event = Event {
            at: self.clock.wall(),
            object: format!("replica/{replica}"),
            kind: EventKind::Warning,
            reason: EventReason::Killed,
            message: format!(
                "kill of container {} requested by {}",
                container.short(),
                by.bounded().summary()
            ),
            cut: Vec::new(),
        };
        let ops = append_to(self.store.as_ref(), service, EventWriter::User, &[event]).await?;
        self.store.txn(Txn { compare: Vec::new(), ops }).await?;
        node.kill_container(replica, container).await?;
        Ok(())
    }
}

fn not_of_replica(replica: &ReplicaName, container: &ContainerId) -> ControllerError {
    ControllerError::BadValue(format!("replica {replica} has no container {}", container.short()))
}
