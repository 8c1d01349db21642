//! Classifies containers: each into exactly one class, by ordered rules. Pure.

use std::collections::BTreeMap;

use super::memory::{AgentMemory, ExitMemory};
use super::previous;
use super::view::{NodeView, attempt_of, is_up};
use crate::engine::{ContainerState, ObservedContainer};
use crate::model::ReplicaName;

/// How a container relates to the stored replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ContainerClass {
    /// Of another store: never touched.
    Foreign,
    /// Being removed: there is nothing left to do, but it still exists.
    Leaving,
    /// Of no stored replica, running or able to run.
    Orphan,
    /// Of no stored replica, exited.
    DeadOrphan,
    /// The container of its replica: the last attempt that runs, else the last that can be started.
    Current,
    /// Alive although another one is its replica's: an earlier attempt, or one that was created late and never started.
    Superseded,
    /// The last container of a replica that has none alive; its log is kept until the next one exists.
    Last,
    /// Exited by itself, and another one is alive; kept for its log.
    Previous,
    /// Exited, and a later one exists.
    Spent,
}

/// The containers of one replica.
#[derive(Debug, Clone, Default)]
pub(super) struct ReplicaContainers<'a> {
    /// The one alive; of several the highest attempt that runs, so that no second one is started.
    pub(super) current: Option<&'a ObservedContainer>,
    /// Others alive.
    pub(super) superseded: Vec<&'a ObservedContainer>,
    /// The last one that exited, if none is alive.
    pub(super) last: Option<&'a ObservedContainer>,
    /// The last one that exited by itself, if another is alive.
    pub(super) previous: Option<&'a ObservedContainer>,
    /// Others that exited.
    pub(super) spent: Vec<&'a ObservedContainer>,
    /// Being removed.
    pub(super) leaving: Vec<&'a ObservedContainer>,
}

impl<'a> ReplicaContainers<'a> {
    pub(super) fn all(&self) -> impl Iterator<Item = &'a ObservedContainer> {
        let ones = self.current.into_iter().chain(self.last).chain(self.previous);
        ones.chain(self.superseded.clone()).chain(self.spent.clone()).chain(self.leaving.clone())
    }

    /// Those that exited, and are not being removed.
    pub(super) fn ended(&self) -> impl Iterator<Item = &'a ObservedContainer> {
        self.last.into_iter().chain(self.previous).chain(self.spent.clone())
    }

    /// The highest attempt among them.
    pub(super) fn highest_attempt(&self) -> u32 {
        self.all().map(attempt_of).max().unwrap_or(0)
    }
}

/// All containers, classified.
#[derive(Debug, Clone, Default)]
pub(super) struct ClassifiedContainers<'a> {
    /// By stored replica.
    pub(super) replicas: BTreeMap<ReplicaName, ReplicaContainers<'a>>,
    /// Of no stored replica, possibly alive.
    pub(super) orphans: Vec<&'a ObservedContainer>,
    /// Of no stored replica, exited.
    pub(super) dead_orphans: Vec<&'a ObservedContainer>,
}

/// The Engine's message, if it refused to start a container.
pub(super) fn start_refusal<'a>(exits: &'a ExitMemory, container: &'a ObservedContainer) -> Option<&'a str> {
    let message = exits.refusal_message(&container.id).unwrap_or(&container.error);
    Some(message).filter(|message| !message.is_empty())
}

/// Whether a container exited or could not start; not one that runs, can run, or is being removed.
fn has_ended(exits: &ExitMemory, container: &ObservedContainer) -> bool {
    match container.state {
        ContainerState::Created => start_refusal(exits, container).is_some(),
        ContainerState::Exited { .. } | ContainerState::Dead => true,
        ContainerState::Running
        | ContainerState::Paused
        | ContainerState::Restarting
        | ContainerState::Removing => false,
    }
}

/// The class of a container: the first rule that holds.
fn class(
    view: &NodeView,
    memory: &AgentMemory,
    container: &ObservedContainer,
    newest: &BTreeMap<ReplicaName, NewestAttempts>,
) -> ContainerClass {
    let dead = has_ended(&memory.exits, container);
    let wanted = view.wanted_of(container);
    let newest = wanted.and_then(|wanted| newest.get(&wanted.replica.name).copied());
    let attempt = attempt_of(container);
    match newest {
        _ if !view.is_ours(container) => ContainerClass::Foreign,
        _ if container.state == ContainerState::Removing => ContainerClass::Leaving,
        None if dead => ContainerClass::DeadOrphan,
        None => ContainerClass::Orphan,
        Some(newest) if !dead && newest.alive() == Some((is_up(container), attempt)) => {
            ContainerClass::Current
        }
        Some(_) if !dead => ContainerClass::Superseded,
        Some(newest) if newest.alive().is_none() && newest.dead == Some(attempt) => ContainerClass::Last,
        Some(newest) if newest.alive().is_some() && previous::is_last_exit(memory, wanted, container) => {
            ContainerClass::Previous
        }
        Some(_) => ContainerClass::Spent,
    }
}

/// The highest attempts of a replica.
#[derive(Debug, Clone, Copy, Default)]
struct NewestAttempts {
    up: Option<u32>,
    created: Option<u32>,
    dead: Option<u32>,
}

impl NewestAttempts {
    /// The attempt that is the replica's, if one is alive, and whether it runs.
    fn alive(self) -> Option<(bool, u32)> {
        let up = self.up.map(|attempt| (true, attempt));
        up.or(self.created.map(|attempt| (false, attempt)))
    }
}

/// Classifies all containers of the view.
pub(super) fn classify<'v>(view: &'v NodeView, memory: &AgentMemory) -> ClassifiedContainers<'v> {
    let exits = &memory.exits;
    let mut newest: BTreeMap<ReplicaName, NewestAttempts> = BTreeMap::new();
    for container in view.ours().filter(|c| c.state != ContainerState::Removing) {
        let Some(wanted) = view.wanted_of(container) else { continue };
        let entry = newest.entry(wanted.replica.name.clone()).or_default();
        let place = match has_ended(exits, container) {
            true => &mut entry.dead,
            false if is_up(container) => &mut entry.up,
            false => &mut entry.created,
        };
        *place = (*place).max(Some(attempt_of(container)));
    }
    let mut classified = ClassifiedContainers::default();
    for container in &view.containers {
        let class = class(view, memory, container, &newest);
        match class {
            ContainerClass::Foreign => continue,
            ContainerClass::Orphan => classified.orphans.push(container),
            ContainerClass::DeadOrphan => classified.dead_orphans.push(container),
            _ => {}
        }
        let Some(wanted) = view.wanted_of(container) else { continue };
        let containers = classified.replicas.entry(wanted.replica.name.clone()).or_default();
        match class {
            // Two containers may claim one attempt, if someone copied the labels: the first is it.
            ContainerClass::Current if containers.current.is_none() => containers.current = Some(container),
            ContainerClass::Last if containers.last.is_none() => containers.last = Some(container),
            ContainerClass::Previous if containers.previous.is_none() => {
                containers.previous = Some(container)
            }
            ContainerClass::Current | ContainerClass::Superseded => containers.superseded.push(container),
            ContainerClass::Last | ContainerClass::Previous | ContainerClass::Spent => {
                containers.spent.push(container);
            }
            ContainerClass::Leaving => containers.leaving.push(container),
            ContainerClass::Foreign | ContainerClass::Orphan | ContainerClass::DeadOrphan => {}
        }
    }
    classified
}
