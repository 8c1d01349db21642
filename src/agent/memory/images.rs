//! Which images the Engine has, and which tags of ours protect them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::retries::Retry;
use crate::agent::backoff::RETRY;
use crate::engine::EngineError;
use crate::model::{NotReadyCause, Now};

/// What is known of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::agent) enum ImageMemory {
    /// The Engine has it.
    Present,
    /// The Engine does not have it.
    Absent,
    /// Looking it up or pulling it failed.
    Failed {
        /// Failures in a row.
        streak: u32,
        retry: Retry,
    },
}

/// What is remembered of images, by pinned reference.
#[derive(Debug, Clone, Default)]
pub(in crate::agent) struct ImageMemories {
    images: BTreeMap<String, ImageMemory>,
    /// Tags set by this run that the stored node state lacks.
    tagged: BTreeSet<String>,
    /// Tags removed by this run that the stored node state still has.
    untagged: BTreeSet<String>,
}

impl ImageMemories {
    pub(in crate::agent) fn get(&self, image: &str) -> Option<&ImageMemory> {
        self.images.get(image)
    }

    pub(super) fn known(&mut self, image: &str, present: bool) {
        let known = if present { ImageMemory::Present } else { ImageMemory::Absent };
        self.images.insert(image.to_owned(), known);
    }

    /// Looking up or pulling an image failed.
    pub(in crate::agent) fn failed(&mut self, image: &str, error: &EngineError, now: Now) {
        let streak = match self.images.get(image) {
            Some(ImageMemory::Failed { streak, .. }) => streak + 1,
            _ => 1,
        };
        let message = error.to_string();
        let cause = match error {
            EngineError::ImageUnknown { .. } => NotReadyCause::ImageNotFound { message },
            EngineError::PullDenied { .. } => NotReadyCause::PullDenied { message },
            _ => NotReadyCause::ImageUnavailable { message },
        };
        let retry = Retry::after(now, RETRY.wait(streak), cause);
        self.images.insert(image.to_owned(), ImageMemory::Failed { streak, retry });
    }

    pub(in crate::agent) fn tagged(&mut self, tag: String) {
        self.untagged.remove(&tag);
        self.tagged.insert(tag);
    }

    pub(in crate::agent) fn untagged(&mut self, tag: String) {
        self.tagged.remove(&tag);
        self.untagged.insert(tag);
    }

    /// Tags of ours as far as is known: those stored and those set since, without those removed since.
    pub(in crate::agent) fn tags(&self, stored: &BTreeSet<String>) -> BTreeSet<String> {
        stored.union(&self.tagged).filter(|tag| !self.untagged.contains(*tag)).cloned().collect()
    }

    pub(super) fn engine_lost(&mut self) {
        self.images.retain(|_, known| matches!(known, ImageMemory::Failed { .. }));
    }
}
