//! What happened, for people: capped per object, never read by a decision.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::described::described;

/// How an event should strike the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EventKind {
    /// As it should be.
    Normal,
    /// Worth a look.
    Warning,
}

described! {
    /// What happened, in one word.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
    pub enum EventReason {
        /// A new revision takes the place of the one before, or is the first.
        RolloutStarted,
        /// All wanted replicas are of the new revision and have been available for `healthyFor`.
        RolloutCompleted,
        /// The rollout failed; the message says what was seen.
        RolloutFailed,
        /// The service goes back to the last revision whose rollout completed.
        RollingBack,
        /// The service is back on the last revision whose rollout completed.
        RolledBack,
        /// Somebody paused the rollout: nothing moves and no deadline runs.
        RolloutPaused,
        /// Somebody resumed the rollout.
        RolloutResumed,
        /// Somebody aborted the rollout: the service goes back to the last revision whose rollout completed.
        RolloutAborted,
        /// The number of replicas was changed.
        Scaled,
        /// The service's replicas are drained and removed.
        Deleting,
        /// Nothing is left of the service.
        ServiceDeleted,
        /// The image is being pulled.
        ImagePulling,
        /// The image was pulled.
        ImagePulled,
        /// The image cannot be had: unknown, not allowed, or its registry is away.
        ImageUnavailable,
        /// A container runs; the message counts the attempts.
        ContainerStarted,
        /// The container ended by itself; the message has its exit code.
        ContainerExited,
        /// Somebody asked for the container's end, as `ctl verify` does; the message says who.
        Killed,
        /// Somebody paused the container by hand; nothing is done to it.
        ContainerPaused,
        /// The replica passes its health check and has an endpoint.
        ReplicaReady,
        /// A container that was to run is not there any more, and nobody here removed it.
        ContainerMissing,
        /// A replica that was ready fails its health check and is out of rotation.
        Unhealthy,
        /// The replica did not pass its health check within `startWithin`.
        NotReadyInTime,
        /// The next attempt waits; the message says until when.
        BackOff,
        /// The Engine did not do what was asked; the message is in its words.
        EngineRefused,
        /// The network of the app has no address left.
        NoFreeAddress,
        /// The replica is out of rotation; its requests in flight end.
        Draining,
        /// The container was told to stop.
        Stopping,
        /// The container stopped and was removed.
        Stopped,
        /// The replica of a failed rollout stopped; its container is kept to be looked at.
        Retained,
        /// A container is not stopped, because a balancer has not acknowledged a table without it for a while.
        BalancerUnacknowledged,
        /// An event that another version of the daemon wrote.
        #[serde(other)]
        Unknown,
    }
}

impl fmt::Display for EventReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Padded by who prints it in a column; the derived `Debug` is not.
        f.pad(&format!("{self:?}"))
    }
}

/// Something that happened to a service: `events/<service>/<sequence>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When.
    pub at: jiff::Timestamp,
    /// `service/users` or `replica/users-9-a`.
    pub object: String,
    /// How it should strike the reader.
    pub kind: EventKind,
    /// What.
    pub reason: EventReason,
    /// One line.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of events must not fail because of one that a later version wrote.
    #[test]
    fn a_reason_of_another_version_can_be_read() {
        let read = |text: &str| serde_json::from_str::<EventReason>(text).map_err(|e| e.to_string());
        assert_eq!(read("\"Sunk\""), Ok(EventReason::Unknown));
        for (reason, meaning) in EventReason::ALL {
            assert_eq!(read(&format!("\"{reason}\"")), Ok(*reason));
            assert!(meaning.trim().ends_with('.'), "{reason}");
        }
    }
}
