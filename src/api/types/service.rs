//! Services.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    ContainerExit, CutRequestsDetail, ObjectAuthor, ObjectCondition, ObjectImage, ObjectMetadata,
    RolloutStatus,
};
use crate::controller::ServiceSnapshot;
use crate::model::{Generation, Override, ReplicaName, ServiceSpec};

/// A service; `apply` takes it back and ignores `status`, `uid`, `generation` and `createdAt`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceObject {
    pub metadata: ObjectMetadata,
    /// As a manifest declares it, with defaults.
    pub spec: ServiceSpec,
    pub status: ServiceStatus,
}

/// The current state of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// The generation that the orchestrator last acted on.
    pub observed_generation: Generation,
    /// `Ready`, `Progressing`, `Degraded`.
    pub conditions: Vec<ObjectCondition>,
    /// Wanted replicas.
    pub wanted: u32,
    /// Replicas that are ready and routed.
    pub available: u32,
    /// The image that containers should be created from: that of the rollout's target, after a rollback not the spec's.
    pub image: ObjectImage,
    /// `None` before the first pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStatus>,
    /// Replicas that are held up, with the reason in one line: `web-4-b: HealthCheckFailing …`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<String>,
    /// What else the orchestrator waits for: `users-9-a must stay healthy for another 8s`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<String>,
    /// Requests that failed during the rollout in progress or the last one; `None` where that is not known for all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_requests: Option<u64>,
    /// Requests that were cut in the operation in progress or the last one, by replica.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut_requests: Vec<CutRequestsDetail>,
    /// Names of its volumes in Docker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// Fields that commands changed since the manifest was applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<FieldOverride>,
    /// How often containers of its replicas were started again in place of one that ended or disappeared.
    #[serde(default)]
    pub restart_count: u32,
    /// The last container of these that ended without being asked to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<ServiceExit>,
    /// When this service was last written or finished rolling.
    pub changed_at: jiff::Timestamp,
}

/// How a container of a service ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceExit {
    pub replica: ReplicaName,
    #[serde(flatten)]
    pub exit: ContainerExit,
}

/// A field that a command changed since the manifest was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldOverride {
    /// `spec.replicas`.
    pub field: String,
    /// Before the first such change; `None` where it was not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
    #[serde(flatten)]
    pub by: ObjectAuthor,
    pub at: jiff::Timestamp,
}

impl From<Override> for FieldOverride {
    fn from(over: Override) -> Self {
        let Override { field, old, new, by, at } = over;
        Self { field, old, new, by: by.into(), at }
    }
}

impl From<ServiceSnapshot> for ServiceObject {
    fn from(snapshot: ServiceSnapshot) -> Self {
        let rollout = snapshot.rollout;
        let service = snapshot.service;
        let observed_generation = rollout.as_ref().map(|rollout| rollout.observed_generation);
        let written_at = service.written_at;
        let changed_at = rollout.as_ref().map_or(written_at, |rollout| rollout.since.max(written_at));
        Self {
            metadata: service.metadata.into(),
            spec: service.spec,
            status: ServiceStatus {
                observed_generation: observed_generation.unwrap_or_default(),
                conditions: snapshot.conditions.into_iter().map(ObjectCondition::from).collect(),
                wanted: snapshot.wanted,
                available: snapshot.available,
                image: snapshot.image.into(),
                rollout: rollout.map(|rollout| RolloutStatus::new(rollout, snapshot.deadline)),
                troubles: snapshot.troubles,
                waits: snapshot.waits,
                failed_requests: snapshot.failed_requests,
                cut_requests: snapshot.cut.into_iter().map(CutRequestsDetail::from).collect(),
                volumes: snapshot.volumes,
                overrides: service.overrides.into_iter().map(FieldOverride::from).collect(),
                restart_count: snapshot.restart_count,
                last_exit: snapshot
                    .last_exit
                    .map(|(replica, exit)| ServiceExit { replica, exit: exit.into() }),
                changed_at,
            },
        }
    }
}
