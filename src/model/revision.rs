//! An immutable, numbered release of a Service.

use serde::{Deserialize, Serialize};

use super::{Generation, HASH_SCHEMA, RevisionNumber, ServiceName, ServiceSpec, Template, TemplateHash};

/// What an image reference stood for when it was resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedImage {
    /// The full reference as asked for: `users:1.5.1`, `ghcr.io/acme/users:1.4.2`.
    pub reference: String,
    /// What containers are made from: `repository@sha256:…` for an image that a registry knows, else the image id
    /// `sha256:…` of an image that exists only on this Engine.
    pub pinned: String,
}

impl ResolvedImage {
    /// First 12 digits of the digest or id, for people.
    pub fn short(&self) -> &str {
        let digest = self.pinned.rsplit_once("sha256:").map_or(self.pinned.as_str(), |(_, d)| d);
        digest.get(..12).unwrap_or(digest)
    }
}

/// A release: `revisions/<service>/<number>`. All that decides how a replica is created, probed, drained and stopped
/// is read from here, never from the Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// Of which service.
    pub service: ServiceName,
    /// Its number.
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
    /// When it was made.
    pub created_at: jiff::Timestamp,
    /// The command that caused it.
    #[serde(default)]
    pub cause: String,
}

impl Revision {
    /// The template: what makes two replicas the same.
    pub fn template(&self) -> Template<'_> {
        Template::of(&self.spec, &self.image.pinned, self.restarts)
    }

    /// Whether this revision already is the release that the spec, image and counter ask for: the same template, and
    /// the same way to probe, drain and stop.
    pub fn releases(&self, spec: &ServiceSpec, image: &ResolvedImage, restarts: u64) -> bool {
        let same_template = self.template() == Template::of(spec, &image.pinned, restarts);
        same_template
            && self.spec.health == spec.health
            && self.spec.stop == spec.stop
            && self.spec.rollout.drain == spec.rollout.drain
    }

    /// Whether a replica of `other`'s template may serve as one of this revision without being made anew.
    pub fn same_template(&self, other: &Revision) -> bool {
        if self.hash_schema == other.hash_schema && self.hash_schema == HASH_SCHEMA {
            self.hash == other.hash
        } else {
            self.template() == other.template()
        }
    }
}
