//! Events: capped per object, never read by a decision.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::CutRequests;
use super::described::described;

/// The severity of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EventKind {
    /// Expected.
    Normal,
    /// Needs attention.
    Warning,
}

described! {
    /// What happened, in one word.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
    pub enum EventReason {
        /// A new revision replaces the previous one, or is the first.
        RolloutStarted,
        /// All wanted replicas are of the new revision and have been available for `healthyFor`.
        RolloutCompleted,
        /// The rollout failed; the message has the cause.
        RolloutFailed,
        /// All replicas of a failed rollout's target serve after all: the rollout resumes.
        RolloutRecovered,
        /// The service is being rolled back to the last revision whose rollout completed.
        RollingBack,
        /// The service was rolled back to the last revision whose rollout completed.
        RolledBack,
        /// A user paused the rollout: no replica is replaced and no deadline runs.
        RolloutPaused,
        /// A user resumed the rollout.
        RolloutResumed,
        /// A user aborted the rollout: the service goes back to the last revision whose rollout completed.
        RolloutAborted,
        /// The number of replicas was changed.
        Scaled,
        /// The service's replicas are drained and removed.
        Deleting,
        /// All replicas of the service are removed, and the service is deleted.
        ServiceDeleted,
        /// The image is being pulled.
        ImagePulling,
        /// The image was pulled.
        ImagePulled,
        /// The image cannot be pulled: unknown, not allowed, or its registry does not answer.
        ImageUnavailable,
        /// A container was started; the message counts the attempts.
        ContainerStarted,
        /// The container exited; the message has its exit code.
        ContainerExited,
        /// A user asked to kill the container, as `ctl verify` does; the message names the user.
        Killed,
        /// The container was paused outside of Coxswain, which leaves it alone.
        ContainerPaused,
        /// The container was taken off its app's network outside of Coxswain, which connects it again.
        OffNetwork,
        /// The replica passes its health check and has an endpoint.
        ReplicaReady,
        /// A container that should be running has disappeared; Coxswain did not remove it.
        ContainerMissing,
        /// A replica that was ready fails its health check and is out of rotation.
        Unhealthy,
        /// The replica did not pass its health check within `startWithin`.
        NotReadyInTime,
        /// The next attempt is delayed; the message has the time.
        BackOff,
        /// The Engine refused a request; the message has its answer.
        EngineRefused,
        /// A volume that the container is to mount, and that held data, no longer exists.
        VolumeMissing,
        /// The app's network has no free address.
        NoFreeAddress,
        /// The replica is out of rotation; its requests in flight are finishing.
        Draining,
        /// The stop signal was sent to the container.
        Stopping,
        /// Requests were still in flight when `rollout.drain` had passed; the message has their number.
        DrainExceeded,
        /// The container did not end within `stop.grace` and is killed; the message has the signal and the likely cause.
        GraceExceeded,
        /// The container stopped and was removed.
        Stopped,
        /// The replica of a failed rollout stopped; its container is retained for inspection.
        Retained,
        /// Containers of a replica failed three times within ten minutes; the message names the first such replica.
        CrashLooping,
        /// No replica is crash-looping any more: none failed for ten minutes, or those that did were replaced.
        CrashLoopEnded,
        /// A replica was ready and then failed its health check three times within ten minutes; the message names the first such one.
        ReadinessFlapping,
        /// The readiness of no replica is flapping any more: none became unready for ten minutes, or those that did were replaced.
        ReadinessFlappingEnded,
        /// A container is not stopped, because a balancer has not acknowledged a table without it for a while.
        BalancerUnacknowledged,
        /// Containers of an app cannot connect to the balancer, as when a firewall of the node drops their packets.
        BalancerUnreachable,
        /// Containers of an app that could not connect to the balancer can do so again.
        BalancerReachable,
        /// A TCP port of the node that the service listens on cannot be opened; the message has the reason. It is tried again.
        PortUnavailable,
        /// A TCP port of the node that could not be opened is open.
        PortOpened,
        /// The certificate of an HTTPS route cannot serve, or clients refuse it; the message has file and reason. An earlier one keeps serving,
        /// if there is one.
        CertificateInvalid,
        /// A new certificate serves an HTTPS route; the message says until when it is valid.
        CertificateLoaded,
        /// A process of the daemon ends again and again; the message has its last exit.
        DaemonCrashLooping,
        /// A socket of the daemon was removed or replaced; the supervisor bound it again.
        SocketBoundAgain,
        /// A balancer of an earlier daemon did not end within its drain limit, or kept its sockets, and was killed.
        BalancerKilled,
        /// An event written by another version of the daemon.
        #[serde(other)]
        Unknown,
    }
}

impl fmt::Display for EventReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Callers pad it to a column; the derived `Debug` ignores that.
        f.pad(&format!("{self:?}"))
    }
}

/// Something that happened to a service: `events/<service>/<sequence>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    pub at: jiff::Timestamp,
    /// `service/users` or `replica/users-9-a`.
    pub object: String,
    pub kind: EventKind,
    pub reason: EventReason,
    pub message: String,
    /// Requests that were cut: of a container that was stopped, or of a deletion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<CutRequests>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of events must not fail because of one that a later version wrote.
    #[test]
    fn unknown_event_reason_deserializes_as_unknown() {
        let read = |text: &str| serde_json::from_str::<EventReason>(text).map_err(|e| e.to_string());
        assert_eq!(read("\"Sunk\""), Ok(EventReason::Unknown));
        for (reason, meaning) in EventReason::ALL {
            assert_eq!(read(&format!("\"{reason}\"")), Ok(*reason));
            assert!(meaning.trim().ends_with('.'), "{reason}");
        }
    }
}
