//! The progress of an operation.

use serde::{Deserialize, Serialize};

use super::{CutRequestsDetail, ObjectAuthor, ObjectCondition, ReplicaState, RolloutFailureDetail};
use crate::controller::{OperationEnd, ProgressSnapshot, ReplicaSnapshot};
use crate::model::{
    EndpointStats, Generation, Incarnation, Latencies, Millis, Mono, ReplicaName, RevisionNumber,
    RolloutDirection, ServiceName,
};

/// A snapshot of an operation on one service: sent whenever it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationProgress {
    pub service: ServiceName,
    /// The generation that the orchestrator has read; a snapshot of an earlier one than was asked about does not cover the
    /// operation yet.
    #[serde(default)]
    pub observed: Generation,
    /// Whether a release replaces another one, or a failed release is rolled back.
    pub direction: RolloutDirection,
    /// The revision that is replaced, if any: the stable one, or the failed one while it is rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<RevisionNumber>,
    /// The revision that should run.
    pub target: RevisionNumber,
    /// Wanted replicas.
    pub wanted: u32,
    /// Whether each replaced replica is removed before its replacement starts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stops_first: bool,
    /// Replicas of the target that are ready and routed.
    pub available: u32,
    /// In the order of their names.
    pub replicas: Vec<ReplicaProgress>,
    /// Conditions of the daemon that block it, such as `EngineUnavailable`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_by: Vec<ObjectCondition>,
    /// When the replicas' counters were read; only for clients that ask for counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<CountersReading>,
    /// As in the status of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_requests: Option<u64>,
    /// Requests that were cut since the generation was written, by replica.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut_requests: Vec<CutRequestsDetail>,
    /// How it ended; the stream ends after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OperationOutcome>,
}

/// The state of one replica in an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaProgress {
    pub name: ReplicaName,
    pub revision: RevisionNumber,
    /// Whether it should run; otherwise it is being removed.
    pub runs: bool,
    /// Ready and routed.
    pub available: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ReplicaState>,
    /// Requests in flight to it.
    pub in_flight: u64,
    /// Requests that it finished since it left rotation.
    #[serde(default)]
    pub drained: u64,
    /// Only for clients that ask for counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<ReplicaCounters>,
}

/// What the balancer counted of a replica since its container started or the balancer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaCounters {
    /// Requests that have ended.
    pub requests: u64,
    /// Of these, answered 500 to 599, or not at all.
    pub errors: u64,
    /// From the choice of the endpoint to the headers of its response.
    #[serde(default, skip_serializing_if = "Latencies::is_empty")]
    pub latencies: Latencies,
}

impl From<EndpointStats> for ReplicaCounters {
    fn from(stats: EndpointStats) -> Self {
        let EndpointStats { in_flight: _, drained: _, requests, errors, latencies } = stats;
        Self { requests, errors, latencies }
    }
}

/// When counters were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CountersReading {
    /// The balancer process: another one counts from zero.
    pub by: Incarnation,
    /// By the balancer's clock.
    pub at: Mono,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum OperationOutcome {
    /// Every wanted replica is ready and routed, and no other is left.
    Done,
    /// A first release serves with all its replicas; it is complete once they have served for `healthyFor`, and fails if they
    /// crash until then.
    Watched { left: Millis },
    /// The service is deleted.
    Deleted,
    /// The rollout failed and was rolled back.
    RolledBack { failure: RolloutFailureDetail },
    /// The rollout failed and was not rolled back.
    Failed { failure: RolloutFailureDetail },
    /// Another release took its place.
    Superseded {
        /// The generation that asks for it.
        by: Generation,
        revision: RevisionNumber,
        author: ObjectAuthor,
    },
}

impl From<OperationEnd> for OperationOutcome {
    fn from(end: OperationEnd) -> Self {
        match end {
            OperationEnd::Done => Self::Done,
            OperationEnd::Watched { left } => Self::Watched { left },
            OperationEnd::Deleted => Self::Deleted,
            OperationEnd::RolledBack { failure } => Self::RolledBack { failure: failure.into() },
            OperationEnd::Failed { failure } => Self::Failed { failure: failure.into() },
            OperationEnd::Superseded { by, revision, author } => {
                Self::Superseded { by, revision, author: author.into() }
            }
        }
    }
}

impl OperationProgress {
    /// The snapshot for a client, with the balancer's counters if it asked for them.
    pub fn new(snapshot: ProgressSnapshot, counters: bool) -> Self {
        let counted = snapshot.counted.filter(|_| counters);
        let counters = counted.is_some();
        let replica = |replica| ReplicaProgress::new(replica, snapshot.deleting, counters);
        let rollout = snapshot.rollout.as_ref();
        Self {
            service: snapshot.service,
            observed: rollout.map(|rollout| rollout.observed_generation).unwrap_or_default(),
            direction: rollout.map(|rollout| rollout.state.direction()).unwrap_or_default(),
            from: rollout.and_then(|rollout| rollout.replaced()),
            target: rollout.map(|rollout| rollout.target).unwrap_or_default(),
            wanted: snapshot.wanted,
            stops_first: snapshot.stops_first,
            available: snapshot.available,
            replicas: snapshot.replicas.into_iter().map(replica).collect(),
            held_by: snapshot.held_by.into_iter().map(ObjectCondition::from).collect(),
            counted: counted.map(|(by, at)| CountersReading { by, at }),
            failed_requests: snapshot.failed_requests,
            cut_requests: snapshot.cut.into_iter().map(CutRequestsDetail::from).collect(),
            outcome: snapshot.end.map(OperationOutcome::from),
        }
    }
}

impl ReplicaProgress {
    fn new(snapshot: ReplicaSnapshot, deleting: bool, counters: bool) -> Self {
        let ReplicaSnapshot { replica, status, available, stats, image: _ } = snapshot;
        Self {
            runs: replica.runs() && !deleting,
            name: replica.name,
            revision: replica.revision,
            available,
            status: status.map(ReplicaState::from),
            in_flight: stats.in_flight,
            drained: stats.drained,
            counters: counters.then(|| stats.into()),
        }
    }
}
