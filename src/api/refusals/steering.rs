//! What is said to one who steers a rollout that does not stand like that. PURE.

use crate::api::codes;
use crate::api::types::ApiError;
use crate::controller::{RolloutCommand, RolloutPhase};
use crate::model::{FailureReason, RevisionNumber, RolloutFailure, ServiceName};

/// The error for a word that does not fit.
pub(super) fn error(
    name: &ServiceName,
    asked: RolloutCommand,
    standing: &RolloutPhase,
    stable: Option<RevisionNumber>,
) -> ApiError {
    let what = match asked {
        RolloutCommand::Pause => format!("the rollout of {name} cannot be paused"),
        RolloutCommand::Resume => format!("the rollout of {name} cannot be resumed"),
        RolloutCommand::Abort => format!("the rollout of {name} cannot be aborted"),
        RolloutCommand::Restart => format!("{name} cannot be restarted now"),
        RolloutCommand::Retry => format!("there is nothing of {name} to try again"),
    };
    let mut why = vec![stands(standing)];
    why.extend(reason(asked, standing, stable).map(str::to_owned));
    let next =
        next(asked, standing, stable).into_iter().map(|command| command.replace("SERVICE", name.as_str()));
    ApiError { why, next: next.collect(), ..codes::NOT_NOW.error(what) }
}

fn ended(failure: &RolloutFailure) -> String {
    let how = if matches!(failure.reason, FailureReason::Aborted { .. }) { "was aborted" } else { "failed" };
    format!("revision {} {how}", failure.revision)
}

fn stands(standing: &RolloutPhase) -> String {
    match standing {
        RolloutPhase::Starting => "a rollout of it is about to start".to_owned(),
        RolloutPhase::UnderWay { to } => format!("the rollout to revision {to} is under way"),
        RolloutPhase::Paused { to } => format!("the rollout to revision {to} is paused"),
        RolloutPhase::GoingBack { to, failure } => {
            format!("{}; it is going back to revision {to}", ended(failure))
        }
        RolloutPhase::Complete { revision } => format!("the rollout of revision {revision} is complete"),
        RolloutPhase::Back { on, failure } => format!("{}; it went back to revision {on}", ended(failure)),
        RolloutPhase::Failed { failure } => format!("{}; nothing is being replaced", ended(failure)),
    }
}

/// Where the standing alone does not say why.
fn reason(
    asked: RolloutCommand,
    standing: &RolloutPhase,
    stable: Option<RevisionNumber>,
) -> Option<&'static str> {
    match (asked, standing) {
        (RolloutCommand::Resume, RolloutPhase::UnderWay { .. } | RolloutPhase::Starting) => {
            Some("it is not paused")
        }
        (
            RolloutCommand::Abort,
            RolloutPhase::Starting
            | RolloutPhase::UnderWay { .. }
            | RolloutPhase::Paused { .. }
            | RolloutPhase::Failed { .. },
        ) if stable.is_none() => Some("there is no other revision that completed, to go back to"),
        (RolloutCommand::Restart, RolloutPhase::Back { .. }) => {
            Some("what runs is not what its spec asks for")
        }
        _ => None,
    }
}

fn next(asked: RolloutCommand, standing: &RolloutPhase, stable: Option<RevisionNumber>) -> Vec<String> {
    let commands: &[&str] = match standing {
        RolloutPhase::Starting | RolloutPhase::GoingBack { .. } => &["ctl rollout SERVICE"],
        RolloutPhase::UnderWay { .. } if stable.is_some() => &["ctl rollout SERVICE", "ctl abort SERVICE"],
        RolloutPhase::UnderWay { .. } => &["ctl rollout SERVICE"],
        RolloutPhase::Paused { .. } if stable.is_some() => &["ctl resume SERVICE", "ctl abort SERVICE"],
        RolloutPhase::Paused { .. } => &["ctl resume SERVICE"],
        RolloutPhase::Complete { .. } if asked == RolloutCommand::Retry => &["ctl restart SERVICE"],
        RolloutPhase::Complete { .. } if asked == RolloutCommand::Abort => &["ctl undo SERVICE"],
        RolloutPhase::Complete { .. } => &["ctl rollout status SERVICE"],
        RolloutPhase::Back { on, .. } => {
            return vec!["ctl rollout SERVICE --retry".to_owned(), format!("ctl undo SERVICE --to {on}")];
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
    fn each_refusal_names_where_it_stands_and_what_to_do() {
        let two = RevisionNumber(2);
        let told = |asked, standing: RolloutPhase, stable| {
            let error = error(&"users".into(), asked, &standing, stable);
            (error.exit, error.why.join("; "), error.next.join("; "))
        };
        assert_eq!(
            told(RolloutCommand::Pause, RolloutPhase::Complete { revision: two }, None),
            (2, "the rollout of revision 2 is complete".to_owned(), "ctl rollout status users".to_owned())
        );
        assert_eq!(
            told(RolloutCommand::Abort, RolloutPhase::UnderWay { to: two }, None),
            (
                2,
                "the rollout to revision 2 is under way; there is no other revision that completed, to go back to"
                    .to_owned(),
                "ctl rollout users".to_owned()
            )
        );
        assert_eq!(
            told(RolloutCommand::Resume, RolloutPhase::UnderWay { to: two }, Some(RevisionNumber(1))),
            (
                2,
                "the rollout to revision 2 is under way; it is not paused".to_owned(),
                "ctl rollout users; ctl abort users".to_owned()
            )
        );
    }
}
