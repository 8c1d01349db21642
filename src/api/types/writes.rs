//! Answers to writes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{ObjectAuthor, ObjectImage, RevisionObject};
use crate::controller::{Confirmed, FieldChange, FieldsError, Overridden, WriteAction, WriteResult, diff};
use crate::model::{ContainerId, Generation, ObjectRef, Release, ResolvedImage, ServiceSpec};

/// Answer to an apply, in the order of the documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyResponse {
    /// One per document.
    pub results: Vec<WrittenObject>,
    /// Whether nothing was written.
    pub dry_run: bool,
}

/// Answer to any other write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteResponse {
    /// One per object named.
    pub results: Vec<WrittenObject>,
}

/// What a confirmation allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmResponse {
    /// Names of the containers, and `service NAME` of the services, that are now removed.
    pub removed: Vec<String>,
    /// Names in Docker of the volumes that replicas no longer wait for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub lost_volumes: BTreeSet<String>,
}

impl From<Confirmed> for ConfirmResponse {
    fn from(confirmed: Confirmed) -> Self {
        let Confirmed { removed, lost_volumes } = confirmed;
        Self { removed, lost_volumes }
    }
}

/// The container does not run any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KillResponse {
    pub container: ContainerId,
}

/// What a write did to one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenObject {
    pub object: ObjectRef,
    pub action: WriteAction,
    /// Its generation now: what to wait for.
    pub generation: Generation,
    /// What its image resolved to; `None` for a kind without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ObjectImage>,
    #[serde(default)]
    pub changes: Vec<FieldChange>,
    /// What the user should know: `its volumes are kept: data`.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Fields that keep the value that a command set, although the manifest has another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<OverriddenField>,
    /// Of a diff: fields that the manifest changed as well; an apply is rejected for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<OverriddenField>,
}

impl From<WriteResult> for WrittenObject {
    fn from(result: WriteResult) -> Self {
        let WriteResult { object, action, generation, image, changes, notes, kept, conflicts } = result;
        Self {
            object,
            action,
            generation,
            image: image.map(ObjectImage::from),
            changes,
            notes,
            kept: kept.into_iter().map(OverriddenField::from).collect(),
            conflicts: conflicts.into_iter().map(OverriddenField::from).collect(),
        }
    }
}

/// What a service sets other than the defaults.
///
/// # Errors
/// [`FieldsError`] for a spec without a JSON form.
pub fn settings(spec: &ServiceSpec) -> Result<Vec<FieldChange>, FieldsError> {
    diff::settings(spec)
}

/// What differs between the releases of two revisions.
///
/// # Errors
/// As [`settings`].
pub fn release_changes(from: &RevisionObject, to: &RevisionObject) -> Result<Vec<FieldChange>, FieldsError> {
    let old = compared_image(from);
    let new = compared_image(to);
    diff::between(release(from, &old), release(to, &new))
}

fn release<'a>(object: &'a RevisionObject, image: &'a ResolvedImage) -> Release<'a> {
    Release { spec: &object.spec, image, restarts: object.status.restarts }
}

/// Without the image's configuration: a diff compares images by reference and digest.
fn compared_image(object: &RevisionObject) -> ResolvedImage {
    ResolvedImage::without_config(&object.status.image.reference, &object.status.image.pinned)
}

/// A field that a command changed since the manifest was applied; values are JSON text, an image is text alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OverriddenField {
    /// `spec.replicas`.
    pub field: String,
    /// The manifest's value; `None` where it leaves the field out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The manifest's value when it was last applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
    #[serde(flatten)]
    pub by: ObjectAuthor,
    pub at: jiff::Timestamp,
}

impl From<Overridden> for OverriddenField {
    fn from(over: Overridden) -> Self {
        let Overridden { field, file, applied, live, by, at } = over;
        Self { field, file, applied, live, by: by.into(), at }
    }
}
