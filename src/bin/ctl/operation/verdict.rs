//! How the end of an operation is told. PURE.

use coxswain::api::codes;
use coxswain::api::types::{ApiError, Outcome, Progress};
use coxswain::model::{Condition, Failure, FailureReason, Reason, RevisionNumber, ServiceName};

use super::Watched;
use crate::output::progress::revision_name;

/// Success, or the error that says what happened, how things stand and what to do next.
pub(super) fn verdict(watched: &Watched, last: &Progress, outcome: &Outcome) -> Result<(), ApiError> {
    let name = &watched.name;
    match outcome {
        Outcome::Done => Ok(()),
        Outcome::Deleted if watched.deletes => Ok(()),
        Outcome::Deleted => Err(ApiError {
            now: Some("nothing of it is left".to_owned()),
            ..codes::SUPERSEDED.error(format!("{name} was deleted while it was waited for"))
        }),
        Outcome::RolledBack { failure } => Err(ApiError {
            now: Some(standing(watched, last, "is back")),
            kept: kept(last, failure),
            ..failed(name, failure, End::RolledBack, &called(watched, failure.revision))
        }),
        Outcome::Failed { failure } => Err(ApiError {
            now: Some(standing(watched, last, "keeps trying")),
            ..failed(name, failure, End::StandsStill, &called(watched, failure.revision))
        }),
        Outcome::Superseded { by, revision, author } => Err(ApiError {
            why: vec![
                format!("this command wrote generation {} of {name}", watched.generation),
                format!("{} wrote generation {by}, revision {revision}", author.told()),
            ],
            now: Some(format!("{name} moves to revision {revision}")),
            next: vec![format!("ctl rollout {name}")],
            ..codes::SUPERSEDED.error(format!("a later change of {name} took the place of this one"))
        }),
    }
}

/// The waiting ended first.
pub(super) fn timed_out(watched: &Watched) -> ApiError {
    let name = &watched.name;
    let not_ready = watched.last.iter().flat_map(|last| &last.replicas).filter(|r| r.runs && !r.available);
    let line = |text: crate::output::progress::PhaseText| format!("{} {}", text.word, text.detail);
    let why = not_ready.map(|replica| {
        let text = crate::output::progress::of(replica);
        format!("{} {}", replica.name, line(text).trim_end())
    });
    ApiError {
        why: why.collect(),
        now: Some("the operation continues in the daemon".to_owned()),
        next: vec![format!("ctl rollout {name}")],
        ..codes::TIMED_OUT.error(format!("timed out waiting for {name}"))
    }
}

/// The condition that says that the balancer does not take the routing table.
pub(super) fn refusal(progress: &Progress) -> Option<&Condition> {
    progress.held_by.iter().find(|condition| condition.reason == Reason::TableRefused)
}

/// The balancer cannot take what is waited for.
pub(super) fn table_refused(watched: &Watched) -> ApiError {
    let name = &watched.name;
    let why = watched.last.as_ref().and_then(refusal).map(|condition| condition.message.clone());
    ApiError {
        why: why.into_iter().collect(),
        now: Some(
            "the balancer serves on; the operation continues in the daemon once that is mended".to_owned(),
        ),
        next: vec!["ctl status".to_owned(), format!("ctl rollout {name}")],
        ..codes::TABLE_REFUSED.error(format!("the balancer does not take up what {name} needs"))
    }
}

/// The daemon does not tell any more.
pub(super) fn unwatched(watched: &Watched, error: ApiError) -> ApiError {
    if error.exit != codes::DAEMON_SILENT.exit || error.now.is_some() {
        return error;
    }
    let now = format!("what was asked of {} is recorded; it continues once the daemon is back", watched.name);
    ApiError { now: Some(now), ..error }
}

/// Whether an error says that the object does not exist.
pub(super) fn is_gone(error: &ApiError) -> bool {
    error.code == codes::NOT_FOUND.id
}

/// `revision 10 (1.5.1)`: two revisions may have the same image, their numbers tell them apart.
fn called(watched: &Watched, revision: RevisionNumber) -> String {
    let known = watched.revisions.iter().any(|known| known.number == revision);
    let name = known.then(|| format!(" ({})", revision_name(revision, &watched.revisions)));
    format!("revision {revision}{}", name.unwrap_or_default())
}

/// What became of a rollout that failed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    RolledBack,
    StandsStill,
}

/// What there is to say of every failed rollout; `called` is its revision, `revision 10 (1.5.1)`.
pub(crate) fn failed(name: &ServiceName, failure: &Failure, end: End, called: &str) -> ApiError {
    if let FailureReason::Aborted { by } = &failure.reason {
        return ApiError {
            why: vec![format!("revision {} was aborted by {}", failure.revision, by.told())],
            next: vec![format!("ctl rollout {name} --retry"), format!("ctl history {name}")],
            ..codes::ABORTED.error(format!("rollout of {name} to {called} was aborted"))
        };
    }
    let (code, how) = match end {
        End::RolledBack => (&codes::ROLLED_BACK, "rolled back"),
        End::StandsStill => (&codes::ROLLOUT_FAILED, "not rolled back"),
    };
    let log: Vec<String> = failure.reason.case().map(|case| case.trouble.log.clone()).unwrap_or_default();
    let events = format!("ctl events {name}");
    let next = match log.is_empty() {
        true => vec![events],
        false => vec![format!("ctl logs {name} --revision {}", failure.revision), events],
    };
    ApiError {
        why: failure.reason.lines(),
        log,
        next,
        class: Some(codes::of_failure(&failure.reason).id.to_owned()),
        ..code.error(format!("rollout of {name} to {called} failed and was {how}"))
    }
}

/// The container that is kept to be looked at.
fn kept(last: &Progress, failure: &Failure) -> Option<String> {
    let replica = &failure.reason.case()?.replica;
    let status = last.replicas.iter().find(|r| r.name == *replica)?.status.as_ref()?;
    let name = replica.container_name(status.attempt);
    status
        .container
        .as_ref()
        .map(|_| format!("container {name}, stopped; it goes with the next release that succeeds"))
}

fn standing(watched: &Watched, last: &Progress, how: &str) -> String {
    format!("{} {how}, {}/{} ready", called(watched, last.target), last.available, last.wanted)
}

#[cfg(test)]
mod tests {
    use coxswain::model::Generation;

    use crate::output::story::Story;
    use crate::output::traffic::Meter;

    use super::*;

    fn watched() -> Watched {
        Watched {
            name: "users".into(),
            generation: Generation(4),
            deletes: false,
            header: String::new(),
            revisions: Vec::new(),
            last: None,
            refused_since: None,
            story: Story::default(),
            meter: Meter::default(),
            end: None,
        }
    }

    fn snapshot() -> Progress {
        Progress {
            service: "users".into(),
            observed: Generation(4),
            from: None,
            target: RevisionNumber(9),
            wanted: 3,
            available: 3,
            replicas: Vec::new(),
            held_by: Vec::new(),
            counted: None,
            outcome: None,
        }
    }

    #[test]
    fn each_outcome_has_its_code() {
        let failure = Failure {
            revision: RevisionNumber(10),
            reason: FailureReason::DeadlineExceeded {
                deadline: coxswain::model::Millis::secs(300),
                observed: vec!["users-10-a exited with code 1".to_owned()],
            },
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        let author = "apply -f b.yaml".into();
        let superseded = Outcome::Superseded { by: Generation(5), revision: RevisionNumber(11), author };
        let aborted =
            Failure { reason: FailureReason::Aborted { by: "abort users".into() }, ..failure.clone() };
        for (outcome, expected) in [
            (Outcome::Done, None),
            (Outcome::Deleted, Some(("CTL-0414", 7))),
            (Outcome::RolledBack { failure: failure.clone() }, Some(("CTL-0412", 4))),
            (Outcome::RolledBack { failure: aborted }, Some(("CTL-0417", 4))),
            (Outcome::Failed { failure }, Some(("CTL-0411", 5))),
            (superseded, Some(("CTL-0414", 7))),
        ] {
            let verdict = verdict(&watched(), &snapshot(), &outcome).err();
            assert_eq!(verdict.as_ref().map(|e| (e.code.as_str(), e.exit)), expected, "{outcome:?}");
        }
        let deleting = Watched { deletes: true, ..watched() };
        assert_eq!(verdict(&deleting, &snapshot(), &Outcome::Deleted), Ok(()), "what a delete waits for");
    }
}
