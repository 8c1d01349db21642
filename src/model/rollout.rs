//! The sequence of steps from one revision to another: stored, resumable, owned by the server.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Author, Generation, Millis, RevisionNumber};

/// Why a rollout failed, by class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "class")]
pub enum FailureReason {
    /// No progress for `deadline`; the observation is that of the replica that is furthest behind.
    DeadlineExceeded {
        /// How long was allowed.
        deadline: Millis,
        /// Observations, one line per replica that is not available.
        observed: Vec<String>,
    },
    /// Nothing failed: the user ended it with `ctl abort`.
    Aborted {
        /// Who.
        by: Author,
    },
}

/// What went wrong with a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// With which.
    pub revision: RevisionNumber,
    /// What.
    pub reason: FailureReason,
    /// When, for people.
    pub at: jiff::Timestamp,
}

/// Where a rollout stands. Each variant says what a pass does in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum RolloutState {
    /// On the way to `target`: a pass makes one move, and counts the time without progress.
    Progressing {
        /// Time without progress; grows only while a controller runs and the Engine answers, not while pulling.
        waited: Millis,
        /// The largest number of available replicas of the target seen, to tell progress.
        best: u32,
    },
    /// `target` is what runs: a pass only keeps the count.
    Complete,
    /// On the way back to `stable`, which is `target` now; as `Progressing`, but its own failure pauses.
    RollingBack {
        /// What failed.
        failure: Failure,
        /// As in `Progressing`.
        waited: Millis,
        /// As in `Progressing`.
        best: u32,
    },
    /// Back on `stable`; as `Complete`. Only a user's write tries again.
    RolledBack {
        /// What failed.
        failure: Failure,
    },
    /// Failed and not rolled back: no replica is replaced; those that exist are kept and keep trying. Where it is a
    /// first creation, it becomes `Complete` once all are available.
    Failed {
        /// What failed.
        failure: Failure,
    },
}

/// State of a service's rollout: `rollouts/<service>`. Written by the orchestrator alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// The generation of the Service that was last turned into `target`.
    pub observed: Generation,
    /// The revision that should run.
    pub target: RevisionNumber,
    /// The last revision whose rollout completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<RevisionNumber>,
    /// The last number given to a revision.
    pub last_revision: RevisionNumber,
    /// How many replica names were issued, per kept revision: names are never reused.
    #[serde(default)]
    pub issued: BTreeMap<RevisionNumber, u32>,
    /// Whether a pause of the user's was in force at the last pass, so that its beginning and its end are told once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// Where it stands.
    #[serde(flatten)]
    pub state: RolloutState,
    /// When this state began, for people.
    pub since: jiff::Timestamp,
}
