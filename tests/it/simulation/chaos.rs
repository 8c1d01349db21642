//! What users, people with shells, machines and networks do to a world, by chance.

use std::time::Duration;

use coxswain::controller::RolloutChange;
use coxswain::engine::EngineError;
use coxswain::engine::fake::{Behaviour, Fault, Healthy, Runs, Stops};
use coxswain::model::{
    Health, HealthCheck, Millis, NumberOrPercent, OnFailure, ServiceSpec, Volume, VolumeOrigin,
};

use super::clock::Chance;
use super::laws::is_up;
use super::world::{Wish, World};

pub(super) const SERVICES: [&str; 3] = ["users", "web", "jobs"];
/// What the user does to a rollout; most of it is rejected because the rollout is in another phase.
const ROLLOUT_CHANGES: [RolloutChange; 6] = [
    RolloutChange::Restart,
    RolloutChange::Undo { to: None },
    RolloutChange::Pause,
    RolloutChange::Resume,
    RolloutChange::Abort,
    RolloutChange::Retry,
];

/// What is amiss and ends by itself, with the time at which it does.
#[derive(Default)]
struct Amiss {
    engine: Option<Duration>,
    events: Option<Duration>,
    connection: Option<Duration>,
    stuck: Option<Duration>,
    daemon: Option<Duration>,
}

/// Lets a world be disturbed for so long, then heals everything.
pub(super) async fn disturb(world: &mut World, lasting: Duration) {
    let mut amiss = Amiss::default();
    disturb_calls(world);
    for name in SERVICES {
        apply(world, name);
    }
    while world.clock.elapsed() < lasting {
        world.tick(60).await;
        mend(world, &mut amiss);
        if world.chance.one_in(30) {
            happen(world, &mut amiss).await;
        }
    }
    calm(world);
}

fn disturb_calls(world: &World) {
    let chance = Chance::of_seed(world.seed ^ 0x5eed);
    let rarity = 8 + chance.below(60);
    world.engine.choose_faults(move |call| {
        let failed = || EngineError::Failed { call: call.name(), status: 500, message: "a fault".to_owned() };
        match chance.below(rarity) {
            0 => Some(Fault::AnswerLost),
            1 => Some(Fault::Fails(failed())),
            _ => None,
        }
    });
}

/// What was amiss for its time is well again.
fn mend(world: &mut World, amiss: &mut Amiss) {
    let now = world.clock.elapsed();
    let over = |at: &mut Option<Duration>| at.take_if(|at| *at <= now).is_some();
    if over(&mut amiss.engine) {
        world.laws.log("the engine comes back");
        world.engine.come_back();
    }
    if over(&mut amiss.events) {
        world.engine.silence_events(false);
    }
    if over(&mut amiss.stuck) {
        world.balancer.lock().unwrap().stuck = false;
    }
    over(&mut amiss.connection);
    over(&mut amiss.daemon);
    if amiss.daemon.is_none() && world.daemon.is_none() {
        world.start_daemon(None);
        amiss.connection.get_or_insert(now + world.chance.millis(0, 1_000));
    }
    if amiss.connection.is_none() {
        world.connect();
    }
}

async fn happen(world: &mut World, amiss: &mut Amiss) {
    let chance = world.chance.clone();
    let name = SERVICES[usize::try_from(chance.below(3)).unwrap()];
    let later = world.clock.elapsed() + chance.millis(100, 8_000);
    match chance.below(28) {
        0..4 => apply(world, name),
        4 => world.ask(name, Wish::Scale(u32::try_from(chance.below(5)).unwrap())),
        5..9 => {
            let change = chance.pick(&ROLLOUT_CHANGES).unwrap().clone();
            world.ask(name, Wish::Roll(change));
        }
        9 if chance.one_in(2) => world.ask(name, Wish::Delete(chance.one_in(2))),
        10..15 => by_hand(world),
        15 => {
            world.laws.log("the engine goes away");
            world.engine.go_away();
            amiss.engine = Some(later);
        }
        16 => {
            world.engine.silence_events(true);
            amiss.events = Some(later);
        }
        17 => world.engine.break_events(),
        18 => {
            world.laws.log("the balancer disconnects");
            world.balancer.lock().unwrap().disconnect();
            amiss.connection = Some(later);
        }
        19 => {
            world.laws.log("the balancer restarts");
            world.balancer.lock().unwrap().restart();
            amiss.connection = Some(world.clock.elapsed() + chance.millis(0, 1_500));
        }
        20 => {
            world.balancer.lock().unwrap().stuck = true;
            amiss.stuck = Some(later);
        }
        21..23 if world.daemon.is_some() => {
            world.kill_daemon().await;
            amiss.daemon = Some(world.clock.elapsed() + chance.millis(0, 2_000));
        }
        23..25 if world.daemon.is_some() => {
            world.kill_supervisor().await;
            amiss.daemon = Some(world.clock.elapsed() + chance.millis(0, 2_000));
        }
        25 => {
            let tag = format!("{name}:{}", chance.below(12));
            world.laws.log(format!("the image {tag} is removed by hand"));
            world.engine.remove_image(&tag);
        }
        _ => {}
    }
}

/// Something happens to one of our containers that we did not ask for.
fn by_hand(world: &World) {
    let containers = world.containers();
    let Some(container) = world.chance.pick(&containers) else { return };
    let (id, name) = (&container.id, &container.name);
    let what = match world.chance.below(7) {
        0 => {
            world.engine.exit(id, 1);
            "crashes"
        }
        1 => {
            // A container that does not run takes no signal.
            let _ = world.engine.kill_by_hand(id, "SIGKILL");
            "is killed by hand"
        }
        2 => {
            let _ = world.engine.kill_by_hand(id, "SIGTERM");
            "is stopped by hand"
        }
        3 => {
            world.engine.remove_by_hand(id);
            if world.daemon.as_ref().is_none_or(|daemon| !daemon.agent.state().borrow().open) {
                world.laws.removed_unseen(id);
            }
            "is removed by hand"
        }
        4 => {
            world.engine.disconnect_by_hand(id);
            "is taken off its network by hand"
        }
        5 if is_up(container) => {
            world.engine.pause_by_hand(id);
            "is paused by hand"
        }
        _ => {
            world.engine.set_behaviour(id, Behaviour::never_healthy());
            "falls ill"
        }
    };
    world.laws.log(format!("{name} {what}"));
}

/// The user applies a release by chance: one of a few images, each as good or bad as its number says.
fn apply(world: &mut World, name: &str) {
    let chance = world.chance.clone();
    let tag = format!("{name}:{}", chance.below(12));
    let behaviour = behaviour(&chance);
    world.laws.log(format!("{tag} is pushed: {behaviour:?}"));
    let flaky = matches!(behaviour.runs, Runs::Exits { .. });
    let digest = world.engine.publish(&tag, behaviour);
    if flaky {
        world.flaky.insert(digest);
    }
    let mut spec = world.release(&tag, u32::try_from(chance.below(5)).unwrap());
    vary(&mut spec, &chance);
    // Not shared: what another service mounts keeps a deletion with volumes waiting, as it should.
    spec.volumes.iter_mut().for_each(|volume| volume.origin = VolumeOrigin::Name(format!("{name}-data")));
    if name == "jobs" {
        spec.ports.clear();
        spec.health = Health::with(HealthCheck::None(true));
    }
    world.ask(name, Wish::Apply(Box::new(spec)));
}

fn vary(spec: &mut ServiceSpec, chance: &Chance) {
    let number = |n| NumberOrPercent::Number(u32::try_from(chance.below(n)).unwrap());
    spec.rollout.max_surge = number(3);
    spec.rollout.max_unavailable = number(2);
    spec.rollout.healthy_for = Millis(chance.below(3_000));
    spec.rollout.deadline = Millis::secs(12 + chance.below(30));
    spec.rollout.keep_revisions = 2 + u32::try_from(chance.below(3)).unwrap();
    if chance.one_in(3) {
        spec.rollout.on_failure = OnFailure::Pause;
    }
    if chance.one_in(3) {
        spec.replicas = None;
    }
    if chance.one_in(3) {
        let read_only = chance.one_in(4);
        let per_replica = chance.one_in(3);
        spec.volumes = vec![Volume { read_only, per_replica, ..Volume::named("data", "/data") }];
    }
}

fn behaviour(chance: &Chance) -> Behaviour {
    let volumes: &[&str] = if chance.one_in(6) { &["/data"] } else { &[] };
    let good = Behaviour {
        stops: Stops::After(Millis(chance.below(1_500))),
        health: Healthy::After(Millis(chance.below(3_000))),
        ..Behaviour::with_volumes(volumes)
    };
    match chance.below(12) {
        0 => Behaviour::exits_at_once(1),
        1 => Behaviour::never_healthy(),
        2 => Behaviour::cannot_start("exec: \"server\": executable file not found in $PATH"),
        3 => Behaviour { runs: Runs::Exits { after: Millis(chance.below(20_000)), code: 3 }, ..good },
        4 | 5 => Behaviour { stops: Stops::Never, ..good },
        _ => good,
    }
}

/// Nothing is amiss any more.
pub(super) fn calm(world: &mut World) {
    world.laws.log("everything is well again");
    world.engine.clear_faults();
    world.engine.silence_events(false);
    world.engine.break_events();
    for container in world.engine.containers() {
        world.engine.unpause_by_hand(&container.id);
    }
    world.balancer.lock().unwrap().stuck = false;
    if world.daemon.is_none() {
        world.start_daemon(None);
    }
    world.connect();
    for name in SERVICES {
        world.ask(name, Wish::Roll(RolloutChange::Resume));
    }
}
