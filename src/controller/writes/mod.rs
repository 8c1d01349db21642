//! What users and manifests directories ask for: checked, resolved, merged with what commands changed, committed.
//!
//! Purpose: [`Writes`] takes requests about objects of every kind. What differs between kinds is in `kinds/`, a file each.
//! Invariants: every document of an apply is checked and every image resolved before the first write; one transaction
//! per object, which also moves its route claims; a request that is sent twice is answered and not done again.
//! Deliberately absent: memory between requests (there is only the write lock), decisions about replicas, YAML.

mod apply;
mod capacity;
mod certificates;
mod choices;
mod commands;
mod commit;
pub mod diff;
mod directory;
mod document_merge;
mod documents;
mod failed_override;
mod fields;
mod handle;
mod images;
mod kinds;
mod merge;
mod object;
mod overrides;
mod prepared_change;
mod request_ids;
mod rollout_phase;
mod snapshot;
mod types;
mod undo_target;

pub use directory::{DeclaredObject, DirectoryRemovals, ManifestsDirectory};
pub(crate) use failed_override::live;
pub use fields::FieldsError;
pub use handle::Writes;
pub use rollout_phase::{RolloutCommand, RolloutPhase, RolloutRejection};
pub use types::{
    ApplyDocument, ApplyOptions, DocumentProblem, FieldChange, Overridden, RolloutChange, WriteAction,
    WriteResult,
};
