//! How the end of an operation is told. PURE.

use coxswain::api::codes;
use coxswain::api::types::{ApiError, OperationOutcome, OperationProgress, ReplicaProgress};
use coxswain::model::{
    Condition, FailureReason, Reason, ReplicaPhase, RevisionNumber, RolloutFailure, ServiceName,
};

use super::Watched;
use crate::output::progress::{self, PhaseText, revision_name};

/// Success, or the error that says what happened, how things stand and what to do next.
pub(super) fn verdict(
    watched: &Watched,
    last: &OperationProgress,
    outcome: &OperationOutcome,
) -> Result<(), ApiError> {
    let name = &watched.name;
    match outcome {
        OperationOutcome::Done => Ok(()),
        OperationOutcome::Deleted if watched.deletes => Ok(()),
        OperationOutcome::Deleted => Err(ApiError {
            now: Some("nothing of it is left".to_owned()),
            ..codes::SUPERSEDED.error(format!("{name} was deleted while it was waited for"))
        }),
        OperationOutcome::RolledBack { failure } => Err(ApiError {
            now: Some(aftermath(watched, last).told(End::RolledBack)),
            kept: kept(last, failure),
            ..failed(name, failure, End::RolledBack, &called(watched, failure.revision))
        }),
        OperationOutcome::Failed { failure } => {
            let end = End::StandsStill { may_go_back: last.from.is_some() };
            Err(ApiError {
                now: Some(aftermath(watched, last).told(end)),
                ..failed(name, failure, end, &called(watched, failure.revision))
            })
        }
        OperationOutcome::Superseded { by, revision, author } => Err(ApiError {
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
    let last = watched.last.as_ref();
    // A container that is kept after an earlier failure is waited for by nobody.
    let is_kept =
        |r: &ReplicaProgress| r.status.as_ref().is_some_and(|status| status.phase == ReplicaPhase::Retained);
    let replicas = last.iter().flat_map(|last| &last.replicas).filter(|r| !is_kept(r));
    let missing = replicas.filter(|r| !(r.runs && r.available));
    let replica = |replica: &ReplicaProgress| {
        let PhaseText { word, detail, .. } = progress::of(replica);
        let is = if detail.is_empty() { word.to_owned() } else { format!("{word}: {detail}") };
        format!("{} is {is}", replica.name)
    };
    let held_by = last.iter().flat_map(|last| &last.held_by);
    let held_by = held_by.map(|condition| format!("{}: {}", condition.reason, condition.message));
    ApiError {
        why: held_by.chain(missing.map(replica)).collect(),
        now: Some("the operation continues in the daemon".to_owned()),
        next: vec![format!("ctl rollout {name}"), format!("ctl why {name}")],
        ..codes::TIMED_OUT.error(format!("timed out waiting for {name}"))
    }
}

/// The condition that says that the balancer does not take the routing table.
pub(super) fn refusal(progress: &OperationProgress) -> Option<&Condition> {
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
    /// Whether there is a revision that `ctl abort` goes back to.
    StandsStill {
        may_go_back: bool,
    },
}

/// How things stand after a rollout that failed.
#[derive(Debug)]
pub(crate) struct Aftermath {
    /// What should run: `revision 9 (1.5.0)`.
    pub(crate) called: String,
    pub(crate) available: u32,
    /// Replicas of other revisions that serve.
    pub(crate) others: u32,
    pub(crate) wanted: u32,
    /// During the attempt, where that is known.
    pub(crate) failed_requests: Option<u64>,
}

impl Aftermath {
    /// `revision 9 (1.5.0) serves all traffic, 3/3 ready; 0 failed requests during the attempt`.
    pub(crate) fn told(&self, end: End) -> String {
        let Self { called, available, others, wanted, failed_requests } = self;
        let how = match end {
            End::RolledBack if *available > 0 && *others == 0 => "serves all traffic",
            End::RolledBack => "is back",
            End::StandsStill { .. } => "keeps trying",
        };
        let others = if *others == 0 { String::new() } else { format!(", {others} of other revisions") };
        let failed = match failed_requests {
            None => String::new(),
            Some(1) => "; 1 failed request during the attempt".to_owned(),
            Some(many) => format!("; {many} failed requests during the attempt"),
        };
        format!("{called} {how}, {available}/{wanted} ready{others}{failed}")
    }
}

/// What there is to say of every failed rollout; `called` is its revision, `revision 10 (1.5.1)`.
pub(crate) fn failed(name: &ServiceName, failure: &RolloutFailure, end: End, called: &str) -> ApiError {
    if let FailureReason::Aborted { by } = &failure.reason {
        return ApiError {
            why: vec![format!("revision {} was aborted by {}", failure.revision, by.told())],
            next: vec![format!("ctl rollout {name} --retry"), format!("ctl history {name}")],
            ..codes::ABORTED.error(format!("rollout of {name} to {called} was aborted"))
        };
    }
    let (code, how) = match end {
        End::RolledBack => (&codes::ROLLED_BACK, "rolled back"),
        End::StandsStill { .. } => (&codes::ROLLOUT_FAILED, "not rolled back"),
    };
    ApiError {
        why: failure.reason.lines(),
        log: failure.reason.case().map(|case| case.diagnosis.log.clone()).unwrap_or_default(),
        next: next(name, failure, end),
        class: Some(codes::of_failure(&failure.reason).id.to_owned()),
        ..code.error(format!("rollout of {name} to {called} failed and was {how}"))
    }
}

/// Where to look, then what to do: go back where that can be done, else what helps against this class of failure.
fn next(name: &ServiceName, failure: &RolloutFailure, end: End) -> Vec<String> {
    let logs = format!("ctl logs {name} --revision {}", failure.revision);
    let events = format!("ctl events {name}");
    let retry = format!("ctl rollout {name} --retry");
    let (look, help) = match &failure.reason {
        FailureReason::ImageNotFound(_) => (events, format!("ctl rollout {name} --image TAG")),
        FailureReason::PullDenied(_) => ("docker login".to_owned(), retry),
        FailureReason::DeadlineExceeded { .. } => (format!("ctl why {name}"), events),
        reason if reason.case().is_some_and(|case| !case.diagnosis.log.is_empty()) => (logs, events),
        _ => (events, retry),
    };
    match end {
        End::StandsStill { may_go_back: true } => vec![look, format!("ctl abort {name}")],
        End::RolledBack | End::StandsStill { may_go_back: false } => vec![look, help],
    }
}

/// The container that is kept to be looked at.
fn kept(last: &OperationProgress, failure: &RolloutFailure) -> Option<String> {
    let replica = &failure.reason.case()?.replica;
    let status = last.replicas.iter().find(|r| r.name == *replica)?.status.as_ref()?;
    let name = replica.container_name(status.attempt);
    status
        .container
        .as_ref()
        .map(|_| format!("container {name}, stopped; it goes with the next release that succeeds"))
}

fn aftermath(watched: &Watched, last: &OperationProgress) -> Aftermath {
    let others = last.replicas.iter().filter(|r| r.available && r.revision != last.target).count();
    Aftermath {
        called: called(watched, last.target),
        available: last.available,
        others: u32::try_from(others).unwrap_or(u32::MAX),
        wanted: last.wanted,
        failed_requests: last.failed_requests,
    }
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

    fn snapshot() -> OperationProgress {
        OperationProgress {
            service: "users".into(),
            observed: Generation(4),
            from: None,
            target: RevisionNumber(9),
            wanted: 3,
            available: 3,
            replicas: Vec::new(),
            held_by: Vec::new(),
            counted: None,
            failed_requests: None,
            outcome: None,
        }
    }

    #[test]
    fn each_outcome_has_its_code() {
        let failure = RolloutFailure {
            revision: RevisionNumber(10),
            reason: FailureReason::DeadlineExceeded {
                deadline: coxswain::model::Millis::secs(300),
                observed: vec!["users-10-a exited with code 1".to_owned()],
            },
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        let author = "apply -f b.yaml".into();
        let superseded =
            OperationOutcome::Superseded { by: Generation(5), revision: RevisionNumber(11), author };
        let aborted =
            RolloutFailure { reason: FailureReason::Aborted { by: "abort users".into() }, ..failure.clone() };
        for (outcome, expected) in [
            (OperationOutcome::Done, None),
            (OperationOutcome::Deleted, Some(("CTL-0414", 7))),
            (OperationOutcome::RolledBack { failure: failure.clone() }, Some(("CTL-0412", 4))),
            (OperationOutcome::RolledBack { failure: aborted }, Some(("CTL-0417", 4))),
            (OperationOutcome::Failed { failure }, Some(("CTL-0411", 5))),
            (superseded, Some(("CTL-0414", 7))),
        ] {
            let verdict = verdict(&watched(), &snapshot(), &outcome).err();
            assert_eq!(verdict.as_ref().map(|e| (e.code.as_str(), e.exit)), expected, "{outcome:?}");
        }
        let deleting = Watched { deletes: true, ..watched() };
        assert_eq!(
            verdict(&deleting, &snapshot(), &OperationOutcome::Deleted),
            Ok(()),
            "what a delete waits for"
        );
    }

    #[test]
    fn a_container_that_is_kept_is_not_waited_for() {
        let replicas = [("a", ReplicaPhase::Retained), ("b", ReplicaPhase::Pulling)];
        let last = Some(progress::tests::snapshot(0, &replicas));
        let error = timed_out(&Watched { last, ..watched() });
        assert_eq!(error.why, ["b is pulling"]);
    }

    #[test]
    fn failed_requests_are_told_where_they_are_known() {
        let back = End::RolledBack;
        let stands = End::StandsStill { may_go_back: true };
        for (available, others, failed_requests, end, expected) in [
            (3, 0, Some(0), back, "serves all traffic, 3/3 ready; 0 failed requests during the attempt"),
            (3, 0, Some(1), back, "serves all traffic, 3/3 ready; 1 failed request during the attempt"),
            (
                3,
                1,
                Some(2),
                back,
                "is back, 3/3 ready, 1 of other revisions; 2 failed requests during the attempt",
            ),
            (3, 0, None, back, "serves all traffic, 3/3 ready"),
            (0, 0, None, back, "is back, 0/3 ready"),
            (1, 2, None, stands, "keeps trying, 1/3 ready, 2 of other revisions"),
        ] {
            let called = "revision 9".to_owned();
            let aftermath = Aftermath { called, available, others, wanted: 3, failed_requests };
            assert_eq!(aftermath.told(end), format!("revision 9 {expected}"));
        }
    }
}
