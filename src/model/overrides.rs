//! Overrides: what commands changed of a Service since its manifest was applied.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Author;

/// A field that `scale`, `rollout --image` or `undo` changed since it was applied. It is stored with the Service, in the
/// write that makes the change, and removed when the file has the same value or the user overwrites it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// `spec.replicas`, `spec.env.LOG_LEVEL`.
    pub field: String,
    /// What it was before the first such change; `None` where it was not set. An image is stored with its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
    #[serde(flatten)]
    pub by: Author,
    pub at: jiff::Timestamp,
}
