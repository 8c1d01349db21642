//! Containers exit, vanish, or are stopped and paused by hand.

use super::quick;
use super::removal::REMOVE;
use super::rig::Rig;
use crate::engine::fake::{Behaviour, Runs};
use crate::model::{Millis, NotReadyCause, ReplicaHistory, ReplicaPhase};

/// A replica that has not served for `healthyFor` restarts after 0.2, 0.4, 0.8, 1.6 and 3.2 s, then every 5 s.
const CREATES_IN_A_MINUTE: usize = 14;

/// Of all containers, sorted.
fn names(rig: &Rig) -> Vec<String> {
    let mut names: Vec<String> = rig.engine.containers().into_iter().map(|c| c.name).collect();
    names.sort();
    names
}

#[tokio::test(start_paused = true)]
async fn crashed_replica_restarts_at_once() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    let first = rig.container("users-1-a");
    rig.engine.exit(&first.id, 3);
    rig.until("ready again", 1, |rig| rig.is_ready("users-1-a") && rig.running() == ["users-1-a.2"]).await;
    rig.until("its endpoint is withdrawn", 1, |rig| !rig.balancer.lock().unwrap().serves(first.id.as_str()))
        .await;
    let status = rig.status("users-1-a").unwrap();
    assert_eq!((status.attempt, status.failures, status.restart_count()), (2, 1, 1));
    let last = status.history.last_exit.unwrap();
    assert_eq!(last.cause, NotReadyCause::Exited { code: 3, was_healthy: true });
    assert_eq!(last.container, first.id);
    let address = rig.endpoint("users-1-a").unwrap().address;
    assert_ne!(Some(address), first.addresses.values().next().copied(), "it is free for others later");
    rig.engine.exit(&rig.container("users-1-a.2").id, 3);
    rig.until("ready again", 5, |rig| rig.is_ready("users-1-a") && rig.running() == ["users-1-a.3"]).await;
    rig.until("the last one that exited is kept", 1, |rig| names(rig) == ["users-1-a.2", "users-1-a.3"])
        .await;
    let rig = rig.restarted();
    rig.until("ready after a restart of the agent", 5, |rig| rig.is_ready("users-1-a")).await;
    rig.pass_time(60).await;
    assert_eq!(names(&rig), ["users-1-a.2", "users-1-a.3"]);
    rig.want("users-1-a", REMOVE).await;
    rig.until("both go with the replica", 60, |rig| rig.engine.containers().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn restarts_and_last_exit_survive_a_restart_of_the_agent() {
    let runs = Runs::Exits { after: Millis(500), code: 7 };
    let rig = Rig::new(Behaviour { runs, ..Behaviour::default() });
    rig.declare(&["users-1-a"], quick).await;
    rig.until("started twice again", 10, |rig| {
        rig.status("users-1-a").is_some_and(|status| status.restart_count() == 2)
            && matches!(rig.phase("users-1-a"), Some(ReplicaPhase::BackOff { .. }))
    })
    .await;
    let before = rig.status("users-1-a").unwrap();
    let last = before.history.last_exit.clone().unwrap();
    assert_eq!(Some(&last.container), before.container.as_ref());
    assert_eq!(before.history.failed_at.len(), 3);
    let rig = rig.restarted();
    rig.until("started once more", 10, |rig| {
        rig.status("users-1-a").is_some_and(|status| status.restart_count() == 3)
    })
    .await;
    let after = rig.status("users-1-a").unwrap();
    let once_more = ReplicaHistory { containers: 4, ..before.history };
    assert_eq!(after.history, once_more, "the exit is not seen as another one");
}

#[tokio::test(start_paused = true)]
async fn vanished_container_is_reported_as_missing_and_not_as_exited() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    rig.engine.exit(&rig.container("users-1-a").id, 3);
    rig.until("ready again", 1, |rig| rig.is_ready("users-1-a") && rig.running() == ["users-1-a.2"]).await;
    assert_eq!(rig.count_events("ContainerMissing"), 0);
    rig.engine.remove_by_hand(&rig.container("users-1-a.2").id);
    rig.until("ready again", 2, |rig| rig.is_ready("users-1-a") && rig.running() == ["users-1-a.3"]).await;
    assert_eq!((rig.count_events("ContainerMissing"), rig.count_events("ContainerExited")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn crash_looping_replica_restarts_with_growing_back_off() {
    let runs = Runs::Exits { after: Millis(500), code: 7 };
    let rig = Rig::new(Behaviour { runs, ..Behaviour::default() });
    rig.declare(&["users-1-a"], quick).await;
    rig.until("backing off", 3, |rig| {
        matches!(
            rig.phase("users-1-a"),
            Some(ReplicaPhase::BackOff { cause: NotReadyCause::Exited { code: 7, .. }, .. })
        )
    })
    .await;
    assert_eq!(rig.running(), Vec::<String>::new());
    assert_eq!(rig.engine.containers().len(), 1, "the last container stays for its log");
    rig.pass_time(58).await;
    assert_eq!(rig.guard.calls("create"), CREATES_IN_A_MINUTE);
    assert!(rig.status("users-1-a").unwrap().failures >= 13);
}

#[tokio::test(start_paused = true)]
async fn container_stopped_by_hand_is_replaced_and_paused_one_is_reported() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    rig.engine.kill_by_hand(&rig.container("users-1-a").id, "SIGTERM").unwrap();
    rig.until("replaced", 2, |rig| rig.is_ready("users-1-a") && rig.running() == ["users-1-a.2"]).await;
    let second = rig.container("users-1-a.2").id;
    rig.engine.pause_by_hand(&second);
    let paused = Some(ReplicaPhase::Unready { cause: NotReadyCause::ContainerPaused });
    rig.until("reported", 40, |rig| rig.phase("users-1-a") == paused).await;
    rig.pass_time(120).await;
    assert!(!rig.balancer.lock().unwrap().serves(second.as_str()));
    rig.engine.unpause_by_hand(&second);
    rig.until("ready again", 40, |rig| rig.is_ready("users-1-a")).await;
    assert_eq!(names(&rig), ["users-1-a", "users-1-a.2"], "the first is kept for its log");
}
