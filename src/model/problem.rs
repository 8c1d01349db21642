//! A problem of a document, found by a check. Pure.

use serde::{Deserialize, Serialize};

/// A problem of a document. `manifest` adds file, line and column; the daemon sends it as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Path of the field in the document's long form, such as `spec.rollout.maxSurge` or `spec.ports[1].port`.
    pub path: String,
    /// Names the value and what is expected.
    pub message: String,
    /// What was probably meant, or what to write instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl Problem {
    /// A problem without a suggestion.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), suggestion: None }
    }

    /// The same with what to write instead.
    #[must_use]
    pub fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }
}
