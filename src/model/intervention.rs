//! The user's word against a rollout.

use serde::{Deserialize, Serialize};

use super::Author;

/// What is to become of the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InterventionKind {
    /// It stays as it is: nothing is replaced, no deadline runs, the count is kept. `ctl resume` takes it back.
    Pause,
    /// It goes back to the stable revision, now.
    Abort,
}

/// The user's word against the rollout of the release that the Service asks for. It is stored with the Service, beside the
/// spec, and ends with the release: whatever asks for another one takes it away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutIntervention {
    /// What it says.
    pub kind: InterventionKind,
    /// Whose it is.
    pub by: Author,
    /// Since when, for people.
    pub at: jiff::Timestamp,
}
