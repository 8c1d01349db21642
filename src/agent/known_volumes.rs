//! Volumes that are known to hold data: a container that is to mount one is not created once it has vanished, because Docker
//! would make an empty one in its place. Pure.

use std::collections::BTreeSet;

use super::action::{ActionSubject, AgentAction};
use super::backoff::FIND_AGAIN;
use super::plan_builder::PlanBuilder;
use super::view::{is_up, service_of};
use crate::engine::Mount;
use crate::model::{Condition, Reason, ReplicaName, Revision, ServiceName};

/// Whether the volumes of a container that is to be created are there.
pub(super) enum VolumeNeed {
    Met,
    /// They are being looked up.
    LookingUp,
    /// These are gone: the replica waits until they are restored, or until the user confirms their loss.
    Missing(BTreeSet<String>),
}

/// Records the volumes that containers mount: Docker keeps a volume for as long as a container mounts it. Those of
/// services that are gone are forgotten: no replica waits for them.
pub(super) fn remember(builder: &mut PlanBuilder<'_>) {
    let view = builder.view;
    let suffix = format!("-{}", view.facts.store.short());
    let is_stored = |name: &ServiceName| view.revisions.keys().any(|(service, _)| service == name);
    for container in view.ours() {
        let Some(service) = service_of(container).filter(is_stored) else { continue };
        for volume in container.volumes.iter().filter(|volume| volume.ends_with(&suffix)) {
            builder.state.volumes.entry(volume.clone()).or_default().insert(service.clone());
        }
    }
    for services in builder.state.volumes.values_mut() {
        services.retain(is_stored);
    }
    builder.state.volumes.retain(|_, services| !services.is_empty());
}

/// A running container of no replica that mounts a volume of this one, where only one container may write to it: after a restore
/// the deletion guard may hold it. A message for people.
pub(super) fn held_by_orphan(
    builder: &PlanBuilder<'_>,
    revision: &Revision,
    mounts: &[Mount],
) -> Option<String> {
    let release = revision.release();
    if !release.waits_for(release, revision.spec.replica_count()) {
        return None;
    }
    let written: Vec<&String> =
        mounts.iter().filter(|mount| !mount.read_only).map(|mount| &mount.volume.name).collect();
    let view = builder.view;
    let orphans = view.ours().filter(|container| is_up(container) && view.wanted_of(container).is_none());
    let mut held = orphans.filter_map(|container| {
        let volume = written.iter().find(|volume| container.volumes.contains(**volume))?;
        Some(format!(
            "volume {volume} is mounted by container {}, which has no replica; it is removed first (`ctl confirm`, if it is held)",
            container.name
        ))
    });
    held.next()
}

/// Whether those of a container's volumes exist that held data, as of a moment ago. A volume that the user removed, or whose
/// loss the user confirmed, is forgotten instead.
pub(super) fn need(builder: &mut PlanBuilder<'_>, replica: &ReplicaName, mounts: &[Mount]) -> VolumeNeed {
    let names = mounts.iter().map(|mount| &mount.volume.name);
    let (recreatable, kept): (Vec<&String>, Vec<&String>) =
        names.partition(|name| builder.memory.recreatable_volumes.contains(*name));
    for name in recreatable {
        builder.state.volumes.remove(name);
    }
    let known = kept.into_iter().filter(|name| builder.state.volumes.contains_key(*name));
    let required: BTreeSet<String> = known.cloned().collect();
    if required.is_empty() {
        return VolumeNeed::Met;
    }
    let lookup = builder.memory.replicas.get(replica).and_then(|own| own.volume_lookup.clone());
    let is_recent = lookup.as_ref().is_some_and(|lookup| builder.now.mono.since(lookup.at) < FIND_AGAIN);
    let missing: BTreeSet<String> =
        lookup.map(|lookup| lookup.missing.intersection(&required).cloned().collect()).unwrap_or_default();
    if !is_recent && !builder.is_busy(&ActionSubject::Volumes(replica.clone())) {
        builder.act(AgentAction::FindVolumes { replica: replica.clone(), volumes: required });
    }
    match missing.is_empty() {
        true if is_recent => VolumeNeed::Met,
        true => VolumeNeed::LookingUp,
        false => {
            builder.wake(FIND_AGAIN);
            builder.plan.missing_volumes.extend(missing.iter().cloned());
            VolumeNeed::Missing(missing)
        }
    }
}

/// Reports the volumes that replicas wait for.
pub(super) fn report_missing(builder: &mut PlanBuilder<'_>) {
    if builder.plan.missing_volumes.is_empty() {
        return;
    }
    let names: Vec<&str> = builder.plan.missing_volumes.iter().map(String::as_str).collect();
    let message = format!(
        "no longer in Docker: {}; replicas that mount it wait until it is restored, or until `ctl confirm` lets them start \
         with an empty one",
        names.join(", ")
    );
    builder.plan.conditions.push(Condition::degraded(Reason::VolumeMissing, message));
}
