//! What can be waited for, and whether it is so. PURE.

use std::fmt;
use std::str::FromStr;

use coxswain::api::types::ServiceObject;
use coxswain::model::{ConditionKind, RevisionNumber, RolloutState};

use crate::output::listing::is_deleting;

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Every wanted replica of the newest generation is ready and routed; no rollout is under way.
    Ready,
    /// The rollout of this revision is complete.
    Revision(RevisionNumber),
    /// The service is gone.
    Deleted,
}

/// Whether it is so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    NotYet,
    /// It cannot come true any more, for this reason.
    Never(String),
    /// There was no such service from the start.
    Unknown,
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "ready" => Ok(Self::Ready),
            None if text == "deleted" => Ok(Self::Deleted),
            Some(("revision", number)) => {
                let number =
                    number.parse().map_err(|_| format!("`{number}` is not the number of a revision"))?;
                Ok(Self::Revision(RevisionNumber(number)))
            }
            _ => Err("write ready, revision=N or deleted".to_owned()),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Revision(number) => write!(f, "at revision {number}"),
            Self::Deleted => f.write_str("deleted"),
        }
    }
}

impl Wanted {
    /// Of a service as it is now; `seen` says whether it existed before.
    pub(super) fn answer(self, service: Option<&ServiceObject>, seen: bool) -> Answer {
        match (self, service) {
            (Self::Deleted, None) => Answer::Yes,
            (Self::Deleted, Some(_)) => Answer::NotYet,
            (Self::Ready | Self::Revision(_), None) if seen => Answer::Never("it was deleted".to_owned()),
            (Self::Ready | Self::Revision(_), None) => Answer::Unknown,
            (Self::Ready | Self::Revision(_), Some(service)) if is_deleting(service) => {
                Answer::Never("it is being deleted".to_owned())
            }
            (Self::Ready, Some(service)) => ready(service),
            (Self::Revision(number), Some(service)) => at_revision(service, number),
        }
    }
}

fn ready(service: &ServiceObject) -> Answer {
    let holds = service.status.conditions.iter().any(|c| c.kind == ConditionKind::Ready && c.status);
    let current = service.status.observed_generation >= service.metadata.generation;
    let rolls = service.status.rollout.as_ref().is_some_and(|rollout| {
        matches!(rollout.state, RolloutState::Progressing { .. } | RolloutState::RollingBack { .. })
    });
    if holds && current && !rolls { Answer::Yes } else { Answer::NotYet }
}

fn at_revision(service: &ServiceObject, number: RevisionNumber) -> Answer {
    let Some(rollout) = &service.status.rollout else { return Answer::NotYet };
    match &rollout.state {
        RolloutState::Complete if rollout.target == number => Answer::Yes,
        state if state.back_from().is_some_and(|failure| failure.revision == number) => {
            Answer::Never(format!("revision {number} failed and was rolled back"))
        }
        _ if number < rollout.target => Answer::Never(format!("revision {} is the target", rollout.target)),
        _ => Answer::NotYet,
    }
}
