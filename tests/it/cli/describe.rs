//! `ctl describe` and `ctl why`.

use coxswain::api::types::{
    FieldOverride, List, ObjectAuthor, ReplicaObject, RevisionObject, RolloutDeadline, RolloutStatus,
    ServiceObject,
};
use coxswain::model::{
    ConditionKind, EventKind, EventReason, Millis, Reason, ReplicaPhase, RevisionNumber, RevisionOutcome,
    RolloutState,
};

use super::objects::{
    condition, crashed_often, daemon, endpoint, event, exited, failure, minutes_ago, progressing, replica,
    revision, rollout, service, unhealthy,
};
use super::stub::{Reply, Stub};
use super::transcript::transcript;

fn stub(service: ServiceObject, phases: &[(&str, ReplicaPhase)]) -> Stub {
    stub_after(8, service, phases)
}

/// Revision 9 runs, and this one has failed.
fn stub_after(failed: u64, service: ServiceObject, phases: &[(&str, ReplicaPhase)]) -> Stub {
    let rolled_back = RevisionOutcome::RolledBack { failure: failure(failed) };
    let mut kept = vec![revision(failed, "v2", Some(rolled_back)), revision(9, "v1", None)];
    kept.sort_by_key(|object| object.status.number);
    let replicas = phases.iter().map(|(name, phase)| replica(name, phase.clone())).collect();
    stub_of(service, replicas, kept)
}

fn stub_of(service: ServiceObject, replicas: Vec<ReplicaObject>, kept: Vec<RevisionObject>) -> Stub {
    Stub::start()
        .on("GET /v1/services", [Reply::json(&List::of(vec![service.clone()]))])
        .on("GET /v1/services/users", [Reply::json(&service)])
        .on("GET /v1/replicas?service=users", [Reply::json(&List::of(replicas))])
        .on("GET /v1/endpoints?service=users", [Reply::json(&List::of(vec![endpoint()]))])
        .on("GET /v1/revisions?service=users", [Reply::json(&List::of(kept))])
        .on(
            "GET /v1/events?service=users&follow=false",
            [Reply::lines(&[event(EventKind::Warning, EventReason::ContainerExited, "exited with code 1")])],
        )
        .on("GET /v1/status", [Reply::json(&daemon())])
}

fn overridden() -> ServiceObject {
    let mut service = service("users");
    service.spec.env.clear();
    service.status.overrides = vec![FieldOverride {
        field: "spec.replicas".to_owned(),
        old: Some(2.into()),
        new: Some(3.into()),
        by: ObjectAuthor { command: "scale users=3".to_owned(), user: "ann".to_owned() },
        at: minutes_ago(4),
    }];
    service
}

#[test]
fn describe_shows_all_of_a_service() {
    let phases = [("users-9-a", ReplicaPhase::Ready), ("users-9-b", ReplicaPhase::Ready)];
    let mut waits = overridden();
    waits.status.waits = vec!["users-9-b must stay healthy for another 8s".to_owned()];
    let stub = stub(waits, &phases);
    // Its events are of a fixed day: their age is not.
    let shown = transcript(&stub, &["describe users", "describe usres", "describe"]);
    let shown: Vec<String> = shown.lines().map(settled).collect();
    insta::assert_snapshot!("describe", shown.join("\n"));
}

/// The line of an event without its age.
fn settled(line: &str) -> String {
    match line.split_once("d ago") {
        Some((_, rest)) if line.contains("Exited") => format!("1│  [some]d ago{rest}"),
        _ => line.to_owned(),
    }
}

#[test]
fn why_shows_blockers_and_next_steps() {
    let sound = stub(overridden(), &[("users-9-a", ReplicaPhase::Ready)]);
    let mut rolling = overridden();
    rolling.status.available = 1;
    rolling.status.waits = vec!["users-9-a must stay healthy for another 8s".to_owned()];
    let deadline = RolloutDeadline {
        remaining: Millis(0),
        replica: Some("users-9-b".into()),
        rolls_back_to: Some(RevisionNumber(7)),
    };
    rolling.status.rollout =
        Some(RolloutStatus { deadline: Some(deadline), ..rollout(9, Some(7), progressing()) });
    rolling.status.conditions = vec![
        condition(ConditionKind::Ready, false, Reason::TooFewAvailable, "1 of 3 replicas are available"),
        condition(ConditionKind::Progressing, true, Reason::RollingOut, "1 of 3 replicas are available"),
    ];
    let phases = [
        ("users-9-a", ReplicaPhase::Ready),
        ("users-9-b", ReplicaPhase::Starting { cause: Some(unhealthy()) }),
        ("users-9-c", exited()),
    ];
    let rolling = stub(rolling, &phases);
    let mut back = overridden();
    let state = RolloutState::RolledBack { failure: failure(10) };
    back.status.rollout = Some(rollout(9, Some(9), state));
    let back = stub_after(10, back, &[("users-9-a", ReplicaPhase::Ready)]);
    let mut going = overridden();
    going.status.conditions = vec![condition(
        ConditionKind::Progressing,
        true,
        Reason::Deleting,
        "its replicas are drained and removed",
    )];
    let going = stub(going, &[("users-9-a", ReplicaPhase::Draining), ("users-9-b", ReplicaPhase::Stopping)]);
    let printed = [&sound, &rolling, &back, &going].map(|stub| transcript(stub, &["why users"]));
    insta::assert_snapshot!("why", printed.join("\n"));
    insta::assert_snapshot!("why_unknown", transcript(&sound, &["why usres"]));
}

#[test]
fn describe_and_why_show_restarts_and_last_exits() {
    let replicas =
        vec![crashed_often("users-9-a", ReplicaPhase::Ready), replica("users-9-b", ReplicaPhase::Ready)];
    let stub = stub_of(service("users"), replicas, vec![revision(9, "v1", None)]);
    let exit = "users-9-a: exited with code 139 (SIGSEGV) 12m ago, restarted 5 times";
    let described = transcript(&stub, &["describe users"]);
    assert!(described.contains(&format!("last exits\n1│  {exit}\n")), "{described}");
    assert!(described.contains(" 5 (12m ago) "), "{described}");
    let why = transcript(&stub, &["why users"]);
    assert!(why.contains(&format!("exits    {exit}")), "{why}");
}

#[test]
fn why_of_a_service_that_serves_in_between_says_that_it_is_unstable() {
    for (reason, state) in [
        (Reason::CrashLooping, "users is crash-looping: 3/3 replicas available, revision 9"),
        (Reason::ReadinessFlapping, "users has flapping readiness: 3/3 replicas available, revision 9"),
    ] {
        let mut unstable = service("users");
        unstable.status.conditions.push(condition(ConditionKind::Degraded, true, reason, "users-9-a: so"));
        let why = transcript(&stub(unstable, &[("users-9-a", ReplicaPhase::Ready)]), &["why users"]);
        assert!(why.contains(&format!("! {state}")), "{why}");
        assert!(why.contains(&format!("now      {reason}  users-9-a: so")), "{why}");
    }
}

#[test]
fn why_names_old_containers_that_are_still_stopping() {
    let phases = [("users-9-a", ReplicaPhase::Ready), ("users-8-a", ReplicaPhase::Stopping)];
    let shown = transcript(&stub(overridden(), &phases), &["why users"]);
    assert!(shown.contains("users is out of sync: 3/3 replicas available, revision 9"), "{shown}");
    assert!(shown.contains("waits    users-8-a stopping for "), "{shown}");
}
