//! Rollouts: the sequence of steps from one revision to another; stored, resumable, owned by the server.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Author, Diagnosis, Generation, Instability, Millis, ReplicaName, RevisionNumber, RolloutCuts};

/// The replica that a rollout failed for, and what was observed of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedReplica {
    pub replica: ReplicaName,
    #[serde(flatten)]
    pub diagnosis: Diagnosis,
    /// The rollout's deadline, where it was that which passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Millis>,
}

/// Why a rollout failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum FailureReason {
    /// No progress for `deadline`; the observation is that of the replica that is furthest behind.
    DeadlineExceeded {
        /// How long was allowed.
        deadline: Millis,
        /// Observations, one line per replica that is not available.
        observed: Vec<String>,
    },
    /// A replica of the target cannot become ready.
    Replica(FailedReplica),
    /// Nothing failed: a user ended it with `ctl abort`.
    Aborted { by: Author },
}

impl FailureReason {
    /// The replica that it failed for, where there is one.
    pub fn case(&self) -> Option<&FailedReplica> {
        match self {
            Self::DeadlineExceeded { .. } | Self::Aborted { .. } => None,
            Self::Replica(case) => Some(case),
        }
    }

    /// What was observed, line by line; at least one.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::DeadlineExceeded { deadline, observed } => {
                std::iter::once(no_progress(*deadline)).chain(observed.iter().cloned()).collect()
            }
            Self::Aborted { by } => vec![format!("aborted by {}", by.summary())],
            Self::Replica(case) => case.lines(),
        }
    }
}

fn no_progress(deadline: Millis) -> String {
    format!("no progress for {deadline}")
}

/// In one line, with the first of many observations.
impl std::fmt::Display for FailureReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = self.lines();
        let shown = if self.case().is_some() { lines.len() } else { lines.len().min(2) };
        f.write_str(&lines[..shown].join("; "))
    }
}

impl FailedReplica {
    fn lines(&self) -> Vec<String> {
        let late = self.deadline.map(no_progress);
        let cause = format!("{} {}", self.replica, self.diagnosis);
        std::iter::once(cause).chain(self.diagnosis.hint()).chain(late).collect()
    }
}

/// The failure of a revision's rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutFailure {
    pub revision: RevisionNumber,
    pub reason: FailureReason,
    pub at: jiff::Timestamp,
}

impl RolloutFailure {
    /// For a sentence about the revision.
    pub fn how_it_ended(&self) -> &'static str {
        if matches!(self.reason, FailureReason::Aborted { .. }) { "was aborted" } else { "failed" }
    }
}

/// `revision 10: users-10-a exited with code 1 before its first healthy check, 3 times in 14s`.
impl std::fmt::Display for RolloutFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "revision {}: {}", self.revision, self.reason)
    }
}

/// Which way a rollout goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RolloutDirection {
    /// To a release that a user asked for.
    #[default]
    Forward,
    /// To the stable revision, after a failure or an abort.
    Rollback,
}

/// The state of a rollout. Each variant says what a pass does in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum RolloutState {
    /// On the way to `target`: a pass makes one move, and counts the time without progress.
    Progressing {
        /// Time without progress; grows only while a controller runs and the Engine answers, not while pulling.
        waited: Millis,
        /// The most replicas of the target that were available at a time: more than that is progress.
        most_available: u32,
    },
    /// `target` is what runs: a pass only keeps the count.
    Complete,
    /// On the way back to `stable`, which is `target` now; as `Progressing`, but its own failure pauses.
    RollingBack { failure: RolloutFailure, waited: Millis, most_available: u32 },
    /// Back on `stable`; as `Complete`. Only a user's write tries again.
    RolledBack { failure: RolloutFailure },
    /// Failed and not rolled back: no replica is replaced; those that exist are kept and keep trying. It resumes once all
    /// that are wanted are of the target and have served for `healthyFor`.
    Failed {
        failure: RolloutFailure,
        /// Where it is a rollback that failed: what it was rolled back from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        back_from: Option<RolloutFailure>,
    },
}

impl RolloutState {
    /// Whether the rollout is on its way to its target, against a deadline.
    pub fn is_under_way(&self) -> bool {
        matches!(self, Self::Progressing { .. } | Self::RollingBack { .. })
    }

    /// The time without progress that is stored, in a state that has a deadline.
    pub fn waited_mut(&mut self) -> Option<&mut Millis> {
        match self {
            Self::Progressing { waited, .. } | Self::RollingBack { waited, .. } => Some(waited),
            Self::Complete | Self::RolledBack { .. } | Self::Failed { .. } => None,
        }
    }

    /// The failure or abort of the revision that is not, or no longer, wanted to run.
    pub fn failure(&self) -> Option<&RolloutFailure> {
        match self {
            Self::RollingBack { failure, .. }
            | Self::RolledBack { failure }
            | Self::Failed { failure, .. } => Some(failure),
            Self::Progressing { .. } | Self::Complete => None,
        }
    }

    /// Which way it goes: back only after a failure or an abort. A release of what an older revision released goes
    /// forward.
    pub fn direction(&self) -> RolloutDirection {
        match self {
            Self::RollingBack { .. } | Self::RolledBack { .. } => RolloutDirection::Rollback,
            Self::Progressing { .. } | Self::Complete | Self::Failed { .. } => RolloutDirection::Forward,
        }
    }

    /// The failure or abort that the service is, or was, rolled back from.
    pub fn back_from(&self) -> Option<&RolloutFailure> {
        match self {
            Self::RollingBack { failure, .. } | Self::RolledBack { failure } => Some(failure),
            Self::Progressing { .. } | Self::Complete | Self::Failed { .. } => None,
        }
    }
}

/// State of a service's rollout: `rollouts/<service>`. Written by the orchestrator alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// The last generation of the Service that a pass has read.
    pub observed_generation: Generation,
    /// The revision that should run.
    pub target: RevisionNumber,
    /// The last revision whose rollout completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<RevisionNumber>,
    /// The last number given to a revision.
    pub last_revision: RevisionNumber,
    /// How many replica names were issued, per kept revision: names are never reused.
    #[serde(default)]
    pub issued_names: BTreeMap<RevisionNumber, u32>,
    /// Failures that replicas had before this state began: they do not count against it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failure_baseline: BTreeMap<ReplicaName, u32>,
    /// Whether a pause was in force at the last pass, so that its beginning and its end are reported once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// Requests that were cut in containers that this operation stopped; shown, never decided on.
    #[serde(default, skip_serializing_if = "RolloutCuts::is_empty")]
    pub cut: RolloutCuts,
    /// The replicas that were unstable at the last pass, so that its beginning and its end are reported once.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unstable: BTreeMap<Instability, BTreeSet<ReplicaName>>,
    #[serde(flatten)]
    pub state: RolloutState,
    /// When this state began; for conditions and people, no move depends on it.
    pub since: jiff::Timestamp,
}

impl Rollout {
    /// The revision that the target replaces, if any: the stable one, or the failed one while it is rolled back.
    pub fn replaced(&self) -> Option<RevisionNumber> {
        let from = match &self.state {
            RolloutState::RollingBack { failure, .. } => Some(failure.revision),
            _ => self.stable,
        };
        from.filter(|from| *from != self.target)
    }

    /// In which way a replica is unstable; the worst, if in several.
    pub fn instability(&self, replica: &ReplicaName) -> Option<Instability> {
        let of = |kind: &Instability| self.unstable.get(kind).is_some_and(|names| names.contains(replica));
        Instability::ALL.into_iter().find(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direction_is_back_only_after_a_failure_or_an_abort() {
        let failure = || RolloutFailure {
            revision: RevisionNumber(3),
            reason: FailureReason::Aborted { by: "abort users".into() },
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        let waited = Millis(0);
        let retry = Rollout {
            stable: Some(RevisionNumber(3)),
            state: RolloutState::Progressing { waited, most_available: 0 },
            ..crate::testing::rollout(2)
        };
        assert_eq!(retry.state.direction(), RolloutDirection::Forward, "to a lower number, on purpose");
        assert_eq!(retry.replaced(), Some(RevisionNumber(3)));
        let state = RolloutState::RollingBack { failure: failure(), waited, most_available: 0 };
        let back = Rollout { stable: Some(RevisionNumber(2)), state, ..crate::testing::rollout(2) };
        assert_eq!(back.state.direction(), RolloutDirection::Rollback);
        assert_eq!(back.replaced(), Some(RevisionNumber(3)), "the failed revision");
        assert_eq!(RolloutState::RolledBack { failure: failure() }.direction(), RolloutDirection::Rollback);
        let failed = RolloutState::Failed { failure: failure(), back_from: None };
        assert_eq!(failed.direction(), RolloutDirection::Forward);
    }
}
