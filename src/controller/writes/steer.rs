//! What a user may do to a rollout, by where it stands. Pure: one table, from a word and a standing to yes or no.

use std::collections::BTreeMap;

use crate::controller::error::ControllerError;
use crate::model::{
    InterventionKind, Revision, RevisionNumber, Rollout, RolloutFailure, RolloutState, Service, ServiceName,
};
use crate::orchestrator::asks_for_nothing_new;

/// A word of the user's about the rollout of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutCommand {
    /// Let it stand still.
    Pause,
    /// Let it go on.
    Resume,
    /// Go back to the stable revision.
    Abort,
    /// The release that runs in new containers.
    Restart,
    /// The release that failed once more.
    Retry,
}

/// Where a rollout stands, as far as a user may steer it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutPhase {
    /// A release was asked for, and no pass has taken it in.
    Starting,
    /// On its way to a revision.
    UnderWay {
        /// Which.
        to: RevisionNumber,
    },
    /// As `UnderWay`, and paused.
    Paused {
        /// Which.
        to: RevisionNumber,
    },
    /// On its way back.
    GoingBack {
        /// Where to.
        to: RevisionNumber,
        /// What failed or was aborted.
        failure: RolloutFailure,
    },
    /// What was asked for runs.
    Complete {
        /// Which.
        revision: RevisionNumber,
    },
    /// Gone back.
    Back {
        /// What runs.
        on: RevisionNumber,
        /// What failed or was aborted.
        failure: RolloutFailure,
    },
    /// Failed, and standing still.
    Failed {
        /// What failed.
        failure: RolloutFailure,
    },
}

/// A standing, and the revision that an abort would go back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) standing: RolloutPhase,
    pub(crate) stable: Option<RevisionNumber>,
}

/// Where the rollout of a service stands.
pub(crate) fn position(
    service: &Service,
    rollout: Option<&Rollout>,
    revisions: &BTreeMap<RevisionNumber, Revision>,
) -> Position {
    let paused = service
        .intervention
        .as_ref()
        .is_some_and(|intervention| intervention.kind == InterventionKind::Pause);
    let Some(rollout) = rollout else { return Position { standing: RolloutPhase::Starting, stable: None } };
    let target = rollout.target;
    let taken_in = rollout.observed_generation == service.metadata.generation
        || asks_for_nothing_new(service, rollout, revisions);
    if !taken_in {
        return Position { standing: RolloutPhase::Starting, stable: rollout.stable };
    }
    let standing = match &rollout.state {
        RolloutState::Progressing { .. } if paused => RolloutPhase::Paused { to: target },
        RolloutState::Progressing { .. } => RolloutPhase::UnderWay { to: target },
        RolloutState::RollingBack { failure, .. } => {
            RolloutPhase::GoingBack { to: target, failure: failure.clone() }
        }
        RolloutState::Complete => RolloutPhase::Complete { revision: target },
        RolloutState::RolledBack { failure } => RolloutPhase::Back { on: target, failure: failure.clone() },
        RolloutState::Failed { failure } => RolloutPhase::Failed { failure: failure.clone() },
    };
    Position { standing, stable: rollout.stable.filter(|stable| *stable != target) }
}

impl Position {
    /// Whether the user's word makes sense where things stand.
    pub(crate) fn allows(&self, asked: RolloutCommand) -> bool {
        use RolloutPhase::{Back, Complete, Failed, Paused, Starting, UnderWay};
        match (asked, &self.standing) {
            (RolloutCommand::Pause, Starting | UnderWay { .. }) => true,
            (RolloutCommand::Resume, Paused { .. }) => true,
            (RolloutCommand::Abort, Starting | UnderWay { .. } | Paused { .. } | Failed { .. }) => {
                self.stable.is_some()
            }
            (RolloutCommand::Restart, Complete { .. }) => true,
            (RolloutCommand::Retry, Back { .. } | Failed { .. }) => true,
            _ => false,
        }
    }

    /// The refusal where it does not.
    pub(crate) fn check(&self, asked: RolloutCommand, name: &ServiceName) -> Result<(), ControllerError> {
        if self.allows(asked) {
            return Ok(());
        }
        let Self { standing, stable } = self.clone();
        Err(ControllerError::NotNow { name: name.clone(), asked, standing: Box::new(standing), stable })
    }

    /// What is said to the one who asks for another release meanwhile.
    pub(crate) fn taken_over(&self) -> Option<String> {
        match &self.standing {
            RolloutPhase::Starting
            | RolloutPhase::Complete { .. }
            | RolloutPhase::Back { .. }
            | RolloutPhase::Failed { .. } => None,
            RolloutPhase::UnderWay { to } => Some(format!("takes the place of the rollout to revision {to}")),
            RolloutPhase::Paused { to } => {
                Some(format!("takes the place of the rollout to revision {to}, which was paused"))
            }
            RolloutPhase::GoingBack { to, failure } => Some(format!(
                "takes the place of the way back to revision {to} from revision {}",
                failure.revision
            )),
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
    fn each_word_has_its_time() {
        use RolloutCommand::{Abort, Pause, Restart, Resume, Retry};
        let (one, two) = (RevisionNumber(1), RevisionNumber(2));
        let stable = Some(one);
        let rows: Vec<(RolloutPhase, Option<RevisionNumber>, &[RolloutCommand])> = vec![
            (RolloutPhase::Starting, None, &[Pause]),
            (RolloutPhase::Starting, stable, &[Pause, Abort]),
            (RolloutPhase::UnderWay { to: one }, None, &[Pause]),
            (RolloutPhase::UnderWay { to: two }, stable, &[Pause, Abort]),
            (RolloutPhase::Paused { to: two }, stable, &[Resume, Abort]),
            (RolloutPhase::GoingBack { to: one, failure: failure() }, None, &[]),
            (RolloutPhase::Complete { revision: one }, None, &[Restart]),
            (RolloutPhase::Back { on: one, failure: failure() }, None, &[Retry]),
            (RolloutPhase::Failed { failure: failure() }, stable, &[Abort, Retry]),
            (RolloutPhase::Failed { failure: failure() }, None, &[Retry]),
        ];
        for (standing, stable, allowed) in rows {
            let position = Position { standing, stable };
            for asked in [Pause, Resume, Abort, Restart, Retry] {
                let refused = position.check(asked, &"users".into()).is_err();
                assert_eq!(!refused, allowed.contains(&asked), "{asked:?} in {position:?}");
            }
        }
    }
}
