//! When a container that fails is examined. Pure.

use super::action::AgentAction;
use super::plan_builder::PlanBuilder;
use super::view::WantedReplica;
use crate::engine::ObservedContainer;
use crate::model::{ContainerId, Millis, Mono};

/// Examines containers that failed, before anything else is done to them.
pub(super) fn examine_failed(builder: &mut PlanBuilder<'_>, wanted: &WantedReplica) {
    let replica = &wanted.replica.name;
    let memory = builder.memory;
    let failed = memory.replicas.get(replica).into_iter().flat_map(|own| own.crashes.unexamined());
    failed.for_each(|container| examine(builder, wanted, container));
}

fn examine(builder: &mut PlanBuilder<'_>, wanted: &WantedReplica, container: &ContainerId) {
    builder.act(AgentAction::Examine { replica: wanted.replica.name.clone(), container: container.clone() });
}

/// Examines a container that has failed its first probes for a while.
pub(super) fn examine_starting(
    builder: &mut PlanBuilder<'_>,
    wanted: &WantedReplica,
    current: &ObservedContainer,
    since: Mono,
) {
    let own = builder.memory.replicas.get(&wanted.replica.name);
    let Some(wait) = own.map(|own| own.crashes.examine_after(&current.id, since, builder.now.mono)) else {
        return;
    };
    match wait {
        Millis(0) => examine(builder, wanted, &current.id),
        wait => builder.wake(wait),
    }
}
