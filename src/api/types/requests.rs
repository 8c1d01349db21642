//! Bodies of writes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::controller::{ApplyDocument, ApplyOptions, RolloutChange};
use crate::model::{Author, ContainerId, ObjectRef, ReplicaName, ScaleTarget, ServiceName};

/// Check, resolve and commit documents: nothing is written unless all are valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyRequest {
    /// Chosen by the client; a repeated id gets the first answer again.
    pub request_id: String,
    pub documents: Vec<ApplyDocument>,
    #[serde(flatten)]
    pub applying: ApplyOptions,
    #[serde(flatten)]
    pub by: Author,
}

/// Set replica counts; all services must exist and be able to have as many, or nothing is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleRequest {
    pub request_id: String,
    /// Replicas by service: `3`, or `"+1"` and `"-1"` from what is stored when the request is written.
    pub targets: BTreeMap<ServiceName, ScaleTarget>,
    #[serde(flatten)]
    pub by: Author,
}

/// Change the release of a service, or its rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutRequest {
    pub request_id: String,
    pub service: ServiceName,
    #[serde(flatten)]
    pub change: RolloutChange,
    #[serde(flatten)]
    pub by: Author,
}

/// Delete objects; all must exist or nothing is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteRequest {
    pub request_id: String,
    pub objects: Vec<ObjectRef>,
    /// The volumes of services too, with the data.
    #[serde(default)]
    pub volumes: bool,
    #[serde(flatten)]
    pub by: Author,
}

/// Allow the removals that are held back, and let replicas start without volumes that have vanished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmRequest {
    pub request_id: String,
    /// Names in Docker of the volumes whose loss the user accepts: those that the client showed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub lost_volumes: BTreeSet<String>,
}

/// Kill one container of a replica, as a crash would end it; its agent starts another one. Safe to repeat, because it
/// names the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KillRequest {
    pub request_id: String,
    pub service: ServiceName,
    pub replica: ReplicaName,
    /// As the client saw it.
    pub container: ContainerId,
    #[serde(flatten)]
    pub by: Author,
}
