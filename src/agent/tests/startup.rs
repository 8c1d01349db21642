//! Replicas become ready, or report why they do not.

use super::quick;
use super::removal::REMOVE;
use super::rig::Rig;
use crate::agent::{EngineState, MAX_STARTS};
use crate::engine::fake::Behaviour;
use crate::model::{EndpointState, Health, HealthCheck, Millis, NotReadyCause, ReplicaPhase};

/// A replica is created, started and inspected once each.
const CALLS_PER_REPLICA: usize = 1;
/// Lists of all containers while replicas start: the first pass and its repetitions after events.
const LIST_BUDGET: usize = 3;
/// A container that cannot start is tried after 0.2, 0.4, 0.8, 1.6 and 3.2 s, then every 5 s: in a minute at least and at most so
/// often.
const CREATES_IN_A_MINUTE: std::ops::RangeInclusive<usize> = 12..=18;

#[tokio::test(start_paused = true)]
async fn agent_starts_twenty_replicas_within_its_call_budget() {
    let rig = Rig::new(Behaviour::default());
    let names: Vec<String> = (0..20).map(|n| format!("users-1-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    rig.declare(&names, quick).await;
    rig.until("all ready", 5, |rig| names.iter().all(|name| rig.is_ready(name))).await;
    for call in ["create", "start", "inspect"] {
        assert_eq!(rig.guard.calls(call), names.len() * CALLS_PER_REPLICA, "{call}");
    }
    assert_eq!(rig.guard.calls("image"), 1, "of all replicas");
    assert_eq!(rig.guard.calls("create_network"), 1, "of all replicas");
    assert!(rig.guard.calls("list") <= LIST_BUDGET);
    assert_eq!(rig.guard.most_creates(), MAX_STARTS);
    let endpoint = rig.endpoint("users-1-0").unwrap();
    assert_eq!((endpoint.state, endpoint.ports["http"]), (EndpointState::Ready, 8080));
    rig.until("the image is protected", 60, |rig| rig.guard.calls("tag") == 1).await;
    let state = rig.handle.state().borrow().clone();
    assert_eq!((state.containers, state.open), (20, true));
    assert!(matches!(state.engine, EngineState::Available(_)));
}

#[tokio::test(start_paused = true)]
async fn status_shows_a_failing_health_check_at_once() {
    let rig = Rig::new(Behaviour::never_healthy());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("the reason", 2, |rig| {
        let phase = rig.phase("users-1-a");
        phase.as_ref().and_then(ReplicaPhase::cause).is_some_and(|cause| cause.to_string() == "refused")
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn replica_not_ready_in_time_is_replaced_and_later_unready_one_is_not() {
    let rig = Rig::new(Behaviour::never_healthy());
    rig.declare(&["users-1-a"], |spec| spec.health.start_within = Millis::secs(5)).await;
    rig.until("replaced", 10, |rig| rig.running() == ["users-1-a.2"]).await;
    rig.until("counted", 1, |rig| rig.status("users-1-a").unwrap().failures == 1).await;
    let last = rig.status("users-1-a").unwrap().history.last_exit.unwrap();
    assert!(matches!(last.cause, NotReadyCause::Unhealthy { start_within: Some(_), .. }), "{last:?}");
    let counts = |rig: &Rig| {
        let history = rig.status("users-1-a").unwrap().history;
        (history.failed_at.len(), history.unready_at.len())
    };
    assert_eq!(counts(&rig), (1, 0));
    rig.engine.set_behaviour(&rig.container("users-1-a.2").id, Behaviour::default());
    rig.until("ready", 2, |rig| rig.is_ready("users-1-a")).await;
    rig.engine.set_behaviour(&rig.container("users-1-a.2").id, Behaviour::never_healthy());
    rig.until("unready", 2, |rig| rig.endpoint("users-1-a").unwrap().state == EndpointState::Unready).await;
    rig.until("noted", 2, |rig| counts(rig) == (1, 1)).await;
    rig.pass_time(600).await;
    assert_eq!(rig.running(), ["users-1-a.2"]);
    rig.engine.set_behaviour(&rig.container("users-1-a.2").id, Behaviour::default());
    rig.until("ready again", 2, |rig| rig.is_ready("users-1-a")).await;
}

#[tokio::test(start_paused = true)]
async fn replica_without_port_or_check_is_ready_once_it_runs() {
    let rig = Rig::new(Behaviour::never_healthy());
    rig.declare(&["users-1-a"], |spec| spec.health = Health::with(HealthCheck::None(true))).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a") && rig.endpoint("users-1-a").is_some()).await;
    let rig = Rig::new(Behaviour::never_healthy());
    rig.declare(&["users-1-a"], |spec| {
        spec.ports.clear();
        spec.health = Health::default_for(false);
    })
    .await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    assert_eq!(rig.endpoint("users-1-a"), None);
    rig.want("users-1-a", REMOVE).await;
    rig.until("gone", 5, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Gone)).await;
}

#[tokio::test(start_paused = true)]
async fn container_that_cannot_start_is_reported_and_retried() {
    let rig = Rig::new(Behaviour::cannot_start("exec: \"serve\": not found"));
    rig.declare(&["users-1-a"], quick).await;
    rig.until("backing off", 5, |rig| {
        matches!(rig.phase("users-1-a"), Some(ReplicaPhase::BackOff { cause: NotReadyCause::CannotStart { message }, .. }) if message.contains("serve"))
    })
    .await;
    rig.pass_time(60).await;
    let created = rig.guard.calls("create");
    assert!(CREATES_IN_A_MINUTE.contains(&created), "{created}");
    assert_eq!(rig.engine.containers().len(), 1);
}
