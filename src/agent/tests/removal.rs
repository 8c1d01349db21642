//! A replica is removed: table without it, acknowledgement, drain, stop signal, kill.

use super::quick;
use super::rig::Rig;
use crate::engine::fake::{Behaviour, Mutation};
use crate::model::{Cause, Desired, Reason, ReplicaPhase};

pub(super) const REMOVE: Desired = Desired::Remove { cause: Cause::ScaledDown };

#[tokio::test(start_paused = true)]
async fn removal_waits_for_acknowledgement_then_drains_and_stops() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a", "users-1-b"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a") && rig.is_ready("users-1-b")).await;
    rig.balancer.lock().unwrap().in_flight = 1;
    rig.balancer.lock().unwrap().acknowledges = false;
    rig.want("users-1-a", REMOVE).await;
    rig.until("draining", 1, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Draining)).await;
    rig.pass_time(120).await;
    assert_eq!(rig.running().len(), 2, "time never replaces an acknowledgement");
    let conditions = rig.handle.state().borrow().conditions.clone();
    assert!(conditions.iter().any(|c| c.reason == Reason::BalancerUnacknowledged), "{conditions:?}");

    rig.balancer.lock().unwrap().acknowledges = true;
    let acknowledged = rig.seconds();
    rig.until("stopped after the drain time", 30, |rig| rig.running().len() == 1).await;
    assert!((19..=21).contains(&(rig.seconds() - acknowledged)), "in flight until the drain time ends");
    rig.until("gone", 2, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Gone)).await;
    assert_eq!(rig.endpoint("users-1-a"), None);
    assert!(rig.is_ready("users-1-b"));
    let stops: Vec<_> =
        rig.engine.journal().into_iter().filter(|m| matches!(m, Mutation::Kill { .. })).collect();
    assert!(matches!(&stops[..], [Mutation::Kill { signal, .. }] if signal == "SIGTERM"), "{stops:?}");
}

#[tokio::test(start_paused = true)]
async fn removal_without_requests_stops_at_once_and_kills_after_the_grace() {
    let rig = Rig::new(Behaviour::ignores_stop());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    rig.want("users-1-a", REMOVE).await;
    rig.until("stopping", 1, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Stopping)).await;
    let signalled = rig.seconds();
    rig.until("gone", 15, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Gone)).await;
    assert!((9..=11).contains(&(rig.seconds() - signalled)), "after the grace");
    rig.until("nothing is left", 40, |rig| rig.engine.containers().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn removal_waits_while_the_balancer_is_disconnected() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    rig.balancer.lock().unwrap().connected = false;
    rig.want("users-1-a", REMOVE).await;
    rig.pass_time(60).await;
    assert_eq!(rig.running(), ["users-1-a"]);
    assert_eq!(rig.count_events("BalancerUnacknowledged"), 1);
    rig.balancer.lock().unwrap().connected = true;
    rig.until("gone", 5, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Gone)).await;
}
