//! Every end of a rollout that is not a good one: what is said of it, piped and on a terminal.

use coxswain::api::types::{OperationOutcome, OperationProgress, ReplicaPhaseName};
use coxswain::model::{
    Author, Diagnosis, Evidence, FailedProbe, FailedReplica, FailureReason, ListeningSocket, Millis,
    NotReadyCause, ProbeAnswer, ReplicaPhase, RevisionNumber, RolloutDirection, RolloutFailure,
};

use super::objects::{exited, failure, snapshot, unhealthy};
use super::operate::changing;
use super::stub::{Reply, Stub};
use super::terminal::Terminal;
use super::transcript::run;

/// One end.
struct End {
    /// The codes that are explained.
    codes: &'static str,
    exit: i32,
    /// `None` where the waiting ends first.
    outcome: Option<OperationOutcome>,
}

/// What an agent sees of a release, class by class, and for how long the rollout was without progress if that ended it.
fn seen() -> Vec<(&'static str, NotReadyCause, Option<Millis>)> {
    let within = Some(Millis::secs(60));
    let unhealthy = |message: &str, answer, start_within| NotReadyCause::Unhealthy {
        probe: FailedProbe { message: message.to_owned(), answer },
        start_within,
    };
    let message = |text: &str| text.to_owned();
    let busy = "GET /healthz → 503 \"warming cache\"";
    let refused = ProbeAnswer::Refused { port: 8080 };
    vec![
        (
            "0421",
            NotReadyCause::ImageNotFound {
                message: message("the registry does not have users:v2: manifest unknown"),
            },
            None,
        ),
        (
            "0422",
            NotReadyCause::PullDenied {
                message: message("the registry denied the pull of users:v2: denied"),
            },
            None,
        ),
        (
            "0423",
            NotReadyCause::CannotStart {
                message: message("exec: \"x\": executable file not found in $PATH"),
            },
            None,
        ),
        ("0424", NotReadyCause::Exited { code: 1, was_healthy: false }, None),
        ("0430", NotReadyCause::Completed { was_healthy: false }, None),
        ("0425", NotReadyCause::OutOfMemory { limit: "64Mi".parse().ok(), code: Some(137) }, None),
        ("0426", unhealthy(busy, ProbeAnswer::Status { status: 503 }, within), None),
        ("0427", unhealthy("GET /healthz → connection refused", refused, None), Some(Millis::secs(30))),
        ("0428", unhealthy("GET /healthz → no answer in 2s", ProbeAnswer::Nothing, within), None),
    ]
}

fn of_class(seen: NotReadyCause, deadline: Option<Millis>) -> RolloutFailure {
    let has_run = !matches!(
        seen,
        NotReadyCause::ImageNotFound { .. }
            | NotReadyCause::PullDenied { .. }
            | NotReadyCause::CannotStart { .. }
    );
    let log = ["reading \u{1b}[31m/etc/users.toml", "panic: no such file"].map(str::to_owned);
    let log = if has_run { log.to_vec() } else { Vec::new() };
    let times = if matches!(seen, NotReadyCause::Unhealthy { .. }) { 0 } else { 3 };
    let is_refused = |probe: &FailedProbe| matches!(probe.answer, ProbeAnswer::Refused { .. });
    let listening = match &seen {
        NotReadyCause::Unhealthy { probe, .. } if is_refused(probe) => {
            Some(vec![ListeningSocket { address: [0, 0, 0, 0].into(), port: 3000 }])
        }
        _ => None,
    };
    let evidence = Evidence { times, within: Millis(13_200), listening, log };
    let diagnosis = Diagnosis { cause: seen, evidence };
    RolloutFailure {
        reason: FailureReason::Replica(FailedReplica { replica: "users-10-a".into(), diagnosis, deadline }),
        ..failure(10)
    }
}

fn ends() -> Vec<End> {
    let back = |codes, failure: RolloutFailure| End {
        codes,
        exit: 4,
        outcome: Some(OperationOutcome::RolledBack { failure: failure.into() }),
    };
    let failed = |codes, failure: RolloutFailure| End {
        codes,
        exit: 5,
        outcome: Some(OperationOutcome::Failed { failure: failure.into() }),
    };
    let by = Author { command: "abort users".to_owned(), user: "bob".to_owned() };
    let aborted = RolloutFailure { reason: FailureReason::Aborted { by }, ..failure(10) };
    let crashes = of_class(NotReadyCause::Exited { code: 1, was_healthy: false }, None);
    let mut ends: Vec<End> =
        seen().into_iter().map(|(code, seen, deadline)| back(code, of_class(seen, deadline))).collect();
    ends.extend([
        back("0429", failure(10)),
        failed("0411", failure(10)),
        failed("0411", crashes),
        back("0417", aborted),
        End { codes: "0413", exit: 6, outcome: None },
    ]);
    ends
}

/// A stub whose rollout comes to this end, and the command that waits for it.
fn coming_to(end: &End) -> (Stub, &'static str) {
    let starting = ReplicaPhase::Starting { cause: Some(unhealthy()) };
    let Some(outcome) = &end.outcome else {
        let waits = snapshot(1, &[("users-10-a", ReplicaPhase::Ready), ("users-10-b", starting)], None);
        let stub = changing("POST /v1/rollout", Reply::silence_after(&[waits]));
        return (stub, "rollout users --image v2 --timeout 700ms");
    };
    let at_work = snapshot(0, &[("users-10-a", exited()), ("users-9-a", ReplicaPhase::Ready)], None);
    let mut last = match outcome {
        OperationOutcome::RolledBack { failure } => {
            let ran = !failure.log.is_empty();
            let kept: &[(&str, ReplicaPhase)] =
                if ran { &[("users-10-a", ReplicaPhase::Retained)] } else { &[] };
            let serve = [("users-9-a", ReplicaPhase::Ready), ("users-9-b", ReplicaPhase::Ready)];
            let back = snapshot(2, &[kept, &serve].concat(), Some(outcome.clone()));
            OperationProgress {
                direction: RolloutDirection::Rollback,
                target: RevisionNumber(9),
                from: None,
                ..back
            }
        }
        _ => snapshot(
            0,
            &[("users-10-a", exited()), ("users-9-a", ReplicaPhase::Ready)],
            Some(outcome.clone()),
        ),
    };
    for replica in last.replicas.iter_mut().filter(|replica| replica.name.as_str().starts_with("users-9")) {
        replica.revision = RevisionNumber(9);
    }
    for replica in last.replicas.iter_mut().filter(|replica| replica.name.as_str() == "users-10-a") {
        replica.runs =
            replica.status.as_ref().is_some_and(|status| status.phase != ReplicaPhaseName::Retained);
    }
    last.failed_requests = Some(0);
    (changing("POST /v1/rollout", Reply::lines(&[at_work, last])), "rollout users --image v2")
}

#[test]
fn rollout_end_is_printed_when_piped() {
    let mut all = String::new();
    for end in ends() {
        let (stub, command) = coming_to(&end);
        let ran = run(&stub, command);
        assert_eq!(ran.exit, end.exit, "{}", ran.stderr);
        assert!(ran.stderr.contains(&format!("ctl explain CTL-{}", end.codes)), "{}", ran.stderr);
        let header = ran.stderr.find("users  ").expect("what it is about");
        all += &format!("{}exit {}\n\n", &ran.stderr[header..], ran.exit);
    }
    insta::assert_snapshot!("failures_piped", all);
}

/// The last frame stays on the screen, followed by the same error as in a pipe.
#[test]
fn rollout_end_is_printed_on_terminal() {
    let mut all = String::new();
    for end in ends() {
        let (stub, command) = coming_to(&end);
        let piped = run(&stub, command).stderr;
        let (stub, command) = coming_to(&end);
        let (screen, exit) = Terminal::start(&stub, command).run();
        assert_eq!(exit, Some(end.exit), "{screen}");
        let (frame, error) = screen.split_at(screen.find("error[").expect("an error"));
        // A terminal breaks lines where it ends.
        let unbroken = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(unbroken(error), unbroken(&piped[piped.find("error[").expect("an error")..]));
        all += &format!("{frame}{}\n\n", error.lines().next().unwrap_or_default());
    }
    insta::assert_snapshot!("failures_on_a_terminal", all);
}
