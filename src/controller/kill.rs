//! Ending a container by force, as a crash would end it: for somebody who wants to see what comes of it.
//!
//! Nothing that is wanted changes: the replica stays, and its agent starts it anew as after any crash.

use super::Controller;
use super::refused::ControllerError;
use crate::agent::events::{Writer, append_to};
use crate::engine::{ContainerState, EngineError, LABEL_REPLICA, LABEL_STORE, ObservedContainer};
use crate::model::{Author, ContainerId, Event, EventKind, EventReason, ReplicaName, ServiceName};
use crate::store::Txn;

const KILL_SIGNAL: &str = "SIGKILL";

impl Controller {
    /// Ends the container of a replica with SIGKILL, and records by whom. Naming the container makes the call safe to
    /// repeat: one that has ended already is left alone, and its successor is another.
    ///
    /// # Errors
    /// [`ControllerError::NotFound`] and [`ControllerError::NoReplica`]; [`ControllerError::BadValue`] for a container that is not this
    /// replica's; the store's and the Engine's.
    pub async fn kill(
        &self,
        service: &ServiceName,
        replica: &ReplicaName,
        container: &ContainerId,
        by: Author,
    ) -> Result<(), ControllerError> {
        let replicas = self.replicas(std::slice::from_ref(service)).await?;
        if !replicas.iter().any(|found| found.spec.name == *replica) {
            return Err(ControllerError::NoReplica(replica.clone()));
        }
        let found = match self.engine.inspect(container).await {
            Ok(found) => found,
            Err(error) if error.is_not_found() => return Err(not_its(replica, container)),
            Err(error) => return Err(error.into()),
        };
        if !is_of(&found, self.store.identity().id.as_str(), replica) {
            return Err(not_its(replica, container));
        }
        if found.state != ContainerState::Running {
            return Ok(());
        }
        let event = Event {
            at: self.clock.wall(),
            object: format!("replica/{replica}"),
            kind: EventKind::Warning,
            reason: EventReason::Killed,
            message: format!("container {} killed: {}", container.short(), by.bounded().told()),
        };
        let ops = append_to(self.store.as_ref(), service, Writer::User, &[event]).await?;
        self.store.txn(Txn { compare: Vec::new(), ops }).await?;
        match self.engine.kill(container, KILL_SIGNAL).await {
            Ok(()) | Err(EngineError::NotFound { .. } | EngineError::NotRunning { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// What is not ours is not touched.
fn is_of(container: &ObservedContainer, store: &str, replica: &ReplicaName) -> bool {
    let is = |label: &str, value: &str| container.labels.get(label).map(String::as_str) == Some(value);
    is(LABEL_STORE, store) && is(LABEL_REPLICA, replica.as_str())
}

fn not_its(replica: &ReplicaName, container: &ContainerId) -> ControllerError {
    ControllerError::BadValue(format!("replica {replica} has no container {}", container.short()))
}
