//! The phases of a rollout as a user sees them, and which command is allowed in which. Pure.

use std::collections::BTreeMap;

use crate::model::{
    InterventionKind, Revision, RevisionNumber, Rollout, RolloutFailure, RolloutState, Service,
};
use crate::orchestrator::asks_for_nothing_new;

/// A command about the rollout of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutCommand {
    Pause,
    Resume,
    /// Roll back to the stable revision.
    Abort,
    /// The running release in new containers.
    Restart,
    /// The failed release once more.
    Retry,
    /// Back to the release of an earlier revision.
    Undo,
}

/// The phase of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutPhase {
    /// A release was asked for, and the orchestrator has not observed it yet.
    Starting,
    UnderWay {
        to: RevisionNumber,
    },
    /// A first release serves with all its replicas, and has not done so for `healthyFor` yet.
    Watched {
        revision: RevisionNumber,
    },
    Paused {
        to: RevisionNumber,
    },
    RollingBack {
        to: RevisionNumber,
        /// What failed or was aborted.
        failure: RolloutFailure,
    },
    /// The release that was asked for runs.
    Complete {
        revision: RevisionNumber,
    },
    RolledBack {
        to: RevisionNumber,
        /// What failed or was aborted.
        failure: RolloutFailure,
    },
    /// Failed, and not rolled back.
    Failed {
        failure: RolloutFailure,
        /// Where it is a rollback that failed: what it was rolled back from.
        back_from: Option<RolloutFailure>,
    },
}

/// A command that the phase of the rollout does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutRejection {
    pub command: RolloutCommand,
    pub phase: RolloutPhase,
    /// The revision that an abort would roll back to.
    pub stable: Option<RevisionNumber>,
}

/// A phase, and the revision that an abort would roll back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RolloutPosition {
    pub(crate) phase: RolloutPhase,
    pub(crate) stable: Option<RevisionNumber>,
}

/// `serves`: all wanted replicas are of the rollout's target and ready.
pub(crate) fn position(
    service: &Service,
    rollout: Option<&Rollout>,
    revisions: &BTreeMap<RevisionNumber, Revision>,
    serves: bool,
) -> RolloutPosition {
    let paused = service
        .intervention
        .as_ref()
        .is_some_and(|intervention| intervention.kind == InterventionKind::Pause);
    let Some(rollout) = rollout else {
        return RolloutPosition { phase: RolloutPhase::Starting, stable: None };
    };
    let target = rollout.target;
    let is_observed = rollout.observed_generation == service.metadata.generation
        || asks_for_nothing_new(service, rollout, revisions);
    if !is_observed {
        return RolloutPosition { phase: RolloutPhase::Starting, stable: rollout.stable };
    }
    let phase = match &rollout.state {
        RolloutState::Progressing { .. } if paused => RolloutPhase::Paused { to: target },
        RolloutState::Progressing { .. } if serves && rollout.stable.is_none() => {
            RolloutPhase::Watched { revision: target }
        }
        RolloutState::Progressing { .. } => RolloutPhase::UnderWay { to: target },
        RolloutState::RollingBack { failure, .. } => {
            RolloutPhase::RollingBack { to: target, failure: failure.clone() }
        }
        RolloutState::Complete => RolloutPhase::Complete { revision: target },
        RolloutState::RolledBack { failure } => {
            RolloutPhase::RolledBack { to: target, failure: failure.clone() }
        }
        RolloutState::Failed { failure, back_from } => {
            RolloutPhase::Failed { failure: failure.clone(), back_from: back_from.clone() }
        }
    };
    RolloutPosition { phase, stable: rollout.stable.filter(|stable| *stable != target) }
}

impl RolloutPosition {
    fn allows(&self, command: RolloutCommand) -> bool {
        use RolloutPhase::{Complete, Failed, Paused, RolledBack, Starting, UnderWay, Watched};
        match (command, &self.phase) {
            (RolloutCommand::Pause, Starting | UnderWay { .. }) => true,
            (RolloutCommand::Resume, Paused { .. }) => true,
            (RolloutCommand::Abort, Starting | UnderWay { .. } | Paused { .. } | Failed { .. }) => {
                self.stable.is_some()
            }
            (RolloutCommand::Restart, Complete { .. } | Watched { .. }) => true,
            (RolloutCommand::Retry, RolledBack { .. } | Failed { .. }) => true,
            _ => false,
        }
    }

    /// The rejection of an undo that would change nothing, to a release that does not serve.
    pub(crate) fn undo_rejection(&self) -> Option<RolloutRejection> {
        use RolloutPhase::{Failed, RolledBack, RollingBack};
        let Self { phase, stable } = self.clone();
        let has_failed = matches!(phase, Failed { .. } | RolledBack { .. } | RollingBack { .. });
        has_failed.then_some(RolloutRejection { command: RolloutCommand::Undo, phase, stable })
    }

    /// The rejection of a command that this phase does not allow.
    pub(crate) fn rejection(&self, command: RolloutCommand) -> Option<RolloutRejection> {
        if self.allows(command) {
            return None;
        }
        let Self { phase, stable } = self.clone();
        Some(RolloutRejection { command, phase, stable })
    }

    /// A note for the author of a release that replaces this rollout.
    pub(crate) fn replaced_note(&self) -> Option<String> {
        match &self.phase {
            RolloutPhase::Starting
            | RolloutPhase::Watched { .. }
            | RolloutPhase::Complete { .. }
            | RolloutPhase::RolledBack { .. }
            | RolloutPhase::Failed { .. } => None,
            RolloutPhase::UnderWay { to } => Some(format!("replaces the rollout to revision {to}")),
            RolloutPhase::Paused { to } => Some(format!("replaces the paused rollout to revision {to}")),
            RolloutPhase::RollingBack { to, failure } => {
                Some(format!("replaces the rollback from revision {} to {to}", failure.revision))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FailureReason, Millis};

    fn failure() -> RolloutFailure {
        let reason = FailureReason::DeadlineExceeded { deadline: Millis::secs(1), observed: Vec::new() };
        RolloutFailure { revision: RevisionNumber(2), reason, at: jiff::Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn rejection_depends_on_command_and_phase() {
        use RolloutCommand::{Abort, Pause, Restart, Resume, Retry};
        let (one, two) = (RevisionNumber(1), RevisionNumber(2));
        let stable = Some(one);
        let rows: Vec<(RolloutPhase, Option<RevisionNumber>, &[RolloutCommand])> = vec![
            (RolloutPhase::Starting, None, &[Pause]),
            (RolloutPhase::Starting, stable, &[Pause, Abort]),
            (RolloutPhase::UnderWay { to: one }, None, &[Pause]),
            (RolloutPhase::UnderWay { to: two }, stable, &[Pause, Abort]),
            (RolloutPhase::Paused { to: two }, stable, &[Resume, Abort]),
            (RolloutPhase::RollingBack { to: one, failure: failure() }, None, &[]),
            (RolloutPhase::Watched { revision: one }, None, &[Restart]),
            (RolloutPhase::Complete { revision: one }, None, &[Restart]),
            (RolloutPhase::RolledBack { to: one, failure: failure() }, None, &[Retry]),
            (RolloutPhase::Failed { failure: failure(), back_from: None }, stable, &[Abort, Retry]),
            (RolloutPhase::Failed { failure: failure(), back_from: None }, None, &[Retry]),
            (RolloutPhase::Failed { failure: failure(), back_from: Some(failure()) }, None, &[Retry]),
        ];
        for (phase, stable, allowed) in rows {
            let position = RolloutPosition { phase, stable };
            for command in [Pause, Resume, Abort, Restart, Retry] {
                let rejected = position.rejection(command).is_some();
                assert_eq!(!rejected, allowed.contains(&command), "{command:?} in {position:?}");
            }
        }
    }
}
