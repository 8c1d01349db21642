//! Names, orphans and containers that are not ours.

use std::collections::BTreeSet;

use super::quick;
use super::rig::Rig;
use crate::agent::containers_of_other_stores;
use crate::engine::fake::{Behaviour, Call};
use crate::engine::{ContainerState, Engine, EngineError, LABEL_STORE};
use crate::model::{Desired, Reason};
use crate::store::Store;

#[tokio::test(start_paused = true)]
async fn lost_answer_of_create_or_start_makes_no_second_container() {
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
async fn name_of_a_container_removed_before_it_was_seen_is_not_reused() {
    let rig = Rig::new(Behaviour::default());
    rig.pass_time(1).await;
    for call in [Call::Inspect, Call::List] {
        let fault = || EngineError::Failed { call: call.name(), status: 500, message: "a fault".to_owned() };
        (0..100).for_each(|_| rig.engine.fail_next(call, fault()));
    }
    rig.declare(&["users-1-a"], quick).await;
    rig.until("created", 2, |rig| !rig.engine.containers().is_empty()).await;
    rig.engine.remove_by_hand(&rig.engine.containers()[0].id);
    rig.engine.clear_faults();
    rig.until("ready", 40, |rig| rig.is_ready("users-1-a")).await;
    assert_eq!(rig.running(), ["users-1-a.2"]);
}

#[tokio::test(start_paused = true)]
async fn name_of_a_foreign_container_is_left_alone() {
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
async fn deletion_guard_holds_orphans_until_they_are_confirmed() {
    let rig = Rig::new(Behaviour::default());
    let names: Vec<String> = (0..6).map(|n| format!("users-1-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    rig.declare(&names, quick).await;
    rig.until("ready", 5, |rig| names.iter().all(|name| rig.is_ready(name))).await;
    rig.forget("users-1-0").await;
    rig.until("one orphan is removed", 5, |rig| rig.running().len() == 5).await;
    for name in &names[1..5] {
        rig.forget(name).await;
    }
    rig.until("held", 40, |rig| held(rig).is_some_and(|message| message.starts_with("4 running"))).await;
    rig.pass_time(300).await;
    assert_eq!(rig.running().len(), 5);
    assert!(held(&rig).is_some());
    let mut released = rig.handle.confirm(BTreeSet::new()).await.unwrap().removed;
    released.sort();
    assert_eq!(released, names[1..5]);
    rig.until("they are removed", 5, |rig| rig.running() == ["users-1-5"]).await;
    assert_eq!(held(&rig), None);
}

/// What the node reports of removals that wait for `ctl confirm`.
fn held(rig: &Rig) -> Option<String> {
    let state = rig.handle.state();
    let conditions = &state.borrow().conditions;
    conditions.iter().find(|c| c.reason == Reason::DeletionHeld).map(|c| c.message.clone())
}

#[tokio::test(start_paused = true)]
async fn containers_of_another_store_are_left_alone() {
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
    let foreign = containers_of_other_stores(
        &rig.engine as &dyn Engine,
        "harbour:/var/lib/coxswain",
        &rig.store.identity().id,
    )
    .await;
    assert_eq!(foreign.unwrap(), Some(vec![("another-store".into(), "theirs".to_owned())]));
}
