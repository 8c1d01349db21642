//! Creates the container of a replica that has none alive: after its back-off, with its image and network. Pure.

use super::action::AgentAction;
use super::classify::ReplicaContainers;
use super::images::{self, ImageNeed};
use super::known_volumes::{self, VolumeNeed};
use super::network;
use super::plan_builder::PlanBuilder;
use super::spec;
use super::view::WantedReplica;
use crate::model::{Millis, NotReadyCause, ReplicaPhase, Revision};

/// With every address or port taken, the next attempt is after this long; they leave quarantine one by one.
const ALLOCATE_RETRY: Millis = Millis::secs(5);

/// No container is alive: creates one, as soon as it may.
pub(super) fn next_step(
    builder: &mut PlanBuilder<'_>,
    wanted: &WantedReplica,
    containers: &ReplicaContainers<'_>,
) -> ReplicaPhase {
    for spent in &containers.spent {
        builder.act(AgentAction::Remove { container: spent.id.clone() });
    }
    let remembered = builder.memory.replicas.get(&wanted.replica.name).cloned().unwrap_or_default();
    let ended = remembered.retry.as_ref().map(|r| r.cause.clone());
    if let Some(retry) = remembered.retry.filter(|r| r.at > builder.now.mono) {
        builder.wake(retry.at.since(builder.now.mono));
        return ReplicaPhase::BackOff { cause: retry.cause, retry_at: retry.wall };
    }
    let waiting = |cause| ReplicaPhase::Waiting { cause };
    let Some(revision) = &wanted.revision else {
        let message = format!("revision {} is not in the store", wanted.replica.revision);
        return waiting(Some(NotReadyCause::cannot_start(message)));
    };
    match images::need(builder, &revision.image, revision.spec.pull) {
        ImageNeed::Met => {}
        ImageNeed::LookingUp => return waiting(ended),
        ImageNeed::Pulling => return ReplicaPhase::Pulling,
        ImageNeed::Unavailable(retry) => {
            builder.wake(retry.at.since(builder.now.mono));
            return ReplicaPhase::BackOff { cause: retry.cause, retry_at: retry.wall };
        }
    }
    match network::need(builder, &wanted.replica.app) {
        Ok(true) => {}
        Ok(false) => return waiting(ended),
        Err(message) => return waiting(Some(NotReadyCause::cannot_start(message))),
    }
    let highest = remembered.attempted.max(containers.highest_attempt());
    let mounts = spec::mounts(&builder.view.facts, &wanted.replica, revision);
    match known_volumes::need(builder, &wanted.replica.name, &mounts) {
        VolumeNeed::Met => {}
        VolumeNeed::LookingUp => return waiting(ended),
        VolumeNeed::Missing(volumes) => return waiting(Some(NotReadyCause::VolumeMissing { volumes })),
    }
    if let Some(message) = known_volumes::held_by_orphan(builder, revision, &mounts) {
        return waiting(Some(NotReadyCause::cannot_start(message)));
    }
    match create(builder, wanted, revision, highest) {
        Ok(true) if ended.is_none() => ReplicaPhase::Starting { cause: None },
        Ok(_) => waiting(ended),
        Err(cause) => waiting(Some(cause)),
    }
}

/// Creates and starts the next attempt; `false` while too many containers are being started already.
fn create(
    builder: &mut PlanBuilder<'_>,
    wanted: &WantedReplica,
    revision: &Revision,
    highest: u32,
) -> Result<bool, NotReadyCause> {
    let replica = &wanted.replica;
    let Some(subnet) = builder.state.networks.get(&replica.app).map(|record| record.subnet) else {
        return Err(NotReadyCause::cannot_start("the network of the app is not known"));
    };
    let env = spec::environment(&builder.view.facts, replica, revision, subnet)
        .map_err(NotReadyCause::cannot_start)?;
    if !builder.may_start() {
        return Ok(false);
    }
    let allocation = match builder.allocate(&replica.app, &revision.spec.ports) {
        Ok(allocation) => allocation,
        Err(cause) => {
            builder.wake(ALLOCATE_RETRY);
            return Err(cause);
        }
    };
    builder.take_start();
    // An unanswered create has its number too: should its container come up after all, it is superseded.
    let attempt = wanted.status.as_ref().map_or(0, |s| s.attempt).max(highest) + 1;
    let spec = Box::new(spec::container(builder.view, replica, revision, attempt, env, allocation));
    let replica = replica.name.clone();
    let cursors = builder.cursors().clone();
    Ok(builder.act(AgentAction::Create { replica, attempt, cursors, spec }))
}
