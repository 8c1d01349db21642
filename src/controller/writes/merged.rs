//! A document's spec after the merge. Pure.

use super::types::Overridden;
use crate::model::{ObjectSpec, Override};

/// A merged spec, and what became of each override.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Merged {
    /// The spec to write.
    pub(crate) spec: ObjectSpec,
    /// Whether the image stays the live one, with its digest.
    pub(crate) keeps_image: bool,
    /// The overrides that stay, of conflicts too.
    pub(crate) overrides: Vec<Override>,
    pub(crate) kept: Vec<Overridden>,
    pub(crate) conflicts: Vec<Overridden>,
    pub(crate) overwritten: Vec<Overridden>,
}
