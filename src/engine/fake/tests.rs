//! Faults, programmed behaviour, the journal. What the fake shares with Docker is tested by the Engine contract.

use std::sync::Arc;

use futures::{FutureExt, StreamExt};

use super::*;
use crate::clock::{Clock, VirtualClock};
use crate::engine::{ContainerState, Engine, EngineEventKind, LABEL_STORE, LogOptions};
use crate::model::Millis;

struct Bench {
    clock: Arc<VirtualClock>,
    engine: FakeEngine,
}

/// An engine with a network `net` and an image of this behaviour.
fn bench(behaviour: Behaviour) -> Bench {
    let clock = Arc::new(VirtualClock::new(1));
    let time = Arc::clone(&clock);
    let engine = FakeEngine::new(move || time.wall());
    engine.add_image("web:1", behaviour);
    let network = NetworkSpec {
        name: "net".into(),
        bridge: None,
        subnet: "10.209.0.0/24".into(),
        ip_range: "10.209.0.248/29".into(),
        gateway: "10.209.0.1".parse().unwrap(),
        labels: [(LABEL_STORE.to_owned(), "s".to_owned())].into(),
    };
    engine.create_network_by_hand(&network).unwrap();
    Bench { clock, engine }
}

fn spec(name: &str, last: u8) -> ContainerSpec {
    let address = std::net::Ipv4Addr::new(10, 209, 0, last).into();
    let labels = [(LABEL_STORE.to_owned(), "s".to_owned())].into();
    ContainerSpec { labels, ..ContainerSpec::bare(name, "web:1", "net", address) }
}

impl Bench {
    async fn running(&self) -> ContainerId {
        let id = self.engine.create(&spec("a", 10)).await.unwrap();
        self.engine.start(&id).await.unwrap();
        id
    }

    fn state(&self, id: &ContainerId) -> ContainerState {
        self.engine.containers().into_iter().find(|c| c.id == *id).unwrap().state
    }
}

const EXITED_WELL: ContainerState = ContainerState::Exited { code: 0, oom_killed: false };

#[tokio::test]
async fn container_with_slow_stop_exits_after_its_delay() {
    let b = bench(Behaviour::stops_after(Millis::secs(3)));
    let id = b.running().await;
    b.engine.kill(&id, "SIGTERM").await.unwrap();
    b.clock.advance(2_999);
    assert_eq!(b.state(&id), ContainerState::Running);
    let due = b.engine.next_due().unwrap();
    b.clock.advance(1);
    assert_eq!(b.state(&id), EXITED_WELL);
    let ended = b.engine.inspect(&id).await.unwrap().finished_at;
    assert_eq!((ended, b.engine.next_due()), (Some(due), None));
}

#[tokio::test]
async fn container_that_ignores_stop_exits_only_on_sigkill() {
    let b = bench(Behaviour::ignores_stop());
    let id = b.running().await;
    b.engine.kill(&id, "SIGTERM").await.unwrap();
    b.engine.kill(&id, "SIGUSR1").await.unwrap();
    b.clock.advance(3_600_000);
    assert_eq!(b.state(&id), ContainerState::Running);
    b.engine.kill(&id, "KILL").await.unwrap();
    assert_eq!(b.state(&id), ContainerState::Exited { code: 137, oom_killed: false });
}

#[tokio::test]
async fn container_ignores_signals_other_than_its_stop_signal() {
    let b = bench(Behaviour::default());
    let id = b.running().await;
    b.engine.kill(&id, "SIGHUP").await.unwrap();
    assert_eq!(b.state(&id), ContainerState::Running);
    b.engine.kill(&id, "TERM").await.unwrap();
    assert_eq!(b.state(&id), EXITED_WELL);
}

#[tokio::test]
async fn paused_container_exits_when_it_is_unpaused() {
    let runs = Runs::Exits { after: Millis(100), code: 7 };
    let b = bench(Behaviour { runs, ..Behaviour::default() });
    let id = b.running().await;
    b.engine.pause_by_hand(&id);
    b.clock.advance(1_000);
    assert_eq!(b.state(&id), ContainerState::Paused);
    b.engine.unpause_by_hand(&id);
    assert_eq!(b.state(&id), ContainerState::Exited { code: 7, oom_killed: false });
}

#[tokio::test]
async fn reach_finds_the_running_container_of_an_address() {
    let b = bench(Behaviour::healthy_after(Millis(500)));
    let id = b.running().await;
    let address = (spec("a", 10).address, 8080).into();
    let reached = |healthy| Some(ReachedContainer { container: id.clone(), healthy });
    assert_eq!(b.engine.reach(address), reached(false));
    b.clock.advance(500);
    assert_eq!(b.engine.reach(address), reached(true));
    b.engine.set_behaviour(&id, Behaviour::never_healthy());
    assert_eq!(b.engine.reach(address), reached(false));
    b.engine.exit(&id, 1);
    assert_eq!(b.engine.reach(address), None);
}

#[tokio::test]
async fn start_times_differ_for_each_start() {
    let b = bench(Behaviour::exits_at_once(1));
    let id = b.running().await;
    let first = b.engine.inspect(&id).await.unwrap().started_at;
    b.engine.start(&id).await.unwrap();
    assert!(b.engine.inspect(&id).await.unwrap().started_at > first);
}

#[tokio::test]
async fn call_with_lost_answer_takes_effect_and_failed_call_does_not() {
    let b = bench(Behaviour::default());
    b.engine.lose_answer(Call::Create);
    let lost = b.engine.create(&spec("a", 10)).await.unwrap_err();
    assert!(matches!(lost, EngineError::Unanswered { call: "create", .. }), "{lost:?}");
    let id = b.engine.inspect_name("a").await.unwrap().id;

    let boom = EngineError::Failed { call: "start", status: 500, message: "boom".into() };
    b.engine.fail_next(Call::Start, boom.clone());
    assert_eq!(b.engine.list().await.unwrap().len(), 1, "another call is not touched");
    assert_eq!(b.engine.start(&id).await, Err(boom));
    assert_eq!(b.state(&id), ContainerState::Created);
    b.engine.start(&id).await.unwrap();

    b.engine.choose_faults(|call| (call == Call::Remove).then_some(Fault::AnswerLost));
    assert!(b.engine.remove(&id).await.is_err());
    assert!(b.engine.containers().is_empty());
    b.engine.clear_faults();
    b.engine.remove(&id).await.unwrap();
    let name = || "a".to_owned();
    assert_eq!(
        b.engine.take_journal(),
        [
            Mutation::Create { id: id.clone(), name: name() },
            Mutation::Start { id: id.clone(), name: name() },
            Mutation::Remove { id, name: name() },
        ]
    );
    assert_eq!(b.engine.journal(), []);
}

#[tokio::test]
async fn containers_keep_running_while_the_engine_is_away() {
    let b = bench(Behaviour::default());
    let id = b.running().await;
    let mut events = b.engine.events(None).await.unwrap();
    b.engine.go_away();
    let away = events.next().await.unwrap().unwrap_err();
    assert!(matches!(away, EngineError::Stopped { .. }) && away.is_away());
    assert!(events.next().await.is_none());
    assert_eq!(b.engine.list().await.unwrap_err(), away);
    b.engine.exit(&id, 9);
    b.engine.come_back();
    let state = b.engine.inspect(&id).await.unwrap().state;
    assert_eq!(state, ContainerState::Exited { code: 9, oom_killed: false });
}

#[tokio::test]
async fn silenced_events_are_lost_and_changes_by_hand_are_not_in_the_journal() {
    let b = bench(Behaviour::default());
    let mut events = b.engine.events(None).await.unwrap();
    b.engine.silence_events(true);
    let id = b.engine.create_by_hand(&spec("theirs", 9)).unwrap();
    b.engine.start_by_hand(&id).unwrap();
    b.engine.kill_by_hand(&id, "SIGHUP").unwrap();
    b.engine.silence_events(false);
    b.engine.exit(&id, 1);
    let event = events.next().await.unwrap().unwrap();
    assert_eq!((event.kind, event.container.as_ref()), (EngineEventKind::Die, Some(&id)));
    assert!(events.next().now_or_never().is_none(), "nothing else");
    assert_eq!(b.engine.journal(), []);
    b.engine.break_events();
    assert!(events.next().await.unwrap().is_err());
}

#[tokio::test]
async fn pull_takes_images_of_the_registry_by_tag_and_digest() {
    let b = bench(Behaviour::default());
    let first = b.engine.publish("reg.io/web:2", Behaviour::default());
    b.engine.pull("reg.io/web:2").await.unwrap();
    let image = b.engine.image("reg.io/web:2").await.unwrap();
    assert_eq!(image.digests, std::slice::from_ref(&first));
    let second = b.engine.publish("reg.io/web:2", Behaviour::exits_at_once(1));
    assert_ne!(first, second);
    b.engine.pull("reg.io/web:2").await.unwrap();
    let moved = b.engine.image("reg.io/web:2").await.unwrap();
    assert_eq!((moved.id != image.id, moved.digests), (true, vec![second]));
    assert_eq!(b.engine.image(&first).await.unwrap().tags, Vec::<String>::new(), "kept without a tag");

    let unknown = b.engine.pull("reg.io/web:3").await.unwrap_err();
    assert!(matches!(unknown, EngineError::ImageUnknown { .. }), "{unknown:?}");
    let denied = EngineError::PullDenied { image: "reg.io/web:3".into(), message: "denied".into() };
    b.engine.fail_pull("reg.io/web:3", denied.clone());
    assert_eq!(b.engine.pull("reg.io/web:3").await, Err(denied));
    b.engine.publish("reg.io/web:3", Behaviour::default());
    b.engine.pull("reg.io/web:3").await.unwrap();
    b.engine.remove_image("reg.io/web:3");
    assert!(b.engine.image("reg.io/web:3").await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn ids_are_equal_after_equal_calls() {
    let make = async || {
        let b = bench(Behaviour::default());
        (b.running().await, b.engine.image("web:1").await.unwrap().id)
    };
    assert_eq!(make().await, make().await);
}

#[tokio::test]
async fn logs_respect_tail_and_since() {
    let b = bench(Behaviour::default());
    let id = b.running().await;
    for text in ["one", "two", "three"] {
        b.clock.advance(1_000);
        b.engine.write_log(&id, LogLine { at: Some(b.clock.wall()), stderr: false, text: text.into() });
    }
    let texts = async |options: LogOptions| -> Vec<String> {
        let lines = b.engine.logs(&id, &options).await.unwrap();
        lines.map(|line| line.unwrap().text).collect().await
    };
    assert_eq!(texts(LogOptions { tail: Some(2), ..LogOptions::default() }).await, ["two", "three"]);
    assert_eq!(texts(LogOptions { since: Some(b.clock.wall()), ..LogOptions::default() }).await, ["three"]);
}
