//! Requests to write, and their results.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{
    AppName, Author, Generation, ObjectRef, ObjectSpec, Problem, ResolvedImage, RevisionNumber,
};

/// One document of an apply: an object of some kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyDocument {
    /// Unique within the kind.
    pub name: String,
    pub app: AppName,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// The kind, and the spec as the manifest has it.
    #[serde(flatten)]
    pub spec: ObjectSpec,
    /// File and line, for messages: `app.yaml:12`.
    pub origin: String,
}

impl ApplyDocument {
    /// The address of the object.
    pub fn object(&self) -> ObjectRef {
        ObjectRef { kind: self.spec.kind(), name: self.name.clone() }
    }
}

/// What to do with the release of a service, or with its rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "change")]
pub enum RolloutChange {
    /// Another image: a tag of the current repository (no `/`, `:` or `@`) or a full reference.
    Image { image: String },
    /// The release that runs, in new containers.
    Restart,
    /// The release that failed or was aborted, once more.
    Retry,
    /// Pause the rollout.
    Pause,
    /// Resume a paused rollout.
    Resume,
    /// Roll back to the stable revision, now.
    Abort,
    /// An earlier release.
    Undo {
        /// `None`: the last good one before the current.
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
    /// Nothing was written.
    Unchanged,
    /// It is being deleted.
    Deleted,
}

/// A field that a write changed; `old` and `new` are JSON text, absent where there is none. Part of the API's answers; the
/// store keeps it only to repeat an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// `spec.env.LOG_LEVEL`.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// A field that a command changed since the manifest was applied; values are JSON text, an image is text alone. It has
/// [`Author`], which is stored with services, so users see it as the `OverriddenField` of `api/types`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Overridden {
    /// `spec.replicas`.
    pub field: String,
    /// The manifest's value; `None` where it leaves the field out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The manifest's value when it was last applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
    /// The live value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
    #[serde(flatten)]
    pub by: Author,
    pub at: jiff::Timestamp,
}

/// How documents are applied.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyOptions {
    /// Report what would change, or what conflicts, and write nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// As `dry_run`, but conflicts are part of the result, as are all settings of a new object.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub diff: bool,
    /// Overridden fields (`spec.replicas` or `replicas`) that keep their live value although the manifest changed them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<String>,
    /// Fields that take the manifest's value, overridden or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overwrite: Vec<String>,
}

impl ApplyOptions {
    /// Whether anything is to be written.
    pub fn writes(&self) -> bool {
        !self.dry_run && !self.diff
    }
}

/// What a write did to one object. Stored with the request's id, and it has [`ResolvedImage`] and [`Author`], which are stored
/// with services; so users see it as the `WrittenObject` of `api/types`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteResult {
    pub object: ObjectRef,
    pub action: WriteAction,
    /// Its generation now: what to wait for.
    pub generation: Generation,
    /// What its image resolved to; `None` for a kind without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ResolvedImage>,
    #[serde(default)]
    pub changes: Vec<FieldChange>,
    /// What the user should know: `its volumes are kept: data`.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Fields that keep the value that a command set, although the manifest has another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Overridden>,
    /// Of a diff: fields that the manifest changed as well; an apply is refused for them.
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
