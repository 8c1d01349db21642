//! From the outcome of an operation to success or an error. Pure.

use coxswain::api::codes;
use coxswain::api::types::{
    ApiError, ErrorDetail, ObjectCondition, OperationOutcome, OperationProgress, ReplicaPhaseName,
    ReplicaProgress, RolloutFailureDetail,
};
use coxswain::model::{Reason, RevisionNumber};

use super::rollout_failure::{RolloutEnd, ServingSummary, failed};
use super::watched::WatchedService;
use crate::output::phase_text::{PhaseText, of_progress};
use crate::output::progress::revision_name;

pub(super) fn verdict(
    watched: &WatchedService,
    last: &OperationProgress,
    outcome: &OperationOutcome,
) -> Result<(), ApiError> {
    let name = &watched.name;
    let error = match outcome {
        OperationOutcome::Done | OperationOutcome::Watched { .. } => return Ok(()),
        OperationOutcome::Deleted if watched.deletes => return Ok(()),
        OperationOutcome::Deleted => ErrorDetail {
            now: Some("the service no longer exists".to_owned()),
            ..codes::SUPERSEDED.detail(format!("{name} was deleted while ctl waited for it"))
        },
        OperationOutcome::RolledBack { failure } => ErrorDetail {
            now: Some(serving_summary(watched, last).text(RolloutEnd::RolledBack)),
            kept: retained(last, failure),
            ..failed(name, failure, RolloutEnd::RolledBack, &release_name(watched, failure.revision))
        },
        OperationOutcome::Failed { failure } => {
            let end = RolloutEnd::NotRolledBack { can_abort: last.from.is_some() };
            ErrorDetail {
                now: Some(serving_summary(watched, last).text(end)),
                ..failed(name, failure, end, &release_name(watched, failure.revision))
            }
        }
        OperationOutcome::Superseded { by, revision, author } => ErrorDetail {
            why: vec![
                format!("your change (generation {} of {name}) was superseded", watched.generation),
                format!("{} wrote generation {by} (revision {revision})", author.summary()),
            ],
            now: Some(format!("{name} is moving to revision {revision}")),
            next: vec![format!("ctl rollout {name}")],
            ..codes::SUPERSEDED.detail(format!("a newer change to {name} superseded this one"))
        },
    };
    Err(error.into())
}

pub(super) fn timed_out(watched: &WatchedService) -> ErrorDetail {
    let name = &watched.name;
    let last = watched.last.as_ref();
    // A container retained after a failure is not part of the operation.
    let is_retained = |r: &ReplicaProgress| {
        r.status.as_ref().is_some_and(|status| status.phase == ReplicaPhaseName::Retained)
    };
    let replicas = last.iter().flat_map(|last| &last.replicas).filter(|r| !is_retained(r));
    let missing = replicas.filter(|r| !(r.runs && r.available));
    let replica = |replica: &ReplicaProgress| {
        let PhaseText { word, detail, .. } = of_progress(replica);
        let state = if detail.is_empty() { word.to_owned() } else { format!("{word}: {detail}") };
        format!("{} is {state}", replica.name)
    };
    let held_by = last.iter().flat_map(|last| &last.held_by);
    let held_by = held_by.map(|condition| format!("{}: {}", condition.reason, condition.message));
    ErrorDetail {
        why: held_by.chain(missing.map(replica)).collect(),
        now: Some("the operation continues in the daemon".to_owned()),
        next: vec![format!("ctl rollout {name}"), format!("ctl why {name}")],
        ..codes::TIMED_OUT.detail(format!("timed out waiting for {name}"))
    }
}

/// The condition of a balancer that rejects the routing table.
pub(super) fn table_refusal(progress: &OperationProgress) -> Option<&ObjectCondition> {
    progress.held_by.iter().find(|condition| condition.reason == Reason::TableRefused)
}

pub(super) fn table_refused(watched: &WatchedService) -> ErrorDetail {
    let name = &watched.name;
    let why = watched.last.as_ref().and_then(table_refusal).map(|condition| condition.message.clone());
    ErrorDetail {
        why: why.into_iter().collect(),
        now: Some(
            "the balancer keeps serving its last table; the operation continues once this is fixed"
                .to_owned(),
        ),
        next: vec!["ctl status".to_owned(), format!("ctl rollout {name}")],
        ..codes::TABLE_REFUSED.detail(format!("the balancer rejects the routing table that {name} needs"))
    }
}

/// The stream of reports ended with an error.
pub(super) fn unwatched(watched: &WatchedService, mut error: ApiError) -> ApiError {
    if error.exit != codes::DAEMON_SILENT.exit || error.now.is_some() {
        return error;
    }
    let now = format!("the change to {} is recorded; it continues once the daemon is back", watched.name);
    error.now = Some(now);
    error
}

pub(super) fn is_gone(error: &ApiError) -> bool {
    error.code == codes::NOT_FOUND.id
}

/// `revision 10 (1.5.1)`: with the number, because two revisions can have the same image.
fn release_name(watched: &WatchedService, revision: RevisionNumber) -> String {
    let known = watched.revisions.iter().any(|known| known.status.number == revision);
    let name = known.then(|| format!(" ({})", revision_name(revision, &watched.revisions)));
    format!("revision {revision}{}", name.unwrap_or_default())
}

/// The container retained for inspection.
fn retained(last: &OperationProgress, failure: &RolloutFailureDetail) -> Option<String> {
    let replica = failure.replica.as_ref()?;
    let status = last.replicas.iter().find(|r| r.name == *replica)?.status.as_ref()?;
    let name = replica.container_name(status.attempt);
    status
        .container
        .as_ref()
        .map(|_| format!("container {name} (stopped); removed by the next successful release"))
}

fn serving_summary(watched: &WatchedService, last: &OperationProgress) -> ServingSummary {
    let others = last.replicas.iter().filter(|r| r.available && r.revision != last.target).count();
    ServingSummary {
        release: release_name(watched, last.target),
        available: last.available,
        others: u32::try_from(others).unwrap_or(u32::MAX),
        wanted: last.wanted,
        failed_requests: last.failed_requests,
    }
}

#[cfg(test)]
mod tests {
    use coxswain::api::types::{FailureReasonName, ObjectAuthor};
    use coxswain::model::{Generation, Millis, ReplicaPhase, RolloutDirection};

    use crate::output::phase_text::tests::snapshot as progress_of;

    use super::*;

    fn watched() -> WatchedService {
        WatchedService::new("users".into(), Generation(4), false)
    }

    fn snapshot() -> OperationProgress {
        OperationProgress {
            service: "users".into(),
            observed: Generation(4),
            direction: RolloutDirection::Forward,
            from: None,
            target: RevisionNumber(9),
            wanted: 3,
            stops_first: false,
            available: 3,
            replicas: Vec::new(),
            held_by: Vec::new(),
            counted: None,
            failed_requests: None,
            cut_requests: Vec::new(),
            outcome: None,
        }
    }

    #[test]
    fn verdict_of_each_outcome_has_its_code_and_exit() {
        let failure = RolloutFailureDetail {
            revision: RevisionNumber(10),
            reason: FailureReasonName::DeadlineExceeded,
            replica: None,
            observed: vec!["no progress for 5m".to_owned(), "users-10-a exited with code 1".to_owned()],
            log: Vec::new(),
            aborted_by: None,
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        let author = ObjectAuthor { command: "apply -f b.yaml".to_owned(), user: String::new() };
        let aborted = RolloutFailureDetail {
            reason: FailureReasonName::Aborted,
            aborted_by: Some(author.clone()),
            ..failure.clone()
        };
        let superseded =
            OperationOutcome::Superseded { by: Generation(5), revision: RevisionNumber(11), author };
        for (outcome, expected) in [
            (OperationOutcome::Done, None),
            (OperationOutcome::Watched { left: Millis::secs(7) }, None),
            (OperationOutcome::Deleted, Some(("CTL-0414", 7))),
            (OperationOutcome::RolledBack { failure: failure.clone() }, Some(("CTL-0412", 4))),
            (OperationOutcome::RolledBack { failure: aborted }, Some(("CTL-0417", 4))),
            (OperationOutcome::Failed { failure }, Some(("CTL-0411", 5))),
            (superseded, Some(("CTL-0414", 7))),
        ] {
            let verdict = verdict(&watched(), &snapshot(), &outcome).err();
            assert_eq!(verdict.as_ref().map(|e| (e.code.as_str(), e.exit)), expected, "{outcome:?}");
        }
        let deleting = WatchedService { deletes: true, ..watched() };
        assert_eq!(
            verdict(&deleting, &snapshot(), &OperationOutcome::Deleted),
            Ok(()),
            "a delete waits for this"
        );
    }

    #[test]
    fn timeout_does_not_name_retained_containers() {
        let replicas = [("a", ReplicaPhase::Retained), ("b", ReplicaPhase::Pulling)];
        let last = Some(progress_of(0, &replicas));
        let error = timed_out(&WatchedService { last, ..watched() });
        assert_eq!(error.why, ["b is pulling"]);
    }
}
