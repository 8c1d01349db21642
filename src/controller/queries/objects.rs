//! Objects as they are shown: what `ctl get`, `describe` and the progress of an operation are made from.
//!
//! Their JSON is the stable interface of `-o json`.

use serde::{Deserialize, Serialize};

use crate::model::{
    Author, Condition, EndpointStats, EngineKind, ExposureMode, Generation, Incarnation, Metadata, Millis,
    Mono, NodeId, OutcomeRecord, Override, Replica, ReplicaName, ReplicaStatus, ResolvedImage, Revision,
    RevisionNumber, Rollout, RolloutFailure, ServiceName, ServiceSpec, StoreId, TableName,
};

/// Version of the objects that are shown and applied.
pub const API_VERSION: &str = "coxswain/v1";

/// What is so of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// The generation that the orchestrator last acted on.
    pub observed_generation: Generation,
    /// `Ready`, `Progressing`, `Degraded`.
    pub conditions: Vec<Condition>,
    /// Wanted replicas.
    pub wanted: u32,
    /// Replicas that are ready and routed.
    pub available: u32,
    /// The image that containers should be made from: of the rollout's target, after a rollback not the spec's.
    pub image: ResolvedImage,
    /// The rollout; `None` before the first pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// Replicas that are held up, with the reason in one line: `web-4-b: HealthCheckFailing …`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<String>,
    /// What the orchestrator waits for beside them, as of now: `users-9-a must stay healthy for another 8s`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<String>,
    /// Requests that failed during the rollout under way or, where none is, the last one; `None` where that is not known
    /// for all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_requests: Option<u64>,
    /// Names in Docker of its volumes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// What commands changed beside the manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// When this service was last written or finished rolling.
    pub changed_at: jiff::Timestamp,
}

/// A service as it is shown; `apply` takes it back (and ignores `status`, `uid`, `generation`, `createdAt`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceObject {
    /// [`API_VERSION`].
    pub api_version: String,
    /// `Service`.
    pub kind: String,
    /// Who.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: ServiceSpec,
    /// What is so.
    pub status: ServiceStatus,
}

/// A replica as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaObject {
    /// [`API_VERSION`].
    pub api_version: String,
    /// `Replica`.
    pub kind: String,
    /// What is wanted.
    pub spec: Replica,
    /// What its agent says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ReplicaStatus>,
    /// Whether it is ready and every balancer has acknowledged it.
    pub available: bool,
    /// Requests in flight to it.
    pub in_flight: u64,
    /// The image of its revision.
    pub image: ResolvedImage,
}

/// A host as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeObject {
    /// The Engine's id.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Version and API version of the Engine, or what keeps us from it.
    pub engine: String,
    /// Whether the Engine answers.
    pub available: bool,
    /// The kind of its Engine; `None` while that does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<EngineKind>,
    /// How containers are reached that are made on it; `None` before that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<ExposureMode>,
    /// Limits that its Engine takes and does not enforce: `memory`, `cpu`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unenforced: Vec<String>,
    /// Containers of ours on it.
    pub containers: u32,
}

/// What is so of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DaemonStatus {
    /// Version of the daemon.
    pub version: String,
    /// Process id of the controller.
    pub pid: u32,
    /// How long the controller has run.
    pub uptime: Millis,
    /// Store UUID.
    pub store: StoreId,
    /// Revision of the store.
    pub store_revision: u64,
    /// The host.
    pub node: NodeObject,
    /// The last table published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableName>,
    /// The last table that the balancer acknowledged; `None` while it is not connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<TableName>,
    /// Addresses of the HTTP entry point.
    pub http: Vec<String>,
    /// Number of services.
    pub services: u32,
    /// Conditions of the daemon that hold, such as `EngineUnavailable`, `DeletionHeld`.
    pub conditions: Vec<Condition>,
}

/// Where one replica of a rollout stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaProgress {
    /// Which.
    pub name: ReplicaName,
    /// Its revision.
    pub revision: RevisionNumber,
    /// Whether it is wanted to run (else it is on its way out).
    pub runs: bool,
    /// Ready and routed.
    pub available: bool,
    /// What its agent says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ReplicaStatus>,
    /// Requests in flight to it.
    pub in_flight: u64,
    /// Requests that it finished since no new one is sent to it.
    #[serde(default)]
    pub drained: u64,
    /// What the balancer counted of its endpoint; only for who asks for counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<EndpointStats>,
}

/// When counters were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counted {
    /// By which balancer process: another one counts from zero.
    pub by: Incarnation,
    /// By its own clock.
    pub at: Mono,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum OperationOutcome {
    /// Every wanted replica is ready and routed, and nothing else is left.
    Done,
    /// The service is gone.
    Deleted,
    /// The rollout failed and was undone.
    RolledBack {
        /// What failed.
        failure: RolloutFailure,
    },
    /// The rollout failed and was not undone.
    Failed {
        /// What failed.
        failure: RolloutFailure,
    },
    /// Someone released something else.
    Superseded {
        /// With this generation.
        by: Generation,
        /// As this revision.
        revision: RevisionNumber,
        /// Who.
        author: Author,
    },
}

/// What an operation waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Awaited {
    /// That the release asked for runs: whoever applies, rolls, restarts or undoes.
    #[default]
    Release,
    /// That as many replicas as are wanted run, of whatever release: whoever scales or aborts.
    Count,
}

/// A revision as it is shown, with what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionObject {
    /// What was released.
    #[serde(flatten)]
    pub revision: Revision,
    /// How that went; nothing is known of what an earlier version of `ctl` released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<OutcomeRecord>,
    /// Whether it is what should run now.
    #[serde(default)]
    pub current: bool,
}

/// A snapshot of an operation on one service: sent whenever it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationProgress {
    /// Which service.
    pub service: ServiceName,
    /// The generation that the orchestrator has taken in; an earlier one than was asked about says nothing of it yet.
    #[serde(default)]
    pub observed: Generation,
    /// The revision that is being replaced, if any: the earlier one, or the failed one while it is rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<RevisionNumber>,
    /// The revision that should run.
    pub target: RevisionNumber,
    /// Wanted replicas.
    pub wanted: u32,
    /// Replicas of the target that are ready and routed.
    pub available: u32,
    /// All replicas, in the order of their names.
    pub replicas: Vec<ReplicaProgress>,
    /// Conditions of the daemon that keep it from going on, such as `EngineUnavailable`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_by: Vec<Condition>,
    /// When the replicas' counters were read; only for who asks for counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<Counted>,
    /// As in the status of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_requests: Option<u64>,
    /// How it ended; the stream ends after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OperationOutcome>,
}

impl OperationProgress {
    /// The same for one who did not ask for counters, although another one made the balancer send them.
    #[must_use]
    pub fn without_counters(mut self) -> Self {
        self.counted = None;
        self.replicas.iter_mut().for_each(|replica| replica.counters = None);
        self
    }
}

/// A line of a replica's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogRecord {
    /// Whose.
    pub replica: ReplicaName,
    /// When it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<jiff::Timestamp>,
    /// Whether on stderr.
    pub stderr: bool,
    /// Its text.
    pub text: String,
    /// Whether it is not the program's: what happened to the replica.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub life: bool,
}
