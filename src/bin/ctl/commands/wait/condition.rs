//! The conditions that `ctl wait` knows and how a service's state decides them. Pure.

use std::fmt;
use std::str::FromStr;

use coxswain::api::types::{RolloutStateName, RolloutStatus, ServiceObject};
use coxswain::model::{ConditionKind, RevisionNumber, RolloutDirection};

use crate::output::listing::is_deleting;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitCondition {
    /// All replicas of the latest generation are ready and routed, and no rollout is in progress.
    Ready,
    /// The rollout of this revision is complete.
    Revision(RevisionNumber),
    Deleted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WaitAnswer {
    Yes,
    NotYet,
    /// It can no longer happen, for this reason.
    Never(String),
    /// The service did not exist in the first state.
    Unknown,
}

impl FromStr for WaitCondition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "ready" => Ok(Self::Ready),
            None if text == "deleted" => Ok(Self::Deleted),
            Some(("revision", number)) => {
                let number = number.parse().map_err(|_| format!("`{number}` is not a revision number"))?;
                Ok(Self::Revision(RevisionNumber(number)))
            }
            _ => Err("expected ready, revision=N or deleted".to_owned()),
        }
    }
}

impl fmt::Display for WaitCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Revision(number) => write!(f, "at revision {number}"),
            Self::Deleted => f.write_str("deleted"),
        }
    }
}

impl WaitCondition {
    /// Decides on the service's current state; `seen` tells whether it existed before.
    pub(super) fn answer(self, service: Option<&ServiceObject>, seen: bool) -> WaitAnswer {
        match (self, service) {
            (Self::Deleted, None) => WaitAnswer::Yes,
            (Self::Deleted, Some(_)) => WaitAnswer::NotYet,
            (Self::Ready | Self::Revision(_), None) if seen => {
                WaitAnswer::Never("the service was deleted".to_owned())
            }
            (Self::Ready | Self::Revision(_), None) => WaitAnswer::Unknown,
            (Self::Ready | Self::Revision(_), Some(service)) if is_deleting(service) => {
                WaitAnswer::Never("the service is being deleted".to_owned())
            }
            (Self::Ready, Some(service)) => ready(service),
            (Self::Revision(number), Some(service)) => at_revision(service, number),
        }
    }
}

fn ready(service: &ServiceObject) -> WaitAnswer {
    let is_ready = service.status.conditions.iter().any(|c| c.kind == ConditionKind::Ready && c.status);
    let is_current = service.status.observed_generation >= service.metadata.generation;
    let is_rolling = service.status.rollout.as_ref().is_some_and(|rollout| rollout.state.is_under_way());
    if is_ready && is_current && !is_rolling { WaitAnswer::Yes } else { WaitAnswer::NotYet }
}

fn at_revision(service: &ServiceObject, number: RevisionNumber) -> WaitAnswer {
    let Some(rollout) = &service.status.rollout else { return WaitAnswer::NotYet };
    let has_failed = rollout.failure.as_ref().is_some_and(|failure| failure.revision == number);
    match rollout.state {
        RolloutStateName::Complete if rollout.target == number => WaitAnswer::Yes,
        _ if has_failed && rollout.direction == RolloutDirection::Rollback => {
            WaitAnswer::Never(format!("revision {number} failed and was rolled back"))
        }
        _ if number < rollout.target => WaitAnswer::Never(whereabouts(rollout)),
        _ => WaitAnswer::NotYet,
    }
}

/// Where the service is instead: on its way to a revision, or there.
fn whereabouts(rollout: &RolloutStatus) -> String {
    let target = rollout.target;
    match rollout.state {
        RolloutStateName::Complete | RolloutStateName::RolledBack => format!("it is at revision {target}"),
        RolloutStateName::Progressing | RolloutStateName::RollingBack => {
            format!("it is moving to revision {target}")
        }
        RolloutStateName::Failed => format!("its rollout to revision {target} failed"),
    }
}
