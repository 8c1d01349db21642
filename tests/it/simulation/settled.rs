//! What a world must come to once nothing is amiss: what was asked for, all of it and nothing else, and then quiet.

use std::collections::BTreeSet;
use std::time::Duration;

use coxswain::engine::fake::Behaviour;
use coxswain::engine::{ContainerState, LABEL_REPLICA, ObservedContainer};
use coxswain::model::{
    Condition, Desired, Endpoint, EndpointId, EndpointState, Reason, Replica, ReplicaPhase, ReplicaStatus,
    RolloutState, Service, ServiceName, key,
};

use super::world::{Wish, World};

/// By then a world has settled without help, unless a bad release is what the user asked for.
const BY_ITSELF: Duration = Duration::from_secs(180);
/// From the user's good release on: two deadlines, the longest wait between attempts, and as much again.
const WITH_GOOD_RELEASES: Duration = Duration::from_secs(400);
/// A settled world may still tidy up: what failed without harm, such as a tag, is tried again after so long.
const RETRIED: Duration = Duration::from_secs(70);
/// A replica that fails no more is stable after ten minutes.
const UNSTABLE: Duration = Duration::from_secs(660);
/// How often the world is asked whether it has settled.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long nothing may change then: longer than every look and wait of a world at rest.
const QUIET: Duration = Duration::from_secs(70);

/// Waits until all is as asked, with the user's help where a release is bad, and then for nothing to happen.
pub(super) async fn settle(world: &mut World) {
    let begin = world.clock.elapsed();
    let mut helped = false;
    let mut settled = begin;
    loop {
        let missing = unsettled(world);
        let waited = world.clock.elapsed() - begin;
        if missing.is_some() {
            settled = world.clock.elapsed();
        }
        if world.clock.elapsed() - settled > RETRIED {
            break;
        }
        let next = world.clock.elapsed() + LOOK_EVERY;
        if waited > BY_ITSELF && !helped && missing.is_some() {
            helped = true;
            help(world);
        }
        if waited > BY_ITSELF + WITH_GOOD_RELEASES {
            world.fail(&format!("not settled after {waited:?}: {missing:?}"));
        }
        while world.clock.elapsed() < next {
            world.tick(150).await;
        }
        confirm(world).await;
    }
    stable(world).await;
    quiet(world).await;
}

/// Replicas that failed often while the world settled count as unstable for a while yet, and the end of that is written.
async fn stable(world: &mut World) {
    let begin = world.clock.elapsed();
    while let Some(name) = unstable(world) {
        if world.clock.elapsed() - begin > UNSTABLE {
            world.fail(&format!("{name} is unstable after {UNSTABLE:?} in which nothing failed"));
        }
        world.tick(500).await;
    }
}

fn unstable(world: &World) -> Option<ServiceName> {
    let rollout = |service: &Service| world.rollout(service.name());
    let is_unstable = |service: &&Service| rollout(service).is_some_and(|r| !r.unstable.is_empty());
    world.services().iter().find(is_unstable).map(|service| service.name().clone())
}

/// The user lets removals happen that wait for a word.
async fn confirm(world: &World) {
    let Some(daemon) = &world.daemon else { return };
    let is_held = |condition: &Condition| condition.reason == Reason::DeletionHeld;
    let (is_waiting, missing) = {
        let state = daemon.agent.state();
        let state = state.borrow();
        (state.conditions.iter().any(is_held), state.missing_volumes.clone())
    };
    if is_waiting || !missing.is_empty() {
        let agent = daemon.agent.clone();
        daemon.wakes.agent.notify_one();
        let released = agent.confirm(missing).await;
        world.laws.log(format!("confirmed: {released:?}"));
    }
}

/// The user releases something good wherever a service is not as it should be.
fn help(world: &mut World) {
    for service in world.services() {
        if service.deleted_at.is_none() && service_unsettled(world, &service).is_some() {
            let name = service.name().clone();
            let image = format!("{name}:good");
            world.engine.publish(&image, Behaviour::default());
            let release = coxswain::model::ServiceSpec { image, ..service.spec.clone() };
            world.ask(name.as_str(), Wish::Insist(Box::new(release)));
        }
    }
}

/// What is not yet as it should be.
pub(super) fn unsettled(world: &World) -> Option<String> {
    let services = world.services();
    services
        .iter()
        .find_map(|service| service_unsettled(world, service))
        .or_else(|| {
            (services.is_empty() && !world.all::<ReplicaStatus>(key::STATUS).is_empty())
                .then(|| "a status is left".to_owned())
        })
        .or_else(|| containers_unsettled(world))
        .or_else(|| table_unsettled(world))
}

fn service_unsettled(world: &World, service: &Service) -> Option<String> {
    let name = service.name();
    if service.deleted_at.is_some() {
        return Some(format!("{name} is not gone"));
    }
    let Some(rollout) = world.rollout(name) else { return Some(format!("{name} has no rollout")) };
    if rollout.observed_generation != service.metadata.generation {
        return Some(format!("the last word about {name} was not heard"));
    }
    if !matches!(rollout.state, RolloutState::Complete | RolloutState::RolledBack { .. }) {
        return Some(format!("{name} is {:?}", rollout.state));
    }
    let all = world.replicas().into_iter().filter(|r| r.service == *name);
    let (kept, replicas): (Vec<_>, Vec<_>) = all.partition(is_kept);
    let moving = |r: &&Replica| world.status(name, &r.name).is_none_or(|s| s.phase != ReplicaPhase::Retained);
    if let Some(moving) = kept.iter().find(moving).or(kept.get(1)) {
        return Some(format!("{} is retained next to another, or not yet stopped", moving.name));
    }
    let wanted = service.spec.replica_count() as usize;
    if replicas.len() != wanted {
        return Some(format!("{name} has {} replicas, wanted are {wanted}", replicas.len()));
    }
    if let Some(flaky) = replicas.iter().find(|r| world.is_flaky(r)) {
        return Some(format!("{} is of an image that ends by itself", flaky.name));
    }
    let ready = |r: &coxswain::model::Replica| world.status(name, &r.name).is_some_and(|s| s.is_ready());
    let statuses: Vec<ReplicaStatus> = world.all(&key::statuses_of(name));
    let is_there = |s: &ReplicaStatus| replicas.iter().chain(&kept).any(|r| r.name == s.replica);
    if let Some(stray) = statuses.iter().find(|s| !is_there(s)) {
        return Some(format!("the status of {} is left", stray.replica));
    }
    let unready = replicas.iter().find(|r| !r.runs() || !ready(r));
    unready.map(|r| format!("{} is {:?}", r.name, world.status(name, &r.name)))
}

/// Whether its container is to be looked at after a failure.
fn is_kept(replica: &Replica) -> bool {
    matches!(replica.desired, Desired::Retain { .. })
}

/// One running container per replica, one that has ended per kept one, and no other of ours.
fn containers_unsettled(world: &World) -> Option<String> {
    let (kept, replicas): (Vec<_>, Vec<_>) = world.replicas().into_iter().partition(is_kept);
    let names = |of: Vec<Replica>| of.iter().map(|r| r.name.to_string()).collect::<BTreeSet<_>>();
    let (kept, replicas) = (names(kept), names(replicas));
    let mut seen = BTreeSet::new();
    for container in world.containers() {
        let replica = container.labels.get(LABEL_REPLICA).cloned().unwrap_or_default();
        let has_ended = !matches!(container.state, ContainerState::Running | ContainerState::Paused);
        if has_ended && (kept.contains(&replica) || is_previous(world, &container)) {
            continue;
        }
        if container.state != ContainerState::Running || !replicas.contains(&replica) {
            return Some(format!("{} is left, {:?}", container.name, container.state));
        }
        if !seen.insert(replica) {
            return Some(format!("{} is one too many", container.name));
        }
    }
    (seen != replicas).then(|| format!("containers are {seen:?}, replicas {replicas:?}"))
}

/// Whether it is kept for its log, next to the one that runs.
fn is_previous(world: &World, container: &ObservedContainer) -> bool {
    let statuses: Vec<ReplicaStatus> = world.all(key::STATUS);
    statuses.iter().filter_map(|s| s.history.last_exit.as_ref()).any(|exit| exit.container == container.id)
}

/// The balancer chooses from what is ready, and from nothing else.
fn table_unsettled(world: &World) -> Option<String> {
    let endpoints: Vec<Endpoint> = world.all(key::ENDPOINTS);
    if let Some(other) = endpoints.iter().find(|e| e.state != EndpointState::Ready) {
        return Some(format!("the endpoint of {} is {:?}", other.name(), other.state));
    }
    let mut ready: Vec<EndpointId> = endpoints.iter().map(Endpoint::id).collect();
    ready.sort();
    let routed = world.balancer.lock().unwrap().chooses_from();
    (ready != routed).then(|| format!("the balancer chooses from {routed:?}, ready are {ready:?}"))
}

/// From here on nothing happens: neither a write nor a change of the engine. Answers to users lapse, which is no write.
async fn quiet(world: &mut World) {
    let before = contents(world);
    let story = world.laws.fingerprint().0;
    let begin = world.clock.elapsed();
    while world.clock.elapsed() - begin < QUIET {
        world.tick(500).await;
    }
    if contents(world) != before || world.laws.fingerprint().0 != story {
        world.fail("a settled world went on changing");
    }
    if let Some(missing) = unsettled(world) {
        world.fail(&format!("a settled world did not stay so: {missing}"));
    }
}

fn contents(world: &World) -> Vec<(String, u64)> {
    let entries = world.store.list_now("").unwrap().entries;
    let lasting = entries.into_iter().filter(|entry| !entry.key.starts_with(key::REQUESTS));
    lasting.map(|entry| (entry.key, entry.mod_revision)).collect()
}
