//! One instance that the orchestrator wants, and what its agent reports of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    AppName, ContainerId, CutRequests, Diagnosis, Millis, NodeId, NotReadyCause, ReplicaHistory, ReplicaName,
    RevisionNumber, ServiceName, TemplateHash, Trial,
};

/// Why a replica is removed. A running container is stopped only for one of these causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// The user deleted the service.
    Deleted,
    /// The user asked for fewer replicas.
    ScaledDown,
    /// A later revision took its place.
    Replaced,
    /// Its revision failed and was rolled back.
    RolledBack,
}

/// What the orchestrator wants of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Desired {
    /// Run, in rotation once ready.
    Run,
    /// Drain, stop, and retain the container for inspection: the last one of a failed rollout. It is never started again;
    /// only `Remove` follows.
    Retain { cause: Cause },
    /// Drain, stop, remove. There is no way back.
    Remove { cause: Cause },
}

/// A wanted instance: `replicas/<service>/<name>`. Written by the orchestrator alone, before its container is made;
/// deleted by it after its status says [`ReplicaPhase::Gone`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replica {
    /// Its name, never reused.
    pub name: ReplicaName,
    pub service: ServiceName,
    /// The app, which names its network.
    pub app: AppName,
    /// Which of the service's places it fills, from 1; during a surge two replicas never share one.
    pub slot: u32,
    /// Its revision; moves to a later one of the same hash without a restart.
    pub revision: RevisionNumber,
    /// Template hash of the revision it was made from.
    pub hash: TemplateHash,
    /// The node that it runs on.
    pub node: NodeId,
    /// When it was made, which tells it from one of the same name in a store that was replaced by an older copy; `None` for one made
    /// by an earlier version. Never a time to reckon with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<jiff::Timestamp>,
    pub desired: Desired,
}

impl Replica {
    /// Whether it is meant to be in rotation.
    pub fn runs(&self) -> bool {
        matches!(self.desired, Desired::Run)
    }
}

/// The phase of a replica. Written by the agent; the orchestrator reads progress from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "phase")]
pub enum ReplicaPhase {
    /// Nothing done yet, or held up.
    Waiting {
        /// What it waits for; `None` where the agent has not acted yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<NotReadyCause>,
    },
    /// The image is being pulled. The time counts apart.
    Pulling,
    /// Container created or running, not yet ready for the first time.
    Starting {
        /// The last failed probe.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<NotReadyCause>,
    },
    /// Its endpoint is in the registry as `ready` (or, without a port, it runs).
    Ready,
    /// Was ready, and its health check fails now; out of rotation, still probed.
    Unready {
        /// The last observation.
        cause: NotReadyCause,
    },
    /// The container ended or could not be made; the next attempt comes after a while.
    BackOff {
        cause: NotReadyCause,
        /// When the next attempt comes, for people.
        retry_at: jiff::Timestamp,
    },
    /// Out of rotation or on its way there.
    Draining,
    /// The stop signal went out.
    Stopping,
    /// The container has stopped and is retained for inspection.
    Retained,
    /// No container, endpoint or address is left. The orchestrator deletes the replica.
    Gone,
}

/// What the agent reports of a replica: `status/<service>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaStatus {
    pub replica: ReplicaName,
    #[serde(flatten)]
    pub phase: ReplicaPhase,
    /// Number of the current container; counts up from 1.
    pub attempt: u32,
    /// Containers that ended by themselves, could not be started or never became ready within `startWithin`, that
    /// count. Only grows.
    pub failures: u32,
    /// The current container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerId>,
    /// Its ports that are published on 127.0.0.1, with the port there: it is reached by these and not by its address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub published: BTreeMap<u16, u16>,
    /// Its address on the app's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// From the start of the container to ready, once it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_after: Option<Millis>,
    /// When this phase began, for people.
    pub since: jiff::Timestamp,
    /// How long it has been trying to serve.
    #[serde(default, skip_serializing_if = "Trial::is_none")]
    pub trial: Trial,
    /// What was observed of it while it is not healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<Diagnosis>,
    /// Requests that were cut when it was stopped for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<CutRequests>,
    #[serde(default, skip_serializing_if = "ReplicaHistory::is_empty")]
    pub history: ReplicaHistory,
}

impl ReplicaPhase {
    /// Whether it is trying to serve: the time that this takes counts against `startWithin`.
    pub fn is_trying(&self) -> bool {
        matches!(self, Self::Starting { .. } | Self::Waiting { .. } | Self::BackOff { .. })
    }

    /// Why it is not ready, where that is known.
    pub fn cause(&self) -> Option<&NotReadyCause> {
        match self {
            Self::Waiting { cause } | Self::Starting { cause } => cause.as_ref(),
            Self::Unready { cause } | Self::BackOff { cause, .. } => Some(cause),
            Self::Pulling | Self::Ready | Self::Draining | Self::Stopping | Self::Retained | Self::Gone => {
                None
            }
        }
    }
}

impl ReplicaStatus {
    /// Whether its endpoint is registered as ready.
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, ReplicaPhase::Ready)
    }

    /// How often the agent has started another container in place of one that ended or disappeared. Not to be confused with
    /// the restarts that a user asks for (`Service::restarts`), which make new replicas.
    pub fn restart_count(&self) -> u32 {
        self.history.containers.saturating_sub(1)
    }
}
