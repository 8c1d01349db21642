//! A Service as it is stored: the user's spec and what was resolved when it was applied.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    AppName, Author, Generation, Override, Release, ResolvedImage, RolloutIntervention, ServiceName,
    ServiceSpec,
};

/// The identity of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    pub name: ServiceName,
    /// Its app; cannot be changed.
    #[serde(default)]
    pub app: AppName,
    /// Notes of the user; no effect.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Tells an object from a later one of the same name.
    pub uid: String,
    /// Counts the user's writes.
    pub generation: Generation,
    /// When it was first applied.
    pub created_at: jiff::Timestamp,
}

/// A declared service: `services/<name>`. Written by the user, through the API; only its last removal is the
/// orchestrator's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    pub metadata: Metadata,
    /// What the user wants; `replicas` is always set.
    pub spec: ServiceSpec,
    /// What `spec.image` resolved to when the user wrote it.
    pub image: ResolvedImage,
    /// Counts `ctl restart` and `ctl rollout --retry`: each recreates every container.
    #[serde(default)]
    pub restarts: u64,
    /// The user's request to pause or abort the rollout of this release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervention: Option<RolloutIntervention>,
    /// The manifests directory that declares it; `None` where a command does. Only its source applies or deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What commands changed since the manifest was applied, in the order of the fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// Set once the user deleted it: its replicas are drained and removed, then all its keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<jiff::Timestamp>,
    /// Whether the user named its volumes with it: they go after its last container.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deletes_volumes: bool,
    /// Who wrote this generation, for history and events.
    #[serde(default)]
    pub written_by: Author,
    /// When this generation was written.
    pub written_at: jiff::Timestamp,
}

impl Service {
    /// The service's name.
    pub fn name(&self) -> &ServiceName {
        &self.metadata.name
    }

    /// The release that it asks for.
    pub fn release(&self) -> Release<'_> {
        Release { spec: &self.spec, image: &self.image, restarts: self.restarts }
    }
}
