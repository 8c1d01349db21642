//! What is said to one who steers a rollout that does not stand like that. PURE.

use crate::api::codes;
use crate::api::types::ApiError;
use crate::controller::{Standing, Steering};
use crate::model::{Failure, FailureReason, RevisionNumber, ServiceName};

/// The error for a word that does not fit.
pub(super) fn error(
    name: &ServiceName,
    asked: Steering,
    standing: &Standing,
    stable: Option<RevisionNumber>,
) -> ApiError {
    let what = match asked {
        Steering::Pause => format!("the rollout of {name} cannot be paused"),
        Steering::Resume => format!("the rollout of {name} cannot be resumed"),
        Steering::Abort => format!("the rollout of {name} cannot be aborted"),
        Steering::Restart => format!("{name} cannot be restarted now"),
        Steering::Retry => format!("there is nothing of {name} to try again"),
    };
    let mut why = vec![stands(standing)];
    why.extend(reason(asked, standing, stable).map(str::to_owned));
    let next =
        next(asked, standing, stable).into_iter().map(|command| command.replace("SERVICE", name.as_str()));
    ApiError { why, next: next.collect(), ..codes::NOT_NOW.error(what) }
}

fn ended(failure: &Failure) -> String {
    let how = if matches!(failure.reason, FailureReason::Aborted { .. }) { "was aborted" } else { "failed" };
    format!("revision {} {how}", failure.revision)
}

fn stands(standing: &Standing) -> String {
    match standing {
        Standing::Starting => "a rollout of it is about to start".to_owned(),
        Standing::UnderWay { to } => format!("the rollout to revision {to} is under way"),
        Standing::Paused { to } => format!("the rollout to revision {to} is paused"),
        Standing::GoingBack { to, failure } => {
            format!("{}; it is going back to revision {to}", ended(failure))
        }
        Standing::Complete { revision } => format!("the rollout of revision {revision} is complete"),
        Standing::Back { on, failure } => format!("{}; it went back to revision {on}", ended(failure)),
        Standing::Failed { failure } => format!("{}; nothing is being replaced", ended(failure)),
    }
}

/// Where the standing alone does not say why.
fn reason(asked: Steering, standing: &Standing, stable: Option<RevisionNumber>) -> Option<&'static str> {
    match (asked, standing) {
        (Steering::Resume, Standing::UnderWay { .. } | Standing::Starting) => Some("it is not paused"),
        (
            Steering::Abort,
            Standing::Starting
            | Standing::UnderWay { .. }
            | Standing::Paused { .. }
            | Standing::Failed { .. },
        ) if stable.is_none() => Some("there is no other revision that completed, to go back to"),
        (Steering::Restart, Standing::Back { .. }) => Some("what runs is not what its spec asks for"),
        _ => None,
    }
}

fn next(asked: Steering, standing: &Standing, stable: Option<RevisionNumber>) -> Vec<String> {
    let commands: &[&str] = match standing {
        Standing::Starting | Standing::GoingBack { .. } => &["ctl rollout SERVICE"],
        Standing::UnderWay { .. } if stable.is_some() => &["ctl rollout SERVICE", "ctl abort SERVICE"],
        Standing::UnderWay { .. } => &["ctl rollout SERVICE"],
        Standing::Paused { .. } if stable.is_some() => &["ctl resume SERVICE", "ctl abort SERVICE"],
        Standing::Paused { .. } => &["ctl resume SERVICE"],
        Standing::Complete { .. } if asked == Steering::Retry => &["ctl restart SERVICE"],
        Standing::Complete { .. } if asked == Steering::Abort => &["ctl undo SERVICE"],
        Standing::Complete { .. } => &["ctl rollout status SERVICE"],
        Standing::Back { on, .. } => {
            return vec!["ctl rollout SERVICE --retry".to_owned(), format!("ctl undo SERVICE --to {on}")];
        }
        Standing::Failed { .. } if stable.is_some() => &["ctl rollout SERVICE --retry", "ctl abort SERVICE"],
        Standing::Failed { .. } => &["ctl rollout SERVICE --retry"],
    };
    commands.iter().map(|command| (*command).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_names_where_it_stands_and_what_to_do() {
        let two = RevisionNumber(2);
        let told = |asked, standing: Standing, stable| {
            let error = error(&"users".into(), asked, &standing, stable);
            (error.exit, error.why.join("; "), error.next.join("; "))
        };
        assert_eq!(
            told(Steering::Pause, Standing::Complete { revision: two }, None),
            (2, "the rollout of revision 2 is complete".to_owned(), "ctl rollout status users".to_owned())
        );
        assert_eq!(
            told(Steering::Abort, Standing::UnderWay { to: two }, None),
            (
                2,
                "the rollout to revision 2 is under way; there is no other revision that completed, to go back to"
                    .to_owned(),
                "ctl rollout users".to_owned()
            )
        );
        assert_eq!(
            told(Steering::Resume, Standing::UnderWay { to: two }, Some(RevisionNumber(1))),
            (
                2,
                "the rollout to revision 2 is under way; it is not paused".to_owned(),
                "ctl rollout users; ctl abort users".to_owned()
            )
        );
    }
}
