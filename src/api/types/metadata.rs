//! Parts that objects of several kinds have.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::{
    AppName, Author, Condition, ConditionKind, Generation, ImageConfig, Metadata, Reason, ResolvedImage,
    ServiceName,
};

/// The identity of a declared object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectMetadata {
    pub name: ServiceName,
    #[serde(default)]
    pub app: AppName,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Distinguishes an object from a later one of the same name.
    pub uid: String,
    /// Counts the user's writes.
    pub generation: Generation,
    pub created_at: jiff::Timestamp,
}

impl From<Metadata> for ObjectMetadata {
    fn from(metadata: Metadata) -> Self {
        let Metadata { name, app, annotations, uid, generation, created_at } = metadata;
        Self { name, app, annotations, uid, generation, created_at }
    }
}

/// The image that containers are created from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectImage {
    /// The full reference: `users:1.5.1`.
    pub reference: String,
    /// `repository@sha256:…`, or the id of an image that no registry has.
    pub pinned: String,
    /// What the image says about its containers.
    #[serde(default, skip_serializing_if = "ObjectImageConfig::is_empty")]
    pub config: ObjectImageConfig,
}

/// The parts of an image's configuration that a release depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectImageConfig {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// Docker CMD.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Paths of its VOLUMEs.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
    /// TCP ports that it EXPOSEs.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub exposed_ports: BTreeSet<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// The command of its HEALTHCHECK.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check: Option<Vec<String>>,
}

impl ObjectImageConfig {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl From<ImageConfig> for ObjectImageConfig {
    fn from(config: ImageConfig) -> Self {
        let ImageConfig {
            entrypoint,
            command,
            user,
            working_dir,
            volumes,
            exposed_ports,
            stop_signal,
            health_check,
        } = config;
        Self { entrypoint, command, user, working_dir, volumes, exposed_ports, stop_signal, health_check }
    }
}

impl ObjectImage {
    /// First 12 digits of the digest or id, for people.
    pub fn short(&self) -> &str {
        ResolvedImage::short_digest(&self.pinned)
    }

    /// `users:1.5.0 @ c0ffee123456`, for a sentence.
    pub fn summary(&self) -> String {
        format!("{} @ {}", self.reference, self.short())
    }
}

impl From<ResolvedImage> for ObjectImage {
    fn from(image: ResolvedImage) -> Self {
        let ResolvedImage { reference, pinned, config } = image;
        Self { reference, pinned, config: config.into() }
    }
}

/// The author of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectAuthor {
    /// The command as typed, without `ctl`.
    #[serde(default)]
    pub command: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
}

impl ObjectAuthor {
    /// `ann with "pause users"`, for a sentence.
    pub fn summary(&self) -> String {
        Author { command: self.command.clone(), user: self.user.clone() }.summary()
    }
}

impl From<Author> for ObjectAuthor {
    fn from(author: Author) -> Self {
        let Author { command, user } = author;
        Self { command, user }
    }
}

/// What is true of an object right now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectCondition {
    #[serde(rename = "type")]
    pub kind: ConditionKind,
    pub status: bool,
    pub reason: Reason,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl From<Condition> for ObjectCondition {
    fn from(condition: Condition) -> Self {
        let Condition { kind, status, reason, message } = condition;
        Self { kind, status, reason, message }
    }
}
