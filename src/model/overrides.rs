//! What a command changed of a Service, beside its manifest.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Author;

/// A field that `scale`, `rollout --image` or `undo` changed since it was applied. It is stored with the Service, in the
/// write that makes the change, and goes when the file says the same or the user has it overwritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// Which: `spec.replicas`, `spec.env.LOG_LEVEL`.
    pub field: String,
    /// What it was before the first such change; `None` where it was not set. An image stands with its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
    /// Who, with which command.
    #[serde(flatten)]
    pub by: Author,
    /// When, for people.
    pub at: jiff::Timestamp,
}
