//! Scripted runs: one event at a time, checked against the same laws.

use std::collections::BTreeSet;
use std::time::Duration;

use coxswain::engine::fake::{Behaviour, Runs};
use coxswain::model::{
    Desired, Diagnosis, FailedReplica, FailureReason, Millis, NotReadyCause, Reason, RevisionNumber,
    RolloutState, key,
};

use super::on_virtual_time;
use super::settled::{settle, unsettled};
use super::world::{Wish, World};

/// Far longer than a rollout of a few replicas takes, and shorter than its deadline.
const SOON: Duration = Duration::from_secs(25);

/// A world in which two replicas of `users:1` serve.
async fn serving(seed: u64) -> World {
    let mut world = World::new(seed);
    for tag in ["users:1", "users:2"] {
        world.engine.publish(tag, Behaviour::healthy_after(Millis(300)));
    }
    world.connect();
    let release = world.release("users:1", 2);
    world.ask("users", Wish::Apply(Box::new(release)));
    world.until("users:1 serves", SOON, |world| is_settled_on(world, 1)).await;
    world
}

fn is_settled_on(world: &World, revision: u64) -> bool {
    let replicas = world.replicas();
    let all = !replicas.is_empty() && replicas.iter().all(|r| r.revision == RevisionNumber(revision));
    all && unsettled(world).is_none()
}

fn roll(world: &mut World) {
    let release = world.release("users:2", 2);
    world.ask("users", Wish::Apply(Box::new(release)));
}

#[test]
fn rolling_update_loses_no_request() {
    on_virtual_time(async {
        let mut world = serving(1).await;
        let before = world.balancer.lock().unwrap().served;
        roll(&mut world);
        world.until("users:2 serves", SOON, |world| is_settled_on(world, 2)).await;
        let served = world.balancer.lock().unwrap().served - before;
        assert!(served > 50, "requests came all along, {served} of them");
        settle(&mut world).await;
    });
}

/// The same story with the barrier gone: if the laws let that pass, they prove nothing.
#[test]
#[should_panic(expected = "was stopped while the balancer may choose it")]
fn rolling_update_without_barrier_breaks_a_law() {
    on_virtual_time(async {
        let mut world = serving(1).await;
        world.balancer.lock().unwrap().lies = true;
        roll(&mut world);
        world.until("users:2 serves", SOON, |world| is_settled_on(world, 2)).await;
        settle(&mut world).await;
    });
}

#[test]
fn silent_balancer_blocks_rollout_and_stops_no_container() {
    on_virtual_time(async {
        let mut world = serving(2).await;
        world.balancer.lock().unwrap().stuck = true;
        let old = world.containers();
        roll(&mut world);
        let until = world.clock.elapsed() + Duration::from_secs(120);
        while world.clock.elapsed() < until {
            world.tick(40).await;
            let now = world.containers();
            let is_unchanged = |c| now.iter().any(|n: &coxswain::engine::ObservedContainer| n == c);
            assert!(old.iter().all(is_unchanged), "every old container runs on");
        }
        world.balancer.lock().unwrap().stuck = false;
        world.until("it comes to rest", SOON * 2, |world| unsettled(world).is_none()).await;
        let state = world.rollout(&"users".into()).unwrap().state;
        assert!(matches!(state, RolloutState::RolledBack { .. }), "held past its deadline: {state:?}");
    });
}

/// Rolls with a daemon that dies at this step; whether the rollout was long enough to have that step.
async fn dies_at(step: u64) -> bool {
    let mut world = serving(3).await;
    world.kill_daemon().await;
    world.start_daemon(Some(step));
    world.connect();
    roll(&mut world);
    let end = world.clock.elapsed() + SOON;
    while world.clock.elapsed() < end && !has_burnt(&world) && !is_settled_on(&world, 2) {
        world.tick(40).await;
    }
    let died = has_burnt(&world);
    if died {
        world.kill_daemon().await;
        world.start_daemon(None);
        world.connect();
        // The user's client asks again; where the first was taken, this changes nothing.
        roll(&mut world);
    }
    let what = format!("users:2 serves, though the daemon died at step {step}");
    world.until(&what, SOON * 2, |world| is_settled_on(world, 2)).await;
    died
}

fn has_burnt(world: &World) -> bool {
    world.daemon.as_ref().is_some_and(|daemon| daemon.fuse.has_burnt())
}

#[test]
fn daemon_crash_at_any_rollout_step_loses_no_request() {
    on_virtual_time(async {
        let mut steps = 0;
        while dies_at(steps + 1).await {
            steps += 1;
        }
        assert!(steps > 40, "a rollout has many steps, these were {steps}");
    });
}

/// Rolls while the supervisor is killed every few seconds, each time with long requests in its balancer.
async fn roll_under_killed_supervisors(hides_old: bool) {
    let mut world = serving(3).await;
    {
        let mut balancer = world.balancer.lock().unwrap();
        balancer.longest = world.laws.drain.mul_f32(0.9);
        balancer.hides_old = hides_old;
    }
    // Requests of all lengths are under way before the first one dies.
    for _ in 0..200 {
        world.tick(40).await;
    }
    let mut met_old = 0;
    for _ in 0..6 {
        world.kill_supervisor().await;
        world.start_daemon(None);
        world.connect();
        // The user's client asks again; where an earlier one was taken, this changes nothing.
        roll(&mut world);
        let until = world.clock.elapsed() + Duration::from_secs(3);
        while world.clock.elapsed() < until {
            world.tick(40).await;
            met_old += world.balancer.lock().unwrap().old();
        }
    }
    assert!(met_old > 100, "balancers of earlier supervisors had requests");
    world.until("users:2 serves", SOON * 2, |world| is_settled_on(world, 2)).await;
    settle(&mut world).await;
}

#[test]
fn killed_supervisors_lose_no_request_of_their_balancers() {
    on_virtual_time(roll_under_killed_supervisors(false));
}

/// The same story with a controller that does not count the balancers of earlier supervisors.
#[test]
#[should_panic(expected = "was stopped with")]
fn balancers_of_killed_supervisors_that_do_not_count_break_a_law() {
    on_virtual_time(roll_under_killed_supervisors(true));
}

#[test]
fn deleted_service_with_vanished_containers_leaves_nothing() {
    on_virtual_time(async {
        let mut world = serving(4).await;
        world.ask("users", Wish::Delete(false));
        world.until("it is asked for", SOON, |world| world.services()[0].deleted_at.is_some()).await;
        world.kill_daemon().await;
        for container in world.containers() {
            world.engine.remove_by_hand(&container.id);
        }
        world.start_daemon(None);
        world.connect();
        world.until("nothing is left of it", SOON, |world| world.services().is_empty()).await;
        settle(&mut world).await;
        let keys = world.store.list_now("").unwrap().entries.into_iter().map(|entry| entry.key);
        // Its events can be read for a day.
        let is_left = |key: &String| key.contains("/users") && !key.starts_with(key::EVENTS);
        let left: Vec<String> = keys.filter(is_left).collect();
        assert!(left.is_empty(), "{left:?}");
    });
}

#[test]
fn crash_loop_is_rolled_back_early_and_container_retained() {
    on_virtual_time(async {
        let mut world = serving(5).await;
        world.engine.publish("users:2", crashing());
        let old: Vec<_> = world.containers().into_iter().map(|c| c.id).collect();
        roll(&mut world);
        // Far from the deadline: three runs, the waits between them, and calls that take up to 5 s each.
        world.until("it is rolled back", Duration::from_secs(30), is_rolled_back).await;
        let Some(RolloutState::RolledBack { failure }) = world.rollout(&"users".into()).map(|r| r.state)
        else {
            panic!("it was rolled back a moment ago");
        };
        assert!(
            matches!(
                failure.reason,
                FailureReason::Replica(FailedReplica {
                    diagnosis: Diagnosis { cause: NotReadyCause::Exited { .. }, .. },
                    ..
                })
            ),
            "{failure}"
        );
        world
            .until("one is kept", SOON, |world| {
                world.replicas().iter().any(|r| matches!(r.desired, Desired::Retain { .. }))
                    && unsettled(world).is_none()
            })
            .await;
        let now = world.containers();
        assert!(old.iter().all(|id| now.iter().any(|c| c.id == *id)), "no healthy old replica was stopped");
        assert_eq!(now.len(), old.len() + 1);
        world.kill_daemon().await;
        world.start_daemon(None);
        world.connect();
        settle(&mut world).await;
        assert_eq!(world.containers().len(), old.len() + 1, "a restart leaves what is kept alone");
    });
}

/// Rolls to a version that crashes while each controller dies after this long, until the rollout is judged; returns how many
/// containers were started meanwhile.
async fn crash_under_dying_controllers(seed: u64, fail_fast: bool, life: Duration) -> usize {
    let mut world = serving(seed).await;
    world.engine.publish("users:2", crashing());
    let mut release = world.release("users:2", 2);
    release.rollout.fail_fast = fail_fast;
    // what is to judge it is the count or the time of its starts
    release.rollout.deadline = Millis::secs(600);
    let limit = release.health.start_within.std() + SOON;
    world.ask("users", Wish::Apply(Box::new(release)));
    let is_taken = |world: &World| {
        world.rollout(&"users".into()).is_some_and(|rollout| rollout.target == RevisionNumber(2))
    };
    world.until("the rollout has begun", SOON, is_taken).await;
    let begun = world.clock.elapsed();
    let mut starts = starts(&world);
    let old = starts.len();
    while !is_judged(&world) {
        let lives_until = world.clock.elapsed() + life;
        while world.clock.elapsed() < lives_until && !is_judged(&world) {
            world.tick(40).await;
            starts.append(&mut self::starts(&world));
        }
        if world.clock.elapsed() > begun + limit {
            world.fail(&format!("controllers that live {life:?} never judge it"));
        }
        world.kill_daemon().await;
        world.start_daemon(None);
        world.connect();
    }
    let counted = starts.len() - old;
    settle(&mut world).await;
    assert!(is_rolled_back(&world), "{:?}", world.rollout(&"users".into()));
    counted
}

/// What a verdict rests on is stored: neither the count of crashes nor the time that a start may take begins again with
/// each controller.
#[test]
fn controllers_that_die_again_and_again_reach_the_verdict_of_one_that_lives() {
    on_virtual_time(async {
        for life in [4_000, 2_000, 1_000].map(Duration::from_millis) {
            for (seed, fail_fast) in [(8, true), (9, false)] {
                let starts = crash_under_dying_controllers(seed, fail_fast, life).await;
                assert!(starts >= 2, "{starts} starts of new containers, {life:?}");
                if fail_fast {
                    // One replica at a time is rolled, and three crashes are the limit; a controller that dies between the
                    // third and the verdict leaves a successor that may find the back-off passed.
                    assert!(starts <= 4, "{starts} starts of new containers, {life:?}");
                }
            }
        }
    });
}

/// Each start of a container that can be seen now.
fn starts(world: &World) -> BTreeSet<(String, jiff::Timestamp)> {
    world.containers().into_iter().filter_map(|c| Some((c.id.to_string(), c.started_at?))).collect()
}

/// Whether the rollout has failed. That it is rolled back is known only to a controller that lives for `healthyFor`.
fn is_judged(world: &World) -> bool {
    let state = world.rollout(&"users".into()).map(|rollout| rollout.state);
    matches!(state, Some(RolloutState::RollingBack { .. } | RolloutState::RolledBack { .. }))
}

fn is_rolled_back(world: &World) -> bool {
    let state = world.rollout(&"users".into()).map(|rollout| rollout.state);
    matches!(state, Some(RolloutState::RolledBack { .. }))
}

fn crashing() -> Behaviour {
    Behaviour { runs: Runs::Exits { after: Millis(700), code: 3 }, ..Behaviour::never_healthy() }
}

#[test]
fn replicas_that_fall_silent_all_at_once_keep_serving() {
    on_virtual_time(async {
        let mut world = serving(7).await;
        let before = world.balancer.lock().unwrap().served;
        world.daemon.as_ref().unwrap().deafen(true);
        let until = world.clock.elapsed() + Duration::from_secs(60);
        while world.clock.elapsed() < until {
            world.tick(40).await;
        }
        let daemon = world.daemon.as_ref().unwrap();
        let conditions = daemon.agent.state().borrow().conditions.clone();
        assert!(conditions.iter().any(|c| c.reason == Reason::AllSilent), "{conditions:?}");
        let served = world.balancer.lock().unwrap().served - before;
        assert!(served > 200, "requests were answered all along, {served} of them");
        assert!(world.balancer.lock().unwrap().may_choose().count() >= 2, "both are still in rotation");
        daemon.deafen(false);
        settle(&mut world).await;
    });
}
