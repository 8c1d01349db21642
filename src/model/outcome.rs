//! The outcome of a revision's rollout.

use serde::{Deserialize, Serialize};

use super::{RevisionNumber, RolloutFailure};

/// The outcome of a revision's rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum RevisionOutcome {
    InProgress,
    /// It completed: this is a revision to go back to.
    Complete,
    /// It failed, and was not rolled back, or the rollback is under way or failed too.
    Failed {
        failure: RolloutFailure,
    },
    /// It failed, and the service was rolled back.
    RolledBack {
        failure: RolloutFailure,
    },
    /// A user aborted it, and the service is, or was, rolled back.
    Aborted {
        failure: RolloutFailure,
    },
    /// A later revision took its place before it ended.
    Superseded {
        by: RevisionNumber,
    },
}

/// The record of one revision: `outcomes/<service>/<number>`, kept as long as the revision is. Written by the orchestrator
/// alone; the revision itself never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeRecord {
    pub revision: RevisionNumber,
    #[serde(flatten)]
    pub outcome: RevisionOutcome,
    /// When this outcome was recorded.
    pub at: jiff::Timestamp,
}
