//! The diagnosis of an unhealthy replica, and its retained container.

use super::quick;
use super::removal::REMOVE;
use super::rig::Rig;
use crate::engine::fake::{Behaviour, Runs};
use crate::engine::{ContainerState, LogLine};
use crate::model::{
    Cause, Desired, Diagnosis, FailedProbe, ListeningSocket, Millis, NotReadyCause, ProbeAnswer, ReplicaPhase,
};

const RETAIN: Desired = Desired::Retain { cause: Cause::RolledBack };

fn diagnosis(rig: &Rig) -> Option<Diagnosis> {
    rig.status("users-1-a").and_then(|status| status.diagnosis)
}

fn times(rig: &Rig) -> u32 {
    diagnosis(rig).map_or(0, |diagnosis| diagnosis.evidence.times)
}

/// An agent whose replica exits half a second after each start.
async fn crashing() -> Rig {
    let runs = Runs::Exits { after: Millis(500), code: 7 };
    let rig = Rig::new(Behaviour { runs, ..Behaviour::never_healthy() });
    rig.declare(&["users-1-a"], quick).await;
    rig
}

#[tokio::test(start_paused = true)]
async fn diagnosis_of_a_crash_loop_has_count_and_log() {
    let rig = crashing().await;
    let line = |text: &str| LogLine { at: None, stderr: true, text: text.to_owned() };
    rig.until("the first runs", 2, |rig| rig.running() == ["users-1-a"]).await;
    for n in 0..30 {
        rig.engine.write_log(&rig.container("users-1-a").id, line(&format!("line {n} \u{1b}[0m")));
    }
    rig.until("one crash is diagnosed", 2, |rig| times(rig) == 1).await;
    let first = diagnosis(&rig).unwrap();
    assert_eq!(first.cause, NotReadyCause::Exited { code: 7, was_healthy: false });
    assert_eq!(first.evidence.log.len(), 10);
    assert_eq!(first.evidence.log[9], "line 29", "the last lines, without escape sequences");
    rig.until("three crashes are counted", 10, |rig| times(rig) == 3).await;
    let third = diagnosis(&rig).unwrap();
    assert_eq!(rig.status("users-1-a").unwrap().failures, 3);
    assert!(
        (2_000..3_600).contains(&third.evidence.within.0),
        "three runs and 0.6 s of waiting: {}",
        third.evidence.within
    );
    rig.until("a fourth", 10, |rig| rig.status("users-1-a").unwrap().failures == 4).await;
    rig.until("it is counted with the three before it", 2, |rig| times(rig) == 4).await;
}

/// What a verdict rests on is stored: a controller that is killed every few seconds does not begin again.
#[tokio::test(start_paused = true)]
async fn trial_and_failures_continue_over_restarts() {
    let mut rig = crashing().await;
    let mut before = (0, Millis(0));
    for _ in 0..6 {
        rig.pass_time(4).await;
        rig = rig.restarted();
        let status = rig.status("users-1-a").unwrap();
        let now = (times(&rig), status.trial.total);
        assert!(now.0 >= before.0 && now.1 > before.1, "{now:?} after {before:?}");
        before = now;
    }
    assert!(before.0 >= 5 && before.1 >= Millis::secs(10), "{before:?}");
    rig.until("the whole of startWithin", 60, |rig| {
        rig.status("users-1-a").unwrap().trial.total == Millis::secs(60)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn start_within_ends_although_the_agent_restarts_every_few_seconds() {
    let mut rig = Rig::new(Behaviour::never_healthy());
    rig.declare(&["users-1-a"], |spec| spec.health.start_within = Millis::secs(20)).await;
    for _ in 0..12 {
        rig.pass_time(4).await;
        rig = rig.restarted();
    }
    assert!(rig.status("users-1-a").unwrap().failures >= 1, "{:?}", rig.status("users-1-a"));
}

#[tokio::test(start_paused = true)]
async fn diagnosis_distinguishes_out_of_memory_from_a_refused_start() {
    let rig = Rig::new(Behaviour::runs_out_of_memory(Millis(100)));
    let limited = |spec: &mut crate::model::ServiceSpec| spec.resources.memory = "32Mi".parse().ok();
    rig.declare(&["users-1-a"], limited).await;
    rig.until("diagnosed", 10, |rig| times(rig) == 3).await;
    assert_eq!(
        diagnosis(&rig).unwrap().cause,
        NotReadyCause::OutOfMemory { limit: "32Mi".parse().ok(), code: Some(137) }
    );

    let rig = Rig::new(Behaviour::cannot_start("exec: \"x\": executable file not found in $PATH"));
    rig.declare(&["users-1-a"], quick).await;
    rig.until("diagnosed", 10, |rig| times(rig) == 3).await;
    assert!(
        matches!(diagnosis(&rig).unwrap().cause, NotReadyCause::CannotStart { message } if message.contains("not found"))
    );
}

#[tokio::test(start_paused = true)]
async fn diagnosis_of_a_failing_probe_names_listening_ports_and_then_start_within() {
    let listener = ListeningSocket { address: [0, 0, 0, 0].into(), port: 3000 };
    let rig = Rig::new(Behaviour::listens_on(vec![listener]));
    rig.declare(&["users-1-a"], |spec| spec.health.start_within = Millis::secs(20)).await;
    let answer = ProbeAnswer::Refused { port: 8080 };
    let seen = |start_within| NotReadyCause::Unhealthy {
        probe: FailedProbe { message: "refused".into(), answer: answer.clone() },
        start_within,
    };
    let found = |rig: &Rig, cause| {
        diagnosis(rig).is_some_and(|t| t.cause == cause && t.evidence.listening == Some(vec![listener]))
    };
    rig.until("its ports are named", 3, |rig| found(rig, seen(None))).await;
    assert_eq!(rig.status("users-1-a").unwrap().failures, 0);
    let late = seen(Some(Millis::secs(20)));
    rig.until("startWithin has passed", 25, |rig| found(rig, late.clone())).await;
    assert_eq!(rig.status("users-1-a").unwrap().failures, 1);
}

#[tokio::test(start_paused = true)]
async fn retained_container_stays_stopped_over_a_restart_until_it_is_removed() {
    let rig = crashing().await;
    rig.until("it crashed", 10, |rig| times(rig) == 3).await;
    rig.want("users-1-a", RETAIN).await;
    rig.until("retained", 5, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Retained)).await;
    let all = rig.engine.containers();
    assert!(
        matches!(all.as_slice(), [one] if matches!(one.state, ContainerState::Exited { code: 7, .. })),
        "{all:?}"
    );
    rig.pass_time(120).await;
    let rig = rig.restarted();
    rig.pass_time(120).await;
    assert_eq!((rig.engine.containers(), rig.phase("users-1-a")), (all, Some(ReplicaPhase::Retained)));
    rig.want("users-1-a", REMOVE).await;
    rig.until("gone", 5, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Gone)).await;
    rig.until("nothing is left", 5, |rig| rig.engine.containers().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn running_container_is_stopped_when_retained_and_again_if_started_by_hand() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    rig.want("users-1-a", RETAIN).await;
    rig.until("retained", 25, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Retained)).await;
    assert_eq!((rig.running(), rig.endpoint("users-1-a")), (Vec::new(), None));
    let retained = rig.container("users-1-a");
    rig.engine.start_by_hand(&retained.id).unwrap();
    rig.until("stopped again", 40, |rig| {
        rig.running().is_empty() && rig.phase("users-1-a") == Some(ReplicaPhase::Retained)
    })
    .await;
    rig.engine.remove_by_hand(&retained.id);
    rig.until("nothing is left to retain", 40, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Gone))
        .await;
}

#[tokio::test(start_paused = true)]
async fn requested_stop_is_no_failure() {
    let rig = Rig::new(Behaviour::stops_after(Millis(1_500)));
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    rig.want("users-1-a", REMOVE).await;
    rig.until("gone", 30, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Gone)).await;
    let status = rig.status("users-1-a").unwrap();
    assert_eq!((status.failures, status.diagnosis), (0, None));
}
