//! What users and manifests directories ask for: checked, resolved, merged with what commands changed, committed.

mod before;
mod commit;
mod declared;
pub mod diff;
mod documents;
mod edit;
mod fields;
mod merge;
mod overrides;
mod request;
mod requests;
mod rollout;
mod steer;
mod write;

pub(super) use declared::Followed;
pub use declared::{Declared, Removals};
pub(super) use merge::Merged;
pub use request::{
    ApplyDocument, ApplyOptions, DocumentProblem, FieldChange, Overridden, RolloutChange, WriteAction,
    WriteResult,
};
pub use steer::{RolloutCommand, RolloutPhase};
