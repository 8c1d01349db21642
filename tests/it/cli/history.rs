//! The record of releases, and words about a rollout: history, diff, pause, resume, abort, restart, retry.

use coxswain::api::codes;
use coxswain::api::types::{
    ErrorDetail, List, OperationOutcome, RevisionObject, WriteAction, WriteResponse, WrittenObject,
};
use coxswain::model::{
    Author, EnvValue, FailureReason, ReplicaPhase, RevisionNumber, RevisionOutcome, RolloutFailure,
};

use super::objects::{failure, result, revision, snapshot};
use super::stub::{Reply, Stub};
use super::transcript::{run, transcript};

fn kept() -> Vec<RevisionObject> {
    let by = Author { command: "abort users".to_owned(), user: "bob".to_owned() };
    let aborted = RolloutFailure { reason: FailureReason::Aborted { by }, ..failure(10) };
    let mut last = revision(11, "v2", Some(RevisionOutcome::RolledBack { failure: failure(11) }));
    last.spec.env.insert("LOG_LEVEL".to_owned(), EnvValue::Text("debug".to_owned()));
    last.status.restarts = 1;
    vec![
        revision(6, "v0", None),
        revision(7, "v1", Some(RevisionOutcome::Complete)),
        revision(8, "v2", Some(RevisionOutcome::Superseded { by: RevisionNumber(9) })),
        revision(9, "v1", Some(RevisionOutcome::Complete)),
        revision(10, "v2", Some(RevisionOutcome::Aborted { failure: aborted })),
        last,
        revision(12, "v3", Some(RevisionOutcome::InProgress)),
    ]
}

fn stub() -> Stub {
    Stub::start().on("GET /v1/revisions?service=users", [Reply::json(&List::of(kept()))])
}

#[test]
fn history_shows_the_record_of_each_revision() {
    let stub = stub().on(
        "GET /v1/revisions?service=none",
        [Reply::error(&codes::NOT_FOUND.error("there is no service named none"))],
    );
    insta::assert_snapshot!(
        "history",
        transcript(&stub, &["history users", "rollout history users -o name", "history none", "history"])
    );
    let json: serde_json::Value = serde_json::from_str(&run(&stub, "history users -o json").stdout).unwrap();
    let status = &json["items"][4]["status"];
    assert_eq!((&status["outcome"], &status["createdBy"]["user"]), (&"aborted".into(), &"ann".into()));
}

#[test]
fn diff_compares_two_revisions() {
    insta::assert_snapshot!(
        "diff",
        transcript(
            &stub(),
            &[
                "diff users --revisions 7..11",
                "diff users --revisions 7..11 --exit-code",
                "diff users --revisions 7..9 --exit-code",
                "diff users --revisions 7..99",
                "diff users --revisions 7",
                "diff users",
            ]
        )
    );
}

fn noted(note: &str) -> Reply {
    let result = WrittenObject { notes: vec![note.to_owned()], ..result("users", WriteAction::Changed) };
    Reply::json(&WriteResponse { results: vec![result] })
}

#[test]
fn rollout_commands_send_their_change() {
    let done = snapshot(2, &[("users-9-a", ReplicaPhase::Ready)], Some(OperationOutcome::Done));
    let stub = stub()
        .on("POST /v1/rollout", [noted("its rollout is held")])
        .on("GET /v1/services/users/progress?generation=10", [Reply::lines(std::slice::from_ref(&done))])
        .on("GET /v1/services/users/progress?generation=10&awaited=count", [Reply::lines(&[done])]);
    let printed = transcript(&stub, &["pause users", "resume service/users", "abort users", "restart users"]);
    insta::assert_snapshot!("rollout_commands", printed);
    for command in
        ["rollout pause users", "rollout resume users", "rollout abort users", "rollout users --retry"]
    {
        assert_eq!(run(&stub, command).exit, 0, "{command}");
    }
    let sent: Vec<_> = stub.bodies("POST /v1/rollout").iter().map(|body| body["change"].clone()).collect();
    let words = ["pause", "resume", "abort", "restart"];
    assert_eq!(sent[..4], words);
    assert_eq!(sent[4..], ["pause", "resume", "abort", "retry"]);
    assert!(stub.bodies("POST /v1/rollout").iter().all(|body| body["user"].is_string()));
}

#[test]
fn rollout_command_in_wrong_phase_exits_2() {
    let refused = ErrorDetail {
        why: vec!["the rollout of revision 9 is complete".to_owned()],
        now: Some("nothing was changed".to_owned()),
        next: vec!["ctl rollout status users".to_owned()],
        ..codes::NOT_NOW.detail("the rollout of users cannot be paused")
    };
    let stub = Stub::start().on("POST /v1/rollout", [Reply::error(&refused)]);
    insta::assert_snapshot!(
        "rollout_commands_rejected",
        transcript(&stub, &["rollout pause users", "rollout users --retry --image v2", "rollout pause"])
    );
}
