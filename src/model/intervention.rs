//! A user's request to pause or abort a rollout.

use serde::{Deserialize, Serialize};

use super::Author;

/// What the user requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InterventionKind {
    /// No replica is replaced, no deadline runs, the count is kept. `ctl resume` ends it.
    Pause,
    /// Roll back to the stable revision now.
    Abort,
}

/// A user's request for the rollout of the release that the Service asks for. It is stored with the Service, next to the
/// spec, and ends with the release: a write that asks for another release removes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutIntervention {
    pub kind: InterventionKind,
    pub by: Author,
    pub at: jiff::Timestamp,
}
