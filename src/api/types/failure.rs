//! Why a rollout failed.

use serde::{Deserialize, Serialize};

use super::ObjectAuthor;
use crate::model::{
    Diagnosis, FailureReason, NotReadyCause, ProbeAnswer, ReplicaName, RevisionNumber, RolloutFailure,
};

/// The reason of a failed rollout, in one word. Each has an error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailureReasonName {
    DeadlineExceeded,
    ImageNotFound,
    PullDenied,
    CannotStart,
    CrashLoop,
    Completed,
    OutOfMemory,
    BadAnswer,
    WrongPort,
    NeverHealthy,
    Aborted,
}

impl From<&FailureReason> for FailureReasonName {
    fn from(reason: &FailureReason) -> Self {
        match reason {
            FailureReason::DeadlineExceeded { .. } => Self::DeadlineExceeded,
            FailureReason::Replica(failed) => (&failed.diagnosis).into(),
            FailureReason::Aborted { .. } => Self::Aborted,
        }
    }
}

impl From<&Diagnosis> for FailureReasonName {
    fn from(diagnosis: &Diagnosis) -> Self {
        match &diagnosis.cause {
            NotReadyCause::ImageNotFound { .. } => Self::ImageNotFound,
            NotReadyCause::PullDenied { .. } => Self::PullDenied,
            NotReadyCause::CannotStart { .. } => Self::CannotStart,
            NotReadyCause::Exited { .. } => Self::CrashLoop,
            NotReadyCause::Completed { .. } => Self::Completed,
            NotReadyCause::OutOfMemory { .. } => Self::OutOfMemory,
            NotReadyCause::Unhealthy { probe, .. } => match probe.answer {
                ProbeAnswer::Status { .. } | ProbeAnswer::Unwell => Self::BadAnswer,
                // If it does listen, it started late or closes connections.
                ProbeAnswer::Refused { port } if !diagnosis.evidence.listens_on(port) => Self::WrongPort,
                ProbeAnswer::Refused { .. } | ProbeAnswer::Nothing | ProbeAnswer::NotMade => {
                    Self::NeverHealthy
                }
            },
            NotReadyCause::ImageUnavailable { .. }
            | NotReadyCause::VolumeMissing { .. }
            | NotReadyCause::NoFreeAddress
            | NotReadyCause::OffNetwork { .. }
            | NotReadyCause::ContainerPaused => Self::DeadlineExceeded,
        }
    }
}

/// The failure of a revision's rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutFailureDetail {
    pub revision: RevisionNumber,
    pub reason: FailureReasonName,
    /// The replica that it failed for, where it was a single one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<ReplicaName>,
    /// Observations, one line each; at least one.
    pub observed: Vec<String>,
    /// The last lines that the failed container wrote, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted_by: Option<ObjectAuthor>,
    pub at: jiff::Timestamp,
}

impl From<RolloutFailure> for RolloutFailureDetail {
    fn from(failure: RolloutFailure) -> Self {
        let RolloutFailure { revision, reason, at } = failure;
        let case = reason.case();
        Self {
            revision,
            reason: (&reason).into(),
            replica: case.map(|case| case.replica.clone()),
            observed: reason.lines(),
            log: case.map(|case| case.diagnosis.evidence.log.clone()).unwrap_or_default(),
            aborted_by: match &reason {
                FailureReason::Aborted { by } => Some(by.clone().into()),
                _ => None,
            },
            at,
        }
    }
}
