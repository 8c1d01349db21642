//! Outages of the event stream, the Engine and the agent itself.

use super::quick;
use super::removal::REMOVE;
use super::rig::Rig;
use crate::agent::EngineState;
use crate::engine::fake::Behaviour;
use crate::model::{EndpointState, Reason, ReplicaPhase};

#[tokio::test(start_paused = true)]
async fn agent_converges_without_events() {
    let rig = Rig::new(Behaviour::default());
    rig.engine.silence_events(true);
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    rig.engine.remove_by_hand(&rig.container("users-1-a").id);
    rig.until("ready again", 35, |rig| rig.is_ready("users-1-a") && rig.running() == ["users-1-a.2"]).await;
    rig.want("users-1-a", REMOVE).await;
    rig.until("gone", 70, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Gone)).await;
}

#[tokio::test(start_paused = true)]
async fn exit_during_a_broken_event_stream_is_found() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    rig.engine.silence_events(true);
    rig.engine.exit(&rig.container("users-1-a").id, 1);
    rig.engine.silence_events(false);
    rig.engine.break_events();
    rig.until("restarted", 3, |rig| rig.running() == ["users-1-a.2"]).await;
}

#[tokio::test(start_paused = true)]
async fn engine_outage_withdraws_no_endpoint_and_its_exits_do_not_count() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a", "users-1-b"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a") && rig.is_ready("users-1-b")).await;
    rig.engine.go_away();
    rig.until("noticed", 40, |rig| matches!(rig.handle.state().borrow().engine, EngineState::Unavailable(_)))
        .await;
    let conditions = rig.handle.state().borrow().conditions.clone();
    assert!(
        conditions.iter().any(|c| c.reason == Reason::EngineUnavailable && c.message.contains("not running"))
    );
    rig.want("users-1-b", REMOVE).await;
    rig.pass_time(300).await;
    assert_eq!(rig.endpoint("users-1-a").unwrap().state, EndpointState::Ready);
    let dead = rig.container("users-1-a");
    rig.engine.exit(&dead.id, 137);
    rig.pass_time(5).await;
    rig.engine.come_back();
    rig.until("restarted", 7, |rig| {
        rig.is_ready("users-1-a") && rig.running().contains(&"users-1-a.2".to_owned())
    })
    .await;
    assert_eq!(rig.status("users-1-a").unwrap().failures, 0);
    rig.until("removed", 5, |rig| rig.phase("users-1-b") == Some(ReplicaPhase::Gone)).await;
}

#[tokio::test(start_paused = true)]
async fn restarted_agent_adopts_running_containers_and_replaces_exited_ones() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a", "users-1-b"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a") && rig.is_ready("users-1-b")).await;
    let kept = rig.container("users-1-a");
    let dead = rig.container("users-1-b");
    let before = rig.status("users-1-a");
    let created = rig.guard.calls("create");
    rig.handle.wake();
    let rig = rig.restarted();
    rig.engine.exit(&dead.id, 0);
    rig.until("open", 5, |rig| rig.handle.state().borrow().open).await;
    rig.until("ready", 5, |rig| rig.running() == ["users-1-a", "users-1-b.2"] && rig.is_ready("users-1-b"))
        .await;
    assert_eq!(rig.container("users-1-a").id, kept.id);
    assert_eq!(
        rig.status("users-1-a"),
        before,
        "the status of a container that kept running is not written again"
    );
    assert_eq!(rig.status("users-1-b").unwrap().failures, 0);
    assert_eq!(created, 2, "before the restart");
    assert_eq!(rig.guard.calls("create"), 1, "after the restart");
}

#[tokio::test(start_paused = true)]
async fn restarted_agent_publishes_only_after_it_has_listed_containers() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    rig.engine.go_away();
    let rig = rig.restarted();
    rig.pass_time(60).await;
    assert!(!rig.handle.state().borrow().open);
    assert!(rig.endpoint("users-1-a").is_some());
    let gone = rig.container("users-1-a").id;
    rig.engine.remove_by_hand(&gone);
    rig.engine.come_back();
    rig.until("open", 6, |rig| rig.handle.state().borrow().open).await;
    assert!(!rig.balancer.lock().unwrap().serves(gone.as_str()));
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a") && rig.running() == ["users-1-a.2"]).await;
}
