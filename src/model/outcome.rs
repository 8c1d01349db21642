//! What became of a revision.

use serde::{Deserialize, Serialize};

use super::{RevisionNumber, RolloutFailure};

/// How the rollout of a revision went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum RevisionOutcome {
    /// It is under way.
    InProgress,
    /// It completed: this is a revision to go back to.
    Complete,
    /// It failed; it was not gone back from, or that is under way or failed as well.
    Failed {
        /// Why.
        failure: RolloutFailure,
    },
    /// It failed, and the service went back.
    RolledBack {
        /// Why.
        failure: RolloutFailure,
    },
    /// The user ended it, and the service goes or went back.
    Aborted {
        /// By whom.
        failure: RolloutFailure,
    },
    /// A later revision took its place before it ended.
    Superseded {
        /// Which.
        by: RevisionNumber,
    },
}

/// The record of one revision: `outcomes/<service>/<number>`, kept as long as the revision is. Written by the orchestrator
/// alone; the revision itself never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeRecord {
    /// Of which revision.
    pub revision: RevisionNumber,
    /// How it went.
    #[serde(flatten)]
    pub outcome: RevisionOutcome,
    /// Since when that is so, for people.
    pub at: jiff::Timestamp,
}
