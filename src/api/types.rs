//! Requests and responses, as JSON.
//!
//! | call | body → answer |
//! | --- | --- |
//! | `GET /v1/status` | → [`DaemonStatus`] |
//! | `POST /v1/apply` | [`ApplyRequest`] → [`ApplyResponse`] |
//! | `POST /v1/scale` | [`ScaleRequest`] → [`WriteResponse`] |
//! | `POST /v1/rollout` | [`RolloutRequest`] → [`WriteResponse`] |
//! | `POST /v1/delete` | [`DeleteRequest`] → [`WriteResponse`] |
//! | `POST /v1/confirm` | [`ConfirmRequest`] → [`ConfirmResponse`] |
//! | `POST /v1/kill` | [`KillRequest`] → [`KillResponse`] |
//! | `GET /v1/services?watch=` | → [`List`] of [`ServiceObject`]; with `watch` a stream of lists, as the next four |
//! | `GET /v1/services/{name}` | → [`ServiceObject`] |
//! | `GET /v1/replicas?service=&watch=` | → [`List`] of [`ReplicaObject`] |
//! | `GET /v1/endpoints?service=&watch=` | → [`List`] of `Endpoint` |
//! | `GET /v1/revisions?service=&watch=` | → [`List`] of [`RevisionObject`] |
//! | `GET /v1/nodes?watch=` | → [`List`] of [`NodeObject`] |
//! | `GET /v1/events?service=&follow=` | → stream of `Event`, oldest first |
//! | `GET /v1/services/{name}/progress?generation=&awaited=&counters=` | → stream of [`OperationProgress`], the last has an outcome |
//! | `GET /v1/logs?service=&replica=&revision=&follow=&tail=&since=` | → stream of [`LogRecord`] |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::controller::{
    API_VERSION, ApplyDocument, ApplyOptions, Awaited, Counted, DaemonStatus, DocumentProblem, FieldChange,
    LogOptions, LogQuery, LogRecord, NodeObject, OperationOutcome, OperationProgress, Overridden,
    ReplicaObject, ReplicaProgress, RevisionObject, RolloutChange, ServiceObject, ServiceStatus, WriteAction,
    WriteResult, diff,
};
use crate::model::{Author, ContainerId, ReplicaName, ServiceName};

/// Check, resolve and commit documents: nothing is written unless all are sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyRequest {
    /// Chosen by the client; a repeated id gets the first answer again.
    pub request_id: String,
    /// What to apply.
    pub documents: Vec<ApplyDocument>,
    /// How.
    #[serde(flatten)]
    pub applying: ApplyOptions,
    /// Who, with which command, for the record.
    #[serde(flatten)]
    pub by: Author,
}

/// Answer to an apply, in the order of the documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyResponse {
    /// One per document.
    pub results: Vec<WriteResult>,
    /// Whether anything was written.
    pub dry_run: bool,
}

/// Answer to any other write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteResponse {
    /// One per service named.
    pub results: Vec<WriteResult>,
}

/// Set replica counts; all services must exist or nothing is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleRequest {
    /// As in [`ApplyRequest`].
    pub request_id: String,
    /// Replicas by service.
    pub targets: BTreeMap<ServiceName, u32>,
    /// As in [`ApplyRequest`].
    #[serde(flatten)]
    pub by: Author,
}

/// Roll one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutRequest {
    /// As in [`ApplyRequest`].
    pub request_id: String,
    /// Which service.
    pub service: ServiceName,
    /// To what.
    #[serde(flatten)]
    pub change: RolloutChange,
    /// As in [`ApplyRequest`].
    #[serde(flatten)]
    pub by: Author,
}

/// Delete services; all must exist or nothing is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteRequest {
    /// As in [`ApplyRequest`].
    pub request_id: String,
    /// Which.
    pub services: Vec<ServiceName>,
    /// Their volumes too, with what is in them.
    #[serde(default)]
    pub volumes: bool,
    /// As in [`ApplyRequest`].
    #[serde(flatten)]
    pub by: Author,
}

/// Let the held removals happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmRequest {
    /// As in [`ApplyRequest`].
    pub request_id: String,
}

/// What was let go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmResponse {
    /// Names of the containers, and `service NAME` of the services, that are now removed.
    pub released: Vec<String>,
}

/// End one container of a replica by force, as a crash would; its agent starts the replica anew. Safe to repeat, as it
/// names the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KillRequest {
    /// As in [`ApplyRequest`].
    pub request_id: String,
    /// Of which service.
    pub service: ServiceName,
    /// Which replica.
    pub replica: ReplicaName,
    /// Its container, as the client saw it.
    pub container: ContainerId,
    /// As in [`ApplyRequest`].
    #[serde(flatten)]
    pub by: Author,
}

/// It does not run any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KillResponse {
    /// The container that was named.
    pub container: ContainerId,
}

/// Several objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// Always `List`.
    pub kind: String,
    /// The objects, in the order of their names.
    pub items: Vec<T>,
}

impl<T> List<T> {
    /// A list of these.
    pub fn of(items: Vec<T>) -> Self {
        Self { kind: "List".to_owned(), items }
    }
}

/// Why a call was not done. Printed by `ctl` as `error[CODE]: what`, then *why*, *now*, *next*.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{what}")]
pub struct ApiError {
    /// From the registry of codes, `CTL-0201`.
    pub code: String,
    /// What `ctl` exits with.
    pub exit: u8,
    /// What was not done.
    pub what: String,
    /// Observations.
    #[serde(default)]
    pub why: Vec<String>,
    /// The last lines that the container at fault wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// What is kept to be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// The code that explains its class, where it has one beside its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// How things stand now, where something was or could have been changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
    /// One or two commands.
    #[serde(default)]
    pub next: Vec<String>,
    /// Problems of documents.
    #[serde(default)]
    pub problems: Vec<DocumentProblem>,
}
