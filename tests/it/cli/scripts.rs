//! What scripts lean on: `ctl wait`, `ctl explain`, closed pipes.

use std::process::{Command, Stdio};

use coxswain::api::codes;
use coxswain::api::types::{List, ServiceObject};
use coxswain::model::{ConditionKind, Reason, RolloutState};

use super::objects::{condition, failure, progressing, rollout, service};
use super::stub::{Reply, Stub};
use super::transcript::{run, transcript};

const WATCH: &str = "GET /v1/services?watch=true";

fn state(change: impl FnOnce(&mut ServiceObject)) -> List<ServiceObject> {
    let mut service = service("users");
    change(&mut service);
    List::of(vec![service])
}

fn unready() -> List<ServiceObject> {
    state(|service| service.status.conditions.clear())
}

#[test]
fn wait_exits_with_result_of_condition() {
    let nothing = || List::of(Vec::new());
    let stale = state(|service| service.metadata.generation = service.metadata.generation.next());
    let rolling = state(|service| service.status.rollout = Some(rollout(10, Some(9), progressing())));
    let complete =
        state(|service| service.status.rollout = Some(rollout(10, Some(10), RolloutState::Complete)));
    let undone = RolloutState::RolledBack { failure: failure(10) };
    let undone = state(|service| service.status.rollout = Some(rollout(9, Some(9), undone)));
    let deleting = state(|service| {
        service.status.conditions = vec![condition(ConditionKind::Progressing, true, Reason::Deleting, "")];
    });
    let cases = [
        ("ready", vec![unready(), stale, state(|_| {})], 0),
        ("ready", vec![unready(), deleting], 1),
        ("ready", vec![unready(), nothing()], 1),
        ("ready", vec![nothing()], 2),
        ("revision=10", vec![rolling.clone(), complete.clone()], 0),
        ("revision=10", vec![rolling, undone], 1),
        ("revision=9", vec![complete], 1),
        ("deleted", vec![unready(), nothing()], 0),
        ("deleted", vec![nothing()], 0),
    ];
    for (index, (what, states, exit)) in cases.into_iter().enumerate() {
        let stub = Stub::start().on(WATCH, [Reply::lines(&states)]);
        let ran = run(&stub, &format!("wait users --for {what}"));
        assert_eq!(ran.exit, exit, "case {index}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn wait_outlives_a_restart_of_the_daemon() {
    let replies = [Reply::lines(&[unready()]), Reply::Lost, Reply::lines(&[state(|_| {})])];
    let stub = Stub::start().on(WATCH, replies);
    insta::assert_snapshot!("wait_reconnects", transcript(&stub, &["wait users --for ready"]));
}

#[test]
fn wait_for_an_earlier_revision_says_where_the_service_is() {
    for (status, expected) in [
        (rollout(10, Some(9), progressing()), "it is moving to revision 10"),
        (rollout(10, Some(10), RolloutState::Complete), "it is at revision 10"),
    ] {
        let moved = state(|service| service.status.rollout = Some(status));
        let stub = Stub::start().on(WATCH, [Reply::lines(&[moved])]);
        let ran = run(&stub, "wait users --for revision=9");
        assert_eq!(ran.exit, 1);
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
}

#[test]
fn wait_times_out_and_rejects_unknown_conditions() {
    let stub = Stub::start().on(WATCH, [Reply::silence_after(&[unready()])]);
    insta::assert_snapshot!(
        "wait",
        transcript(
            &stub,
            &["wait users --for ready --timeout 200ms", "wait users --for health", "wait users"]
        )
    );
    let stopped = Stub::start().on(WATCH, [Reply::Lost]);
    insta::assert_snapshot!("wait_unanswered", transcript(&stopped, &["wait users --for ready"]));
}

#[test]
fn explain_covers_every_error_code() {
    let stub = Stub::start();
    let explain: Vec<String> = codes::all().map(|code| format!("explain {}", code.id)).collect();
    let commands: Vec<&str> =
        explain.iter().map(String::as_str).chain(["explain 0412", "explain CTL-9999"]).collect();
    insta::assert_snapshot!("explain", transcript(&stub, &commands));
}

/// Fields: values, blocks, what is not there yet, what was meant.
#[test]
fn explain_covers_fields_and_suggests_similar_ones() {
    let commands = [
        "explain service",
        "explain service.spec.rollout",
        "explain service.spec.rollout.maxSurge",
        "explain spec.ports[0].protocol",
        "explain service.spec.env.LOG_LEVEL.field",
        "explain service.spec.preRollout",
        "explain route",
        "explain service.spec.rollout.maxsurge",
        "explain service.spec.args",
        "explain service.spec.restart",
        "explain rollout",
        "explain timeout",
        "explain servcie.spec",
        "explain zzz",
        "explain backoff",
        "explain RollingBack",
        "explain",
    ];
    insta::assert_snapshot!("fields", transcript(&Stub::start(), &commands));
}

#[test]
fn schema_and_completion_scripts_are_printed() {
    let stub = Stub::start();
    let ran = run(&stub, "schema");
    let printed: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.exit, printed), (0, coxswain::manifest::schema()));
    for (shell, word) in [("bash", "complete -F _ctl"), ("zsh", "#compdef ctl"), ("fish", "complete -c ctl")]
    {
        let ran = run(&stub, &format!("completion {shell}"));
        assert_eq!(ran.exit, 0, "{shell}: {}", ran.stderr);
        assert!(ran.stdout.contains(word) && ran.stdout.contains("network-pool"), "{shell}: {}", ran.stdout);
        assert!(!ran.stdout.contains("role"), "{shell} offers what the help hides: {}", ran.stdout);
    }
    assert_eq!(run(&stub, "completion tcsh").exit, 2);
}

#[test]
fn closed_stdout_is_no_error() {
    let services = (0..100).map(|n| service(&format!("s{n}"))).collect();
    let stub = Stub::start().on("GET /v1/services", [Reply::json(&List::of(services))]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_ctl"))
        .args(["get", "-o", "json"])
        .env_clear()
        .env("CTL_SOCKET", stub.socket())
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn store_snapshot_is_written_as_it_comes_and_half_of_one_is_removed() {
    let text = "line\n".repeat(100_000);
    let calls = [Reply::Whole(200, text.clone()), Reply::Lost];
    let stub = Stub::start().on("GET /v1/store/snapshot", calls);
    let ran = run(&stub, "store snapshot all.snapshot");
    assert_eq!((ran.exit, ran.stdout.as_str()), (0, "✓ all.snapshot: 500000 bytes\n"), "{}", ran.stderr);
    assert!(std::fs::read_to_string(stub.directory().join("all.snapshot")).unwrap() == text);
    assert_eq!(run(&stub, "store snapshot half.snapshot").exit, 3);
    let names = std::fs::read_dir(stub.directory()).unwrap().map(|entry| entry.unwrap().file_name());
    let snapshots = names.filter(|name| name.to_string_lossy().contains("snapshot"));
    assert_eq!(snapshots.collect::<Vec<_>>(), ["all.snapshot"]);
    assert_eq!(run(&stub, "store snapshot all.snapshot").exit, 2, "it is there");
}

#[test]
fn store_restore_does_not_read_a_file_that_is_too_large_for_a_snapshot() {
    let stub = Stub::start();
    let file = std::fs::File::create(stub.directory().join("disk.img")).unwrap();
    file.set_len((coxswain::api::types::SNAPSHOT_MAX_BYTES as u64) + 1).unwrap();
    let ran = run(&stub, "store restore disk.img -y");
    assert_eq!(ran.exit, 2);
    assert!(ran.stderr.contains("disk.img: it has more than 536870912 bytes"), "{}", ran.stderr);
    assert_eq!(stub.calls(), [""; 0]);
}
