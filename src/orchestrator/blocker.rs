//! Why a pass moved nothing, or not more: typed, so that callers and tests match variants, not sentences.

use std::fmt;

use crate::model::{Millis, ReplicaName, RevisionNumber};

/// Something a plan waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocker {
    /// A replica of the target is not available yet; the last observation says why.
    NotAvailable {
        replica: ReplicaName,
        /// `exited with code 1`, `starting` …
        observed: String,
    },
    /// A replica of the target is available, but not yet for `healthyFor`.
    NotSettled {
        replica: ReplicaName,
        /// How long it still has to serve.
        left: Millis,
    },
    /// Replicas were moved to a revision with another health check; the next ones follow when that check had time to
    /// fail.
    OnProbation {
        /// How long that still takes.
        left: Millis,
    },
    /// The rollout failed and was not rolled back: no replica is replaced until it recovers or the service changes.
    Paused {
        /// The revision that failed.
        revision: RevisionNumber,
    },
    /// A user paused the rollout: no replica is replaced until it is resumed or aborted.
    PausedByUser {
        /// The revision that is rolled to.
        revision: RevisionNumber,
    },
    /// Replicas are missing and no node is available for them.
    NoNode,
    /// One transaction cannot hold all that is due; the rest follows in the next pass.
    TransactionFull,
    /// The plan broke an invariant, so nothing of it was written: a defect of the orchestrator.
    PlanRefused {
        /// The rules that it broke.
        violations: Vec<String>,
    },
    /// The revision that should run is not in the store.
    RevisionMissing { revision: RevisionNumber },
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAvailable { replica, observed } => write!(f, "{replica} is not available: {observed}"),
            Self::NotSettled { replica, left } => write!(f, "{replica} must stay healthy for another {left}"),
            Self::OnProbation { left } => {
                write!(f, "the changed health check is observed for another {left}")
            }
            Self::Paused { revision } => {
                write!(
                    f,
                    "revision {revision} failed; no replica is replaced until it recovers or the service changes"
                )
            }
            Self::PausedByUser { revision } => {
                write!(
                    f,
                    "revision {revision} is paused; no replica is replaced until it is resumed or aborted"
                )
            }
            Self::NoNode => f.write_str("no node is available for a new replica"),
            Self::TransactionFull => {
                f.write_str("the plan is larger than one transaction; the rest follows in the next pass")
            }
            Self::PlanRefused { violations } => {
                write!(f, "the plan was refused, because it breaks an invariant: {}", violations.join("; "))
            }
            Self::RevisionMissing { revision } => write!(f, "revision {revision} is not in the store"),
        }
    }
}
