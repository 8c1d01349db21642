//! An immutable, numbered release of a Service.

use serde::{Deserialize, Serialize};

use super::{
    Author, Generation, HASH_SCHEMA, ImageConfig, ImageVolume, RevisionNumber, ServiceName, ServiceSpec,
    Template, TemplateHash,
};

/// Docker's default.
pub const DEFAULT_STOP_SIGNAL: &str = "SIGTERM";

/// What an image reference stood for when it was resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedImage {
    /// The full reference as asked for: `users:1.5.1`, `ghcr.io/acme/users:1.4.2`.
    pub reference: String,
    /// What containers are made from: `repository@sha256:…` for an image that a registry knows, else the image id
    /// `sha256:…` of an image that exists only on this Engine.
    pub pinned: String,
    /// What the image says about its containers.
    #[serde(default)]
    pub config: ImageConfig,
}

impl ResolvedImage {
    /// An image that says nothing about its containers.
    pub fn without_config(reference: impl Into<String>, pinned: impl Into<String>) -> Self {
        Self { reference: reference.into(), pinned: pinned.into(), config: ImageConfig::default() }
    }

    /// First 12 digits of the digest or id, for people.
    pub fn short(&self) -> &str {
        Self::short_digest(&self.pinned)
    }

    /// The same of `pinned` alone.
    pub fn short_digest(pinned: &str) -> &str {
        let digest = pinned.rsplit_once("sha256:").map_or(pinned, |(_, digest)| digest);
        digest.get(..12).unwrap_or(digest)
    }

    /// `users:1.5.0 @ c0ffee123456`, for a sentence.
    pub fn summary(&self) -> String {
        format!("{} @ {}", self.reference, self.short())
    }
}

/// What a Service asks for and a Revision is: all that decides how a replica is created, probed, drained and stopped.
#[derive(Debug, Clone, Copy)]
pub struct Release<'a> {
    /// Of the spec, only what a release fixes counts.
    pub spec: &'a ServiceSpec,
    /// The image containers are made from.
    pub image: &'a ResolvedImage,
    /// The restart counter.
    pub restarts: u64,
}

impl<'a> Release<'a> {
    /// What makes two replicas the same.
    pub fn template(self) -> Template<'a> {
        Template::of(self.spec, &self.image.pinned, self.restarts)
    }

    /// Whether the two are one: the same template, and the same way to probe, drain and stop.
    pub fn is(self, other: Release<'_>) -> bool {
        self.template() == other.template()
            && self.spec.health == other.spec.health
            && self.spec.stop.grace == other.spec.stop.grace
            && self.stop_signal() == other.stop_signal()
            && self.spec.rollout.drain == other.spec.rollout.drain
    }

    /// Name of the signal that asks a container to end: the manifest's, else the image's, else SIGTERM.
    pub fn stop_signal(self) -> &'a str {
        let image = &self.image.config.stop_signal;
        self.spec.stop.signal.as_deref().or(image.as_deref()).unwrap_or(DEFAULT_STOP_SIGNAL)
    }

    /// The VOLUMEs of the image that the manifest does not mount.
    pub fn image_volumes(self) -> Vec<ImageVolume<'a>> {
        self.image.config.uncovered_volumes(self.spec)
    }
}

/// A release: `revisions/<service>/<number>`. All that decides how a replica is created, probed, drained and stopped
/// is read from here, never from the Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    pub service: ServiceName,
    pub number: RevisionNumber,
    /// The generation of the Service it was made from.
    pub generation: Generation,
    /// The spec at that generation; of it, only what a release fixes is ever read.
    pub spec: ServiceSpec,
    /// The image containers are made from.
    pub image: ResolvedImage,
    /// The restart counter at that generation.
    #[serde(default)]
    pub restarts: u64,
    /// Hash of the template, under `hash_schema`.
    pub hash: TemplateHash,
    /// Rules the hash was made by.
    pub hash_schema: u32,
    pub created_at: jiff::Timestamp,
    /// Who wrote the generation it was made from.
    #[serde(default)]
    pub created_by: Author,
}

impl Revision {
    /// The template: what makes two replicas the same.
    pub fn template(&self) -> Template<'_> {
        self.release().template()
    }

    /// The fields that decide what a container is created from.
    pub fn release(&self) -> Release<'_> {
        Release { spec: &self.spec, image: &self.image, restarts: self.restarts }
    }

    /// Whether a replica of `other`'s template may become one of this revision without a new container.
    pub fn same_template(&self, other: &Revision) -> bool {
        if self.hash_schema == other.hash_schema && self.hash_schema == HASH_SCHEMA {
            self.hash == other.hash
        } else {
            self.template() == other.template()
        }
    }
}
