//! The last container of a replica that ended by itself: kept next to its successor, so that its log can be read. Pure.
//!
//! One per replica, for a bounded time, and never at the expense of the successor: names are not reused, an exited container mounts
//! nothing, and its address and ports are free for others ([`super::memory`]). It goes with its replica.

use super::action::AgentAction;
use super::memory::AgentMemory;
use super::plan_builder::PlanBuilder;
use super::view::{WantedReplica, replica_of};
use crate::engine::{ContainerState, ObservedContainer};
use crate::model::{LastExit, Millis, PREVIOUS_KEPT_FOR};

/// Whether it is the container whose end was last recorded of its replica, and ran: another one has no log.
pub(super) fn is_last_exit(
    memory: &AgentMemory,
    wanted: Option<&WantedReplica>,
    container: &ObservedContainer,
) -> bool {
    let has_run = matches!(container.state, ContainerState::Exited { .. } | ContainerState::Dead);
    has_run && last_exit(memory, wanted, container).is_some_and(|last| last.container == container.id)
}

/// As remembered; before the first pass as stored.
fn last_exit<'a>(
    memory: &'a AgentMemory,
    wanted: Option<&'a WantedReplica>,
    container: &ObservedContainer,
) -> Option<&'a LastExit> {
    let remembered = replica_of(container).and_then(|name| memory.replicas.get(&name));
    let history = match remembered {
        Some(own) => &own.history,
        None => &wanted?.status.as_ref()?.history,
    };
    history.last_exit.as_ref()
}

/// Removes it once it is too old.
pub(super) fn keep(builder: &mut PlanBuilder<'_>, wanted: &WantedReplica, previous: &ObservedContainer) {
    let Some(last) = last_exit(builder.memory, Some(wanted), previous) else { return };
    let age = last.at.duration_until(builder.now.wall).abs().as_millis();
    let left = u64::try_from(age).ok().and_then(|age| PREVIOUS_KEPT_FOR.0.checked_sub(age));
    match left.filter(|left| *left > 0) {
        Some(left) => builder.wake(Millis(left)),
        None => {
            builder.act(AgentAction::Remove { container: previous.id.clone() });
        }
    }
}
