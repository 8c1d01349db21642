//! Errors as `ctl` prints them.

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize};

use crate::controller::DocumentProblem;

/// Why a call failed. Boxed, because it is in every `Result` of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(transparent)]
#[error("{}", .0.what)]
pub struct ApiError(Box<ErrorDetail>);

/// What an error says. Printed by `ctl` as `error[CODE]: what`, then *why*, *now*, *next*.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorDetail {
    /// From the registry of codes, `CTL-0201`.
    pub code: String,
    /// What `ctl` exits with.
    pub exit: u8,
    /// The operation that failed, and on which object.
    pub what: String,
    #[serde(default)]
    pub why: Vec<String>,
    /// The last lines that the failed container wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// What is retained for inspection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// The code that explains the failure reason, where that has one in addition to `code`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The current state, where something was or could have been changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
    /// One or two commands.
    #[serde(default)]
    pub next: Vec<String>,
    /// Problems of documents.
    #[serde(default)]
    pub problems: Vec<DocumentProblem>,
}

impl From<ErrorDetail> for ApiError {
    fn from(detail: ErrorDetail) -> Self {
        Self(Box::new(detail))
    }
}

impl Deref for ApiError {
    type Target = ErrorDetail;

    fn deref(&self) -> &ErrorDetail {
        &self.0
    }
}

impl DerefMut for ApiError {
    fn deref_mut(&mut self) -> &mut ErrorDetail {
        &mut self.0
    }
}
