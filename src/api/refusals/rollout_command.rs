//! The error for a rollout command that the current phase does not allow. Pure.

use crate::api::codes;
use crate::api::types::ErrorDetail;
use crate::controller::{RolloutCommand, RolloutPhase, RolloutRejection};
use crate::model::{RevisionNumber, RolloutFailure, ServiceName};

pub(super) fn error(name: &ServiceName, rejection: &RolloutRejection) -> ErrorDetail {
    let RolloutRejection { command, phase, stable } = rejection;
    let asked = *command;
    let stable = *stable;
    let what = match asked {
        RolloutCommand::Pause => format!("cannot pause the rollout of {name}"),
        RolloutCommand::Resume => format!("cannot resume the rollout of {name}"),
        RolloutCommand::Abort => format!("cannot abort the rollout of {name}"),
        RolloutCommand::Restart => format!("cannot restart {name} now"),
        RolloutCommand::Retry => format!("{name} has no failed or aborted rollout to retry"),
        RolloutCommand::Undo => format!("{name} asks for this release already, and it does not serve"),
    };
    let mut why = vec![phase_line(phase)];
    why.extend(reason(asked, phase, stable).map(str::to_owned));
    let next =
        next(asked, phase, stable).into_iter().map(|command| command.replace("SERVICE", name.as_str()));
    ErrorDetail { why, next: next.collect(), ..codes::NOT_NOW.detail(what) }
}

fn ended(failure: &RolloutFailure) -> String {
    format!("revision {} {}", failure.revision, failure.how_it_ended())
}

fn phase_line(phase: &RolloutPhase) -> String {
    match phase {
        RolloutPhase::Starting => "a rollout is about to start".to_owned(),
        RolloutPhase::UnderWay { to } => format!("the rollout to revision {to} is in progress"),
        RolloutPhase::Watched { revision } => {
            format!("revision {revision} serves, and is watched until it has done so for `healthyFor`")
        }
        RolloutPhase::Paused { to } => format!("the rollout to revision {to} is paused"),
        RolloutPhase::RollingBack { to, failure } => {
            format!("{}; rolling back to revision {to}", ended(failure))
        }
        RolloutPhase::Complete { revision } => format!("the rollout to revision {revision} is complete"),
        RolloutPhase::RolledBack { to, failure } => {
            format!("{}; it was rolled back to revision {to}", ended(failure))
        }
        RolloutPhase::Failed { failure, back_from: None } => {
            format!("{}; it was not rolled back", ended(failure))
        }
        RolloutPhase::Failed { failure, back_from: Some(first) } => {
            format!("{}, and the rollback to revision {} failed", ended(first), failure.revision)
        }
    }
}

/// A reason in addition to the phase.
fn reason(
    asked: RolloutCommand,
    phase: &RolloutPhase,
    stable: Option<RevisionNumber>,
) -> Option<&'static str> {
    match (asked, phase) {
        (RolloutCommand::Resume, RolloutPhase::UnderWay { .. } | RolloutPhase::Starting) => {
            Some("it is not paused")
        }
        (
            RolloutCommand::Abort,
            RolloutPhase::Starting
            | RolloutPhase::UnderWay { .. }
            | RolloutPhase::Paused { .. }
            | RolloutPhase::Failed { .. },
        ) if stable.is_none() => Some("there is no completed revision to roll back to"),
        (RolloutCommand::Restart, RolloutPhase::RolledBack { .. }) => {
            Some("the running release is not the one in its spec")
        }
        _ => None,
    }
}

fn next(asked: RolloutCommand, phase: &RolloutPhase, stable: Option<RevisionNumber>) -> Vec<String> {
    let commands: &[&str] = match phase {
        RolloutPhase::Starting | RolloutPhase::RollingBack { .. } => &["ctl rollout SERVICE"],
        RolloutPhase::UnderWay { .. } if stable.is_some() => &["ctl rollout SERVICE", "ctl abort SERVICE"],
        RolloutPhase::UnderWay { .. } => &["ctl rollout SERVICE"],
        RolloutPhase::Paused { .. } if stable.is_some() => &["ctl resume SERVICE", "ctl abort SERVICE"],
        RolloutPhase::Paused { .. } => &["ctl resume SERVICE"],
        RolloutPhase::Complete { .. } | RolloutPhase::Watched { .. } if asked == RolloutCommand::Retry => {
            &["ctl restart SERVICE"]
        }
        RolloutPhase::Complete { .. } if asked == RolloutCommand::Abort => &["ctl undo SERVICE"],
        RolloutPhase::Complete { .. } | RolloutPhase::Watched { .. } => &["ctl rollout status SERVICE"],
        RolloutPhase::RolledBack { .. } | RolloutPhase::Failed { back_from: Some(_), .. } => {
            &["ctl rollout SERVICE --retry", "ctl undo SERVICE"]
        }
        RolloutPhase::Failed { .. } if stable.is_some() => {
            &["ctl rollout SERVICE --retry", "ctl abort SERVICE"]
        }
        RolloutPhase::Failed { .. } => &["ctl rollout SERVICE --retry"],
    };
    commands.iter().map(|command| (*command).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_names_phase_reason_and_next_commands() {
        let two = RevisionNumber(2);
        let lines = |command, phase: RolloutPhase, stable| {
            let error = error(&"users".into(), &RolloutRejection { command, phase, stable });
            (error.exit, error.why.join("; "), error.next.join("; "))
        };
        assert_eq!(
            lines(RolloutCommand::Pause, RolloutPhase::Complete { revision: two }, None),
            (2, "the rollout to revision 2 is complete".to_owned(), "ctl rollout status users".to_owned())
        );
        assert_eq!(
            lines(RolloutCommand::Abort, RolloutPhase::UnderWay { to: two }, None),
            (
                2,
                "the rollout to revision 2 is in progress; there is no completed revision to roll back to"
                    .to_owned(),
                "ctl rollout users".to_owned()
            )
        );
        assert_eq!(
            lines(RolloutCommand::Resume, RolloutPhase::UnderWay { to: two }, Some(RevisionNumber(1))),
            (
                2,
                "the rollout to revision 2 is in progress; it is not paused".to_owned(),
                "ctl rollout users; ctl abort users".to_owned()
            )
        );
    }
}
