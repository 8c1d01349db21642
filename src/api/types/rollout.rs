//! The rollout of a service.

use serde::{Deserialize, Serialize};

use super::RolloutFailureDetail;
use crate::controller::RolloutDeadline;
use crate::model::{RevisionNumber, Rollout, RolloutDirection, RolloutState};

/// The state of a rollout, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RolloutStateName {
    Progressing,
    Complete,
    RollingBack,
    RolledBack,
    Failed,
}

impl RolloutStateName {
    /// Whether the rollout is on its way to its target.
    pub fn is_under_way(self) -> bool {
        matches!(self, Self::Progressing | Self::RollingBack)
    }
}

impl From<&RolloutState> for RolloutStateName {
    fn from(state: &RolloutState) -> Self {
        match state {
            RolloutState::Progressing { .. } => Self::Progressing,
            RolloutState::Complete => Self::Complete,
            RolloutState::RollingBack { .. } => Self::RollingBack,
            RolloutState::RolledBack { .. } => Self::RolledBack,
            RolloutState::Failed { .. } => Self::Failed,
        }
    }
}

/// How a service moves to a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    pub state: RolloutStateName,
    /// Whether a release replaces another one, or a failed release is rolled back.
    pub direction: RolloutDirection,
    /// The revision that is replaced: the stable one, or the failed one while it is rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<RevisionNumber>,
    /// The revision that should run.
    pub target: RevisionNumber,
    /// The last revision whose rollout completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<RevisionNumber>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// When this state began.
    pub since: jiff::Timestamp,
    /// While time without progress counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<RolloutDeadline>,
    /// Of the revision that failed or was aborted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<RolloutFailureDetail>,
}

impl RolloutStatus {
    /// The rollout with the deadline that was computed for it.
    pub fn new(rollout: Rollout, deadline: Option<RolloutDeadline>) -> Self {
        Self {
            state: (&rollout.state).into(),
            direction: rollout.state.direction(),
            from: rollout.replaced(),
            target: rollout.target,
            stable: rollout.stable,
            paused: rollout.paused,
            since: rollout.since,
            deadline,
            failure: rollout.state.failure().cloned().map(RolloutFailureDetail::from),
        }
    }
}
