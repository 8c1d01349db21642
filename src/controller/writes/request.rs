//! What a user may write, and what a write did.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{
    AppName, Author, Generation, Problem, ResolvedImage, RevisionNumber, ServiceName, ServiceSpec,
};

/// One document of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyDocument {
    /// Name of the Service.
    pub name: ServiceName,
    /// Its app.
    pub app: AppName,
    /// Notes.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// The spec; `replicas` is `None` where the file does not say.
    pub spec: ServiceSpec,
    /// Where it stands, for messages: `app.yaml:12`.
    pub origin: String,
}

/// What to roll to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "change")]
pub enum RolloutChange {
    /// Another image: a tag of the current repository (no `/`, `:` or `@`) or a full reference.
    Image {
        /// As typed.
        image: String,
    },
    /// The release that runs, in new containers.
    Restart,
    /// The release that failed or was aborted, once more.
    Retry,
    /// Let the rollout stand still.
    Pause,
    /// Let it go on.
    Resume,
    /// Go back to the stable revision, now.
    Abort,
    /// An earlier release.
    Undo {
        /// Which; `None` is the last good one before the current.
        to: Option<RevisionNumber>,
    },
}

/// What a write did to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WriteAction {
    /// It did not exist.
    Created,
    /// Its spec or image changed.
    Changed,
    /// Nothing to do.
    Unchanged,
    /// It is being deleted.
    Deleted,
}

/// A field that a write changed; `old` and `new` are JSON text, absent where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// `spec.env.LOG_LEVEL`.
    pub path: String,
    /// Before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// After.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// A field that a command changed beside the file; values are JSON text, an image is text alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Overridden {
    /// `spec.replicas`.
    pub field: String,
    /// What the file says; `None` where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What the file said when it was last applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
    /// Who changed it, with which command.
    #[serde(flatten)]
    pub by: Author,
    /// When.
    pub at: jiff::Timestamp,
}

/// How documents are applied.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyOptions {
    /// Only say what would change, or what is in the way.
    #[serde(default)]
    pub dry_run: bool,
    /// As `dry_run`, but a conflict is an answer and no refusal, and all that a new service sets is told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub diff: bool,
    /// Overridden fields (`spec.replicas` or `replicas`) whose live value stays though the file changed them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<String>,
    /// Fields whose value is the file's, overridden or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overwrite: Vec<String>,
}

impl ApplyOptions {
    /// Whether anything is to be written.
    pub fn writes(&self) -> bool {
        !self.dry_run && !self.diff
    }
}

/// Without choices; whether it is a dry run.
impl From<bool> for ApplyOptions {
    fn from(dry_run: bool) -> Self {
        Self { dry_run, ..Self::default() }
    }
}

/// What a write did to one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteResult {
    /// Which.
    pub name: ServiceName,
    /// What.
    pub action: WriteAction,
    /// Its generation now: what to wait for.
    pub generation: Generation,
    /// What its image resolved to.
    pub image: ResolvedImage,
    /// Field by field.
    #[serde(default)]
    pub changes: Vec<FieldChange>,
    /// What the user should know: `replicas: 3 → 2, set by an earlier "ctl scale users=3"`.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Fields that keep what a command made of them, though the file says something else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Overridden>,
    /// Of a diff: fields that the file changed as well; an apply is refused for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Overridden>,
}

/// A problem of one document of an apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentProblem {
    /// Index into the request's documents.
    pub document: usize,
    /// What is wrong.
    #[serde(flatten)]
    pub problem: Problem,
}
