//! The whole agent over the fake engine: each test is a story, told by what the store and the engine show.

mod diagnosis;
mod fakes;
mod guard;
mod outages;
mod resources;
mod rig;

use rig::Rig;

use super::{EngineState, check_instance};
use crate::engine::fake::{Behaviour, Call, Mutation, Runs};
use crate::engine::{ContainerState, Engine, EngineError, LABEL_STORE};
use crate::model::{
    Cause, Desired, EndpointState, Health, HealthCheck, Millis, NotReadyCause, Reason, ReplicaPhase,
};
use crate::store::Store;

const REMOVE: Desired = Desired::Remove { cause: Cause::ScaledDown };

fn quick(spec: &mut crate::model::ServiceSpec) {
    spec.rollout.drain = Millis::secs(20);
    spec.stop.grace = Millis::secs(10);
}

#[tokio::test(start_paused = true)]
async fn twenty_replicas_get_ready_with_no_call_too_many() {
    let rig = Rig::new(Behaviour::default());
    let names: Vec<String> = (0..20).map(|n| format!("users-1-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    rig.declare(&names, quick).await;
    rig.until("all ready", 5, |rig| names.iter().all(|name| rig.is_ready(name))).await;
    for call in ["create", "start", "inspect"] {
        assert_eq!(rig.guard.calls(call), 20, "{call}");
    }
    assert_eq!((rig.guard.calls("image"), rig.guard.calls("create_network")), (1, 1));
    assert!(rig.guard.calls("list") <= 3);
    assert_eq!(rig.guard.most_creates(), super::MAX_STARTS);
    let endpoint = rig.endpoint("users-1-0").unwrap();
    assert_eq!((endpoint.state, endpoint.ports["http"]), (EndpointState::Ready, 8080));
    rig.until("the image is protected", 60, |rig| rig.guard.calls("tag") == 1).await;
    let state = rig.handle.state().borrow().clone();
    assert_eq!((state.containers, state.open), (20, true));
    assert!(matches!(state.engine, EngineState::Available(_)));
}

#[tokio::test(start_paused = true)]
async fn the_first_reason_why_it_is_not_ready_is_told_at_once() {
    let rig = Rig::new(Behaviour::never_healthy());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("the reason", 2, |rig| {
        let phase = rig.phase("users-1-a");
        phase.as_ref().and_then(ReplicaPhase::cause).is_some_and(|cause| cause.to_string() == "refused")
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_is_restarted_at_once() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    let first = rig.container("users-1-a");
    rig.engine.exit(&first.id, 3);
    rig.until("ready again", 1, |rig| rig.is_ready("users-1-a") && rig.running() == ["users-1-a.2"]).await;
    rig.until("routed", 1, |rig| !rig.balancer.lock().unwrap().serves(first.id.as_str())).await;
    let status = rig.status("users-1-a").unwrap();
    assert_eq!((status.attempt, status.failures), (2, 1));
    rig.until("the dead one is removed", 1, |rig| rig.engine.containers().len() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_vanished_is_told_from_one_that_ended() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    rig.engine.exit(&rig.container("users-1-a").id, 3);
    rig.until("ready again", 1, |rig| rig.is_ready("users-1-a") && rig.running() == ["users-1-a.2"]).await;
    assert_eq!(rig.told("ContainerMissing"), 0);
    rig.engine.remove_by_hand(&rig.container("users-1-a.2").id);
    rig.until("ready again", 2, |rig| rig.is_ready("users-1-a") && rig.running() == ["users-1-a.3"]).await;
    assert_eq!((rig.told("ContainerMissing"), rig.told("ContainerExited")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_waits_ever_longer() {
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
    assert_eq!(rig.engine.containers().len(), 1, "the last one's log is kept");
    rig.pass_time(58).await;
    assert_eq!(rig.guard.calls("create"), 7, "after 0, 1, 2, 4, 8, 16 s");
    assert_eq!(rig.status("users-1-a").unwrap().failures, 7);
}

#[tokio::test(start_paused = true)]
async fn a_container_is_stopped_only_after_the_balancer_let_it_go() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a", "users-1-b"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a") && rig.is_ready("users-1-b")).await;
    rig.balancer.lock().unwrap().in_flight = 1;
    rig.balancer.lock().unwrap().acknowledges = false;
    rig.want("users-1-a", REMOVE).await;
    rig.until("draining", 1, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Draining)).await;
    rig.pass_time(120).await;
    assert_eq!(rig.running().len(), 2, "time never replaces an acknowledgement");
    let told =
        rig.handle.state().borrow().conditions.iter().any(|c| c.reason == Reason::BalancerUnacknowledged);
    assert!(told);

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
async fn without_requests_in_flight_nothing_waits_and_a_deaf_one_is_killed() {
    let rig = Rig::new(Behaviour::ignores_stop());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    rig.want("users-1-a", REMOVE).await;
    rig.until("stopping", 1, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Stopping)).await;
    let told = rig.seconds();
    rig.until("gone", 15, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Gone)).await;
    assert!((9..=11).contains(&(rig.seconds() - told)), "after the grace");
    rig.until("nothing is left", 40, |rig| rig.engine.containers().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_balancer_holds_every_stop() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    rig.balancer.lock().unwrap().connected = false;
    rig.want("users-1-a", REMOVE).await;
    rig.pass_time(60).await;
    assert_eq!(rig.running(), ["users-1-a"]);
    assert_eq!(rig.told("BalancerUnacknowledged"), 1);
    rig.balancer.lock().unwrap().connected = true;
    rig.until("gone", 5, |rig| rig.phase("users-1-a") == Some(ReplicaPhase::Gone)).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_makes_no_second_container() {
    for call in [Call::Create, Call::Start] {
        let rig = Rig::new(Behaviour::default());
        rig.engine.lose_answer(call);
        rig.declare(&["users-1-a"], quick).await;
        rig.until("ready", 10, |rig| rig.is_ready("users-1-a")).await;
        assert_eq!(rig.engine.containers().len(), 1, "{call:?}");
        assert_eq!(rig.status("users-1-a").unwrap().attempt, 1, "{call:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_container_that_was_removed_before_anybody_saw_it_has_used_its_name() {
    let rig = Rig::new(Behaviour::default());
    rig.pass_time(1).await;
    for call in [Call::Inspect, Call::List] {
        let fault = || EngineError::Failed { call: call.name(), status: 500, message: "a fault".to_owned() };
        (0..100).for_each(|_| rig.engine.fail_next(call, fault()));
    }
    rig.declare(&["users-1-a"], quick).await;
    rig.until("made", 2, |rig| !rig.engine.containers().is_empty()).await;
    rig.engine.remove_by_hand(&rig.engine.containers()[0].id);
    rig.engine.clear_faults();
    rig.until("ready", 40, |rig| rig.is_ready("users-1-a")).await;
    assert_eq!(rig.running(), ["users-1-a.2"]);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_somebody_else_has_is_left_to_him() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-z"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-z")).await;
    let mut spec = rig.engine.spec(&rig.container("users-1-z").id).unwrap();
    spec.name = "users-1-a".to_owned();
    spec.address = "10.209.0.250".parse().unwrap();
    spec.labels.clear();
    rig.engine.create_by_hand(&spec).unwrap();
    rig.want("users-1-a", Desired::Run).await;
    rig.until("ready under another name", 5, |rig| rig.is_ready("users-1-a")).await;
    assert_eq!(rig.running(), ["users-1-a.2", "users-1-z"]);
}

#[tokio::test(start_paused = true)]
async fn orphans_go_but_not_all_at_once() {
    let rig = Rig::new(Behaviour::default());
    let names: Vec<String> = (0..6).map(|n| format!("users-1-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    rig.declare(&names, quick).await;
    rig.until("ready", 5, |rig| names.iter().all(|name| rig.is_ready(name))).await;
    rig.forget("users-1-0").await;
    rig.until("one orphan goes", 5, |rig| rig.running().len() == 5).await;
    for name in &names[1..5] {
        rig.forget(name).await;
    }
    rig.until("held", 40, |rig| rig.handle.state().borrow().held.len() == 4).await;
    rig.pass_time(300).await;
    assert_eq!(rig.running().len(), 5);
    assert!(rig.handle.state().borrow().conditions.iter().any(|c| c.reason == Reason::DeletionHeld));
    let mut released = rig.handle.confirm().await.unwrap();
    released.sort();
    assert_eq!(released, names[1..5]);
    rig.until("they go", 5, |rig| rig.running() == ["users-1-5"]).await;
    assert!(rig.handle.state().borrow().held.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ours_is_left_alone() {
    let rig = Rig::new(Behaviour::default());
    rig.declare(&["users-1-a"], quick).await;
    rig.until("ready", 5, |rig| rig.is_ready("users-1-a")).await;
    let mut spec = rig.engine.spec(&rig.container("users-1-a").id).unwrap();
    spec.name = "theirs".to_owned();
    spec.address = "10.209.0.250".parse().unwrap();
    spec.labels.insert(LABEL_STORE.to_owned(), "another-store".to_owned());
    let theirs = rig.engine.create_by_hand(&spec).unwrap();
    rig.engine.start_by_hand(&theirs).unwrap();
    rig.pass_time(65).await;
    assert_eq!(rig.running(), ["theirs", "users-1-a"]);
    rig.engine.exit(&theirs, 1);
    rig.pass_time(65).await;
    assert_eq!(rig.container("theirs").state, ContainerState::Exited { code: 1, oom_killed: false });
    let foreign =
        check_instance(&rig.engine as &dyn Engine, "harbour:/var/lib/coxswain", &rig.store.identity().id)
            .await;
    assert_eq!(foreign.unwrap(), ["theirs"]);
}

#[tokio::test(start_paused = true)]
async fn by_hand_stopped_is_replaced_and_paused_is_reported() {
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
    assert_eq!(rig.engine.containers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn not_ready_in_time_is_replaced_and_unready_is_not() {
    let rig = Rig::new(Behaviour::never_healthy());
    rig.declare(&["users-1-a"], |spec| spec.health.start_within = Millis::secs(5)).await;
    rig.until("replaced", 10, |rig| rig.running() == ["users-1-a.2"]).await;
    rig.until("counted", 1, |rig| rig.status("users-1-a").unwrap().failures == 1).await;
    rig.engine.set_behaviour(&rig.container("users-1-a.2").id, Behaviour::default());
    rig.until("ready", 2, |rig| rig.is_ready("users-1-a")).await;
    rig.engine.set_behaviour(&rig.container("users-1-a.2").id, Behaviour::never_healthy());
    rig.until("unready", 2, |rig| rig.endpoint("users-1-a").unwrap().state == EndpointState::Unready).await;
    rig.pass_time(600).await;
    assert_eq!(rig.running(), ["users-1-a.2"]);
    rig.engine.set_behaviour(&rig.container("users-1-a.2").id, Behaviour::default());
    rig.until("ready again", 2, |rig| rig.is_ready("users-1-a")).await;
}

#[tokio::test(start_paused = true)]
async fn without_port_or_check_running_is_ready() {
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
async fn a_container_that_cannot_start_says_why_and_is_tried_again() {
    let rig = Rig::new(Behaviour::cannot_start("exec: \"serve\": not found"));
    rig.declare(&["users-1-a"], quick).await;
    rig.until("backing off", 5, |rig| {
        matches!(rig.phase("users-1-a"), Some(ReplicaPhase::BackOff { cause: NotReadyCause::CannotStart { message }, .. }) if message.contains("serve"))
    })
    .await;
    rig.pass_time(60).await;
    let made = rig.guard.calls("create");
    assert!((5..=8).contains(&made), "1, 1, 2, 4, 8, 16, 32 s: {made}");
    assert_eq!(rig.engine.containers().len(), 1);
}

/// Seeded worlds with faults of every kind: the guard says what must never happen, and once the faults stop everything
/// that is wanted runs and nothing else.
#[tokio::test(start_paused = true)]
async fn random_worlds_stay_sound_and_converge() {
    for seed in 0..24 {
        let mut random = fastrand::Rng::with_seed(seed);
        let rig = Rig::new(Behaviour::default());
        let names: Vec<String> = (0..5).map(|n| format!("users-1-{n}")).collect();
        let mut removed = std::collections::BTreeSet::new();
        rig.declare(&names.iter().map(String::as_str).collect::<Vec<_>>(), quick).await;
        rig.disturb_calls(seed);
        for _ in 0..40 {
            let name = random.choice(&names).unwrap();
            let container = random.choice(rig.engine.containers());
            match (random.u8(..10), container) {
                (0, Some(c)) => rig.engine.exit(&c.id, 1),
                (1, Some(c)) => rig.engine.remove_by_hand(&c.id),
                (2, Some(c)) => rig.engine.pause_by_hand(&c.id),
                (3, Some(c)) => rig.engine.unpause_by_hand(&c.id),
                (4, _) => rig.engine.go_away(),
                (5, _) => rig.engine.come_back(),
                (6, _) => rig.engine.break_events(),
                (7, _) => rig.engine.silence_events(random.bool()),
                (8, _) => {
                    let mut balancer = rig.balancer.lock().unwrap();
                    (balancer.connected, balancer.acknowledges) = (random.bool(), random.bool());
                    balancer.in_flight = random.u64(..2);
                }
                _ => {
                    rig.want(name, REMOVE).await;
                    removed.insert(name.clone());
                }
            }
            rig.pass_millis(random.u64(..4000)).await;
        }
        rig.calm();
        rig.until(&format!("seed {seed} converges"), 240, |rig| {
            names.iter().all(|name| match removed.contains(name) {
                true => rig.phase(name) == Some(ReplicaPhase::Gone),
                false => rig.is_ready(name),
            }) && rig.running().len() == names.len() - removed.len()
        })
        .await;
    }
}
