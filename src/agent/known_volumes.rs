//! Volumes that are known to hold data: a container that is to mount one is not created once it has vanished, because Docker
//! would make an empty one in its place. Pure.

use std::collections::BTreeSet;

use super::classify::ClassifiedContainers;
use super::plan_builder::PlanBuilder;
use super::spec;
use crate::engine::Mount;
use crate::model::{Condition, NotReadyCause, Reason, ServiceName};

/// Records the volumes of containers that exist: Docker keeps a volume for as long as a container mounts it. Those of
/// services that are gone are forgotten: no replica waits for them.
pub(super) fn remember(builder: &mut PlanBuilder<'_>, classified: &ClassifiedContainers<'_>) {
    let view = builder.view;
    let has_container =
        |name| classified.replicas.get(name).is_some_and(|found| found.all().next().is_some());
    for wanted in view.replicas.values().filter(|wanted| has_container(&wanted.replica.name)) {
        let Some(revision) = &wanted.revision else { continue };
        for mount in spec::mounts(&view.facts, &wanted.replica, revision) {
            let services = builder.state.volumes.entry(mount.volume.name).or_default();
            services.insert(wanted.replica.service.clone());
        }
    }
    let is_stored = |name: &ServiceName| view.revisions.keys().any(|(service, _)| service == name);
    for services in builder.state.volumes.values_mut() {
        services.retain(is_stored);
    }
    builder.state.volumes.retain(|_, services| !services.is_empty());
}

/// Those of a container's volumes that must exist before it is created. A volume whose loss the user confirmed need not, and
/// is forgotten.
pub(super) fn required(builder: &mut PlanBuilder<'_>, mounts: &[Mount]) -> BTreeSet<String> {
    let names = mounts.iter().map(|mount| &mount.volume.name);
    let (lost, kept): (Vec<&String>, Vec<&String>) =
        names.partition(|name| builder.memory.lost_volumes.contains(*name));
    for name in lost {
        builder.state.volumes.remove(name);
    }
    kept.into_iter().filter(|name| builder.state.volumes.contains_key(*name)).cloned().collect()
}

/// Reports the volumes that replicas wait for, until they are back or the user confirms their loss.
pub(super) fn report_missing(builder: &mut PlanBuilder<'_>) {
    let waits = builder.memory.replicas.values().filter_map(|replica| replica.retry.as_ref());
    let missing = waits.filter_map(|retry| match &retry.cause {
        NotReadyCause::VolumeMissing { volume } => Some(volume.clone()),
        _ => None,
    });
    let missing: BTreeSet<String> = missing.collect();
    if missing.is_empty() {
        return;
    }
    let names: Vec<&str> = missing.iter().map(String::as_str).collect();
    let message = format!(
        "no longer in Docker: {}; replicas that mount it wait until it is restored, or until `ctl confirm` lets them start \
         with an empty one",
        names.join(", ")
    );
    builder.plan.conditions.push(Condition::degraded(Reason::VolumeMissing, message));
    builder.plan.missing_volumes = missing;
}
