//! Writes and the waiting for them: scale, rollout, undo, delete, confirm.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use coxswain::api::codes;
use coxswain::api::types::{
    ConfirmResponse, CutRequestsDetail, DaemonStatus, List, ObjectAuthor, OperationOutcome,
    OperationProgress, WriteAction, WriteResponse, WrittenObject,
};
use coxswain::model::{
    ConditionKind, Generation, Millis, Reason, ReplicaPhase, RevisionNumber, RolloutState,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::objects::{
    condition, daemon, exited, failed, failure, replica, result, revision, rollout, service, snapshot,
};
use super::stub::{Reply, Stub};
use super::transcript::{run, transcript};

pub(super) const PROGRESS: &str = "GET /v1/services/users/progress?generation=10";

fn written(results: &[WrittenObject]) -> Reply {
    Reply::json(&WriteResponse { results: results.to_vec() })
}

/// A stub whose writes change users, and that streams these snapshots as their progress.
pub(super) fn changing(call: &str, progress: Reply) -> Stub {
    Stub::start()
        .on(call, [written(&[result("users", WriteAction::Changed)])])
        .on(
            "GET /v1/revisions?service=users",
            [Reply::json(&List::of(vec![revision(9, "v1", None), revision(10, "v2", None)]))],
        )
        .on(PROGRESS, [progress.clone()])
        .on(&format!("{PROGRESS}&counters=true"), [progress.clone()])
        .on(&format!("{PROGRESS}&awaited=count"), [progress])
}

fn ended(outcome: OperationOutcome) -> Reply {
    let back = if matches!(outcome, OperationOutcome::RolledBack { .. }) { 9 } else { 10 };
    let last = snapshot(2, &[("users-9-a", ReplicaPhase::Ready)], Some(outcome));
    Reply::lines(&[
        snapshot(0, &[("users-10-a", exited()), ("users-9-a", ReplicaPhase::Ready)], None),
        OperationProgress { target: RevisionNumber(back), ..last },
    ])
}

#[test]
fn successful_rollout_prints_progress_and_exits_0() {
    let stub = changing("POST /v1/rollout", ended(OperationOutcome::Done));
    insta::assert_snapshot!(
        "rollout",
        transcript(
            &stub,
            &[
                "rollout users --image v2",
                "rollout restart users",
                "undo users --to 7",
                "rollout undo service/users --detach"
            ]
        )
    );
    let sent = stub.bodies("POST /v1/rollout");
    let change = |index: usize| {
        (sent[index]["change"].clone(), sent[index]["image"].clone(), sent[index]["to"].clone())
    };
    assert_eq!(change(0), ("image".into(), "v2".into(), serde_json::Value::Null));
    assert_eq!(change(1).0, "restart");
    assert_eq!(change(2), ("undo".into(), serde_json::Value::Null, 7.into()));
    assert_eq!(change(3), ("undo".into(), serde_json::Value::Null, serde_json::Value::Null));
    assert_eq!(sent[2]["command"], "undo users --to 7");
}

#[test]
fn superseded_rollout_names_successor() {
    let author = ObjectAuthor { command: "apply -f b.yaml".to_owned(), user: "bob".to_owned() };
    let by = OperationOutcome::Superseded { by: Generation(11), revision: RevisionNumber(11), author };
    let stub = changing("POST /v1/rollout", ended(by));
    insta::assert_snapshot!("superseded", transcript(&stub, &["rollout users --image v2"]));
}

#[test]
fn exit_code_is_worst_of_several_services() {
    let of =
        |name: &str, outcome| OperationProgress { service: name.into(), ..snapshot(2, &[], Some(outcome)) };
    let stub = Stub::start()
        .on(
            "POST /v1/scale",
            [written(&[result("users", WriteAction::Changed), result("web", WriteAction::Changed)])],
        )
        .on(
            "GET /v1/services/web/progress?generation=10&awaited=count",
            [Reply::lines(&[of("web", OperationOutcome::Done)])],
        )
        .on(
            &format!("{PROGRESS}&awaited=count"),
            [Reply::lines(&[of("users", OperationOutcome::RolledBack { failure: failed(10) })])],
        );
    let ran = run(&stub, "scale users=+3 web=2");
    assert_eq!(ran.exit, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("✓ web  2/2 ready"), "{}", ran.stderr);
    assert!(ran.stderr.contains("error[CTL-0412]: rollout of users"), "{}", ran.stderr);
    let sent = &stub.bodies("POST /v1/scale")[0];
    assert_eq!(sent["targets"], serde_json::json!({"users": "+3", "web": 2}));
}

#[test]
fn first_release_is_reported_while_it_is_watched() {
    let watched = OperationOutcome::Watched { left: Millis::secs(7) };
    let stub = changing("POST /v1/rollout", ended(watched));
    let ran = run(&stub, "rollout restart users");
    assert_eq!(ran.exit, 0, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("\n  ▸ watched for another 7s: if it crashes until then, revision "),
        "{}",
        ran.stderr
    );
}

#[test]
fn summary_of_an_operation_has_the_requests_that_it_cut() {
    let cut = |replica: &str, requests: Option<u64>| CutRequestsDetail {
        replica: replica.into(),
        requests,
        drain: Some(Millis::secs(10)),
    };
    let ended = |outcome| OperationProgress {
        cut_requests: vec![cut("users-9-a", Some(3)), cut("users-9-b", Some(1))],
        ..snapshot(2, &[("users-10-a", ReplicaPhase::Ready)], Some(outcome))
    };
    let failed = OperationOutcome::RolledBack { failure: failed(10) };
    let stub = changing("POST /v1/rollout", Reply::Lost)
        .on(PROGRESS, [OperationOutcome::Done, failed].map(|outcome| Reply::lines(&[ended(outcome)])))
        .on(&format!("{PROGRESS}&awaited=deletion"), [Reply::lines(&[ended(OperationOutcome::Deleted)])])
        .on("GET /v1/services", [Reply::json(&List::of(vec![service("users")]))])
        .on("POST /v1/delete", [written(&[result("users", WriteAction::Deleted)])]);
    let commands = ["rollout restart users", "rollout restart users", "delete users -y"];
    insta::assert_snapshot!("cut_requests", transcript(&stub, &commands));
}

#[test]
fn scale_rejects_invalid_counts() {
    let stub = Stub::start();
    insta::assert_snapshot!(
        "scale_usage",
        transcript(
            &stub,
            &[
                "scale",
                "scale users",
                "scale users=x",
                "scale users=++1",
                "scale users=-",
                "scale Users=1",
                "scale users=1 users=2"
            ]
        )
    );
    assert_eq!(stub.calls(), [""; 0]);
}

#[test]
fn held_operation_shows_its_condition() {
    let mut held = snapshot(0, &[], None);
    held.held_by =
        vec![condition(ConditionKind::Degraded, true, Reason::EngineUnavailable, "Docker is stopped")];
    let stub = changing(
        "POST /v1/rollout",
        Reply::lines(&[held, snapshot(0, &[], None), snapshot(2, &[], Some(OperationOutcome::Done))]),
    );
    insta::assert_snapshot!("held", transcript(&stub, &["rollout restart users"]));
}

#[test]
fn wait_reconnects_to_restarted_controller() {
    let first = Reply::lines(&[snapshot(1, &[("users-10-a", ReplicaPhase::Ready)], None)]);
    let stub = changing("POST /v1/rollout", Reply::Lost).on(
        PROGRESS,
        [first, Reply::Lost, Reply::Whole(200, "{\"half".to_owned()), ended(OperationOutcome::Done)],
    );
    let ran = run(&stub, "rollout restart users");
    assert_eq!(ran.exit, 0, "{}", ran.stderr);
    assert_eq!(stub.calls().iter().filter(|call| *call == PROGRESS).count(), 4);
}

#[test]
fn lost_answer_is_retried_once_with_same_request_id() {
    let answer = written(&[result("users", WriteAction::Changed)]);
    let stub = Stub::start().on("POST /v1/scale", [Reply::Lost, answer]);
    assert_eq!(run(&stub, "scale users=3 --detach").exit, 0);
    let sent = stub.bodies("POST /v1/scale");
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1]);
    assert_eq!(sent[0]["requestId"].as_str().map(str::len), Some(36));

    let stub = Stub::start().on("POST /v1/scale", [Reply::Lost]);
    let ran = run(&stub, "scale users=3");
    assert_eq!(ran.exit, 3);
    assert!(ran.stderr.starts_with("error[CTL-0103]"), "{}", ran.stderr);
    assert_eq!(stub.calls().len(), 2);
}

#[test]
fn table_rejected_by_balancer_ends_wait_with_reason() {
    let mut refused = snapshot(0, &[("users-10-a", ReplicaPhase::Ready)], None);
    let reason = "table 1.7: cannot write /var/lib/coxswain/balancer/table: No space left on device";
    refused.held_by = vec![condition(ConditionKind::Degraded, true, Reason::TableRefused, reason)];
    let stub = changing("POST /v1/rollout", Reply::silence_after(&[refused]));
    insta::assert_snapshot!("table_refused", transcript(&stub, &["rollout restart users --timeout 20s"]));
}

#[test]
fn ctrl_c_detaches_and_exits_130() {
    let starting = ReplicaPhase::Starting { cause: None };
    let waits = Reply::silence_after(&[snapshot(1, &[("users-10-a", starting)], None)]);
    let stub = changing("POST /v1/rollout", waits);
    let mut child = Command::new(env!("CARGO_BIN_EXE_ctl"))
        .args(["rollout", "restart", "users", "--timeout", "30s"])
        .env_clear()
        .envs([("LANG", "C.UTF-8"), ("CTL_SOCKET", &stub.socket().display().to_string())])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("users-10-a")));
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let last = lines.last().unwrap();
    assert_eq!(last, "detached: the operation on users continues; run `ctl rollout users` to follow it");
}

#[test]
fn rollout_and_rollout_status_show_a_rollout() {
    let mut rolling = service("users");
    rolling.metadata.generation = Generation(10);
    rolling.status.rollout =
        Some(rollout(10, Some(9), RolloutState::Failed { failure: failure(10), back_from: None }));
    (rolling.status.available, rolling.status.failed_requests) = (2, Some(3));
    let replicas = List::of(vec![replica("users-9-a", ReplicaPhase::Ready), replica("users-10-a", exited())]);
    let stub = changing("POST /v1/rollout", ended(OperationOutcome::Done))
        .on("GET /v1/services/users", [Reply::json(&rolling)])
        .on("GET /v1/replicas?service=users", [Reply::json(&replicas)])
        .on("GET /v1/services/none", [Reply::error(&codes::NOT_FOUND.error("no service is called `none`"))]);
    insta::assert_snapshot!(
        "rollout_follow",
        transcript(&stub, &["rollout users", "rollout status users", "rollout none", "rollout"])
    );
}

#[test]
fn service_deleted_during_rollout_exits_7() {
    let stub = changing("POST /v1/rollout", ended(OperationOutcome::Deleted));
    let ran = run(&stub, "rollout restart users");
    assert_eq!(ran.exit, 7);
    assert!(ran.stderr.contains("error[CTL-0414]: users was deleted"), "{}", ran.stderr);
}

#[test]
fn delete_asks_and_waits_until_deleted() {
    let gone = Reply::error(&codes::NOT_FOUND.error("no service is called `web`"));
    let leaving = Reply::lines(&[
        snapshot(0, &[("users-9-a", ReplicaPhase::Draining)], None),
        snapshot(0, &[("users-9-a", ReplicaPhase::Stopping)], None),
        snapshot(0, &[], Some(OperationOutcome::Deleted)),
    ]);
    let deleted = |names: &[&str]| {
        written(&names.iter().map(|name| result(name, WriteAction::Deleted)).collect::<Vec<_>>())
    };
    let mut web = service("web");
    web.metadata.app = "crm".into();
    let stub = Stub::start()
        .file(
            "app.yaml",
            "apiVersion: coxswain/v1\nkind: Service\nmetadata: {name: web}\nspec: {image: web}\n",
        )
        .on("GET /v1/services", [Reply::json(&List::of(vec![service("users"), web]))])
        .on("POST /v1/delete", [deleted(&["users"]), deleted(&["web"]), deleted(&["users"])])
        .on("GET /v1/services/web/progress?generation=10&awaited=deletion", [gone])
        .on(&format!("{PROGRESS}&awaited=deletion"), [leaving]);
    insta::assert_snapshot!(
        "delete",
        transcript(
            &stub,
            &[
                "delete users",
                "delete users service/users -y",
                "delete -f app.yaml -y",
                "delete -a shop -y --detach",
                "delete -a hr -y",
                "delete usres",
                "delete usres -y",
                "delete",
                "delete users -a shop",
            ]
        )
    );
    assert_eq!(stub.bodies("POST /v1/delete")[0]["objects"], serde_json::json!(["service/users"]));
}

#[test]
fn deleting_another_kind_leaves_the_service_of_its_name_and_waits_for_none() {
    let gadget = WrittenObject {
        object: "gadget/users".parse().unwrap(),
        image: None,
        ..result("users", WriteAction::Deleted)
    };
    let web = result("web", WriteAction::Deleted);
    let gone = Reply::error(&codes::NOT_FOUND.error("no service named web"));
    let stub = Stub::start()
        .on("GET /v1/services", [Reply::json(&List::of(vec![service("users"), service("web")]))])
        .on("POST /v1/delete", [written(std::slice::from_ref(&gadget)), written(&[web, gadget])])
        .on("GET /v1/services/web/progress?generation=10&awaited=deletion", [gone]);
    insta::assert_snapshot!(
        "delete_of_another_kind",
        transcript(&stub, &["delete gadget/users -y", "delete web gadget/users -y"])
    );
    let named: Vec<_> = stub.bodies("POST /v1/delete").iter().map(|body| body["objects"].clone()).collect();
    assert_eq!(
        named,
        [serde_json::json!(["gadget/users"]), serde_json::json!(["service/web", "gadget/users"])]
    );
    assert!(!stub.calls().iter().any(|call| call.contains("users/progress")), "{:?}", stub.calls());
}

#[test]
fn confirm_releases_held_removals() {
    let held = condition(
        ConditionKind::Degraded,
        true,
        Reason::DeletionHeld,
        "14 of 20 containers would be removed",
    );
    let status = DaemonStatus { conditions: vec![held], ..daemon() };
    let removed = vec!["users-9-a".to_owned(), "users-9-b".to_owned()];
    let confirmed = ConfirmResponse { removed, lost_volumes: BTreeSet::new() };
    let stub = Stub::start()
        .on("GET /v1/status", [Reply::json(&status), Reply::json(&status), Reply::json(&daemon())])
        .on("POST /v1/confirm", [Reply::json(&confirmed)]);
    insta::assert_snapshot!("confirm", transcript(&stub, &["confirm", "confirm -y", "confirm -y"]));
}
