//! Revisions.

use serde::{Deserialize, Serialize};

use super::{ObjectAuthor, ObjectImage, RolloutFailureDetail};
use crate::controller::RevisionSnapshot;
use crate::model::{
    Generation, OutcomeRecord, RevisionNumber, RevisionOutcome, ServiceName, ServiceSpec, TemplateHash,
};

/// A revision with its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionObject {
    /// The service's spec at its generation.
    pub spec: ServiceSpec,
    pub status: RevisionStatus,
}

/// What was released, and the outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionStatus {
    pub service: ServiceName,
    pub number: RevisionNumber,
    /// The generation of the service that it releases.
    pub generation: Generation,
    pub image: ObjectImage,
    /// Counts the restarts of the service until then.
    pub restarts: u64,
    /// Replicas with the same hash need no new container.
    pub template: TemplateHash,
    pub created_at: jiff::Timestamp,
    pub created_by: ObjectAuthor,
    /// Whether it should run now.
    #[serde(default)]
    pub current: bool,
    /// `None` for a revision of an earlier version of `ctl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<RevisionOutcomeName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome_at: Option<jiff::Timestamp>,
    /// Of a revision that failed or was aborted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<RolloutFailureDetail>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<RevisionNumber>,
}

/// The outcome of a revision's rollout, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RevisionOutcomeName {
    InProgress,
    Complete,
    Failed,
    RolledBack,
    Aborted,
    Superseded,
}

impl From<&RevisionOutcome> for RevisionOutcomeName {
    fn from(outcome: &RevisionOutcome) -> Self {
        match outcome {
            RevisionOutcome::InProgress => Self::InProgress,
            RevisionOutcome::Complete => Self::Complete,
            RevisionOutcome::Failed { .. } => Self::Failed,
            RevisionOutcome::RolledBack { .. } => Self::RolledBack,
            RevisionOutcome::Aborted { .. } => Self::Aborted,
            RevisionOutcome::Superseded { .. } => Self::Superseded,
        }
    }
}

impl RevisionStatus {
    fn record(&mut self, record: OutcomeRecord) {
        self.outcome = Some((&record.outcome).into());
        self.outcome_at = Some(record.at);
        match record.outcome {
            RevisionOutcome::Failed { failure }
            | RevisionOutcome::RolledBack { failure }
            | RevisionOutcome::Aborted { failure } => self.failure = Some(failure.into()),
            RevisionOutcome::Superseded { by } => self.superseded_by = Some(by),
            RevisionOutcome::InProgress | RevisionOutcome::Complete => {}
        }
    }
}

impl From<RevisionSnapshot> for RevisionObject {
    fn from(snapshot: RevisionSnapshot) -> Self {
        let RevisionSnapshot { revision, record, current } = snapshot;
        let mut status = RevisionStatus {
            service: revision.service,
            number: revision.number,
            generation: revision.generation,
            image: revision.image.into(),
            restarts: revision.restarts,
            template: revision.hash,
            created_at: revision.created_at,
            created_by: revision.created_by.into(),
            current,
            outcome: None,
            outcome_at: None,
            failure: None,
            superseded_by: None,
        };
        if let Some(record) = record {
            status.record(record);
        }
        Self { spec: revision.spec, status }
    }
}
