//! What differs between kinds of objects: a file per kind, and the dispatch to them.

pub(super) mod dispatch;
#[cfg(any(test, feature = "testing"))]
mod gadget;
mod image_notes;
mod metadata;
pub(super) mod moved_tag;
pub(super) mod service;
pub(super) mod service_context;
