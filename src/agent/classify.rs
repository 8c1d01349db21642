//! Sorts containers: each into exactly one bucket, by ordered rules. Pure.

use std::collections::BTreeMap;

use super::view::{NodeView, attempt_of, is_up, replica_of};
use crate::engine::{ContainerState, ObservedContainer};
use crate::model::{ReplicaName, WaitReason};

/// What a container is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bucket {
    /// Of another store: never touched.
    Foreign,
    /// Being removed: nothing is left to do, but it is still there.
    Leaving,
    /// Of no stored replica, and it may run or come to run.
    Orphan,
    /// Of no stored replica, and it has ended.
    DeadOrphan,
    /// The container of its replica: the last attempt that runs, else the last that may be started.
    Current,
    /// Alive although another one is its replica's: an earlier attempt, or one that was made late and never started.
    Superseded,
    /// The last container of a replica that has none alive; its log is kept until the next one exists.
    Last,
    /// Ended, and a later one exists.
    Spent,
}

/// The containers of one replica.
#[derive(Debug, Clone, Default)]
pub struct OfReplica<'a> {
    /// The one alive; of several the highest attempt that runs, so that nothing is started beside it.
    pub current: Option<&'a ObservedContainer>,
    /// Others alive.
    pub superseded: Vec<&'a ObservedContainer>,
    /// The last one that ended, if none is alive.
    pub last: Option<&'a ObservedContainer>,
    /// Others that ended.
    pub spent: Vec<&'a ObservedContainer>,
    /// Being removed.
    pub leaving: Vec<&'a ObservedContainer>,
}

impl<'a> OfReplica<'a> {
    /// Whether no container of it is left.
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &'a ObservedContainer> {
        let ones = self.current.into_iter().chain(self.last);
        ones.chain(self.superseded.clone()).chain(self.spent.clone()).chain(self.leaving.clone())
    }

    /// The highest attempt among them.
    pub fn highest_attempt(&self) -> u32 {
        self.all().map(attempt_of).max().unwrap_or(0)
    }
}

/// All containers, sorted.
#[derive(Debug, Clone, Default)]
pub struct Sorted<'a> {
    /// By stored replica.
    pub replicas: BTreeMap<ReplicaName, OfReplica<'a>>,
    /// Of no stored replica, possibly alive.
    pub orphans: Vec<&'a ObservedContainer>,
    /// Of no stored replica, ended.
    pub dead_orphans: Vec<&'a ObservedContainer>,
}

/// Why a container that will not run by itself again ended; `None` for one that runs, may run, or is being removed.
pub(super) fn ended(view: &NodeView, container: &ObservedContainer) -> Option<WaitReason> {
    let refused = view.memory.start_refusal(&container.id).or(Some(container.error.as_str()));
    let refused = refused.filter(|message| !message.is_empty());
    let in_words = |message: &str| WaitReason::EngineRefused { message: message.to_owned() };
    match &container.state {
        ContainerState::Created => refused.map(in_words),
        ContainerState::Exited { code, oom_killed } => Some(match refused {
            Some(message) => in_words(message),
            None => WaitReason::Exited { code: *code, oom_killed: *oom_killed },
        }),
        ContainerState::Dead => Some(in_words("Docker reports the container as dead")),
        ContainerState::Running
        | ContainerState::Paused
        | ContainerState::Restarting
        | ContainerState::Removing => None,
    }
}

/// The bucket of a container: the first rule that holds.
fn bucket(view: &NodeView, container: &ObservedContainer, newest: &BTreeMap<ReplicaName, Newest>) -> Bucket {
    let dead = ended(view, container).is_some();
    let newest = replica_of(container)
        .filter(|name| view.replicas.contains_key(name))
        .and_then(|name| newest.get(&name).copied());
    let attempt = attempt_of(container);
    match newest {
        _ if !view.is_ours(container) => Bucket::Foreign,
        _ if container.state == ContainerState::Removing => Bucket::Leaving,
        None if dead => Bucket::DeadOrphan,
        None => Bucket::Orphan,
        Some(newest) if !dead && newest.alive() == Some((is_up(container), attempt)) => Bucket::Current,
        Some(_) if !dead => Bucket::Superseded,
        Some(newest) if newest.alive().is_none() && newest.dead == Some(attempt) => Bucket::Last,
        Some(_) => Bucket::Spent,
    }
}

/// The highest attempts of a replica.
#[derive(Debug, Clone, Copy, Default)]
struct Newest {
    up: Option<u32>,
    created: Option<u32>,
    dead: Option<u32>,
}

impl Newest {
    /// The attempt that is the replica's, if any is alive, and whether it runs.
    fn alive(self) -> Option<(bool, u32)> {
        let up = self.up.map(|attempt| (true, attempt));
        up.or(self.created.map(|attempt| (false, attempt)))
    }
}

/// Sorts all containers of the view.
pub fn classify(view: &NodeView) -> Sorted<'_> {
    let mut newest: BTreeMap<ReplicaName, Newest> = BTreeMap::new();
    for container in view.ours().filter(|c| c.state != ContainerState::Removing) {
        let Some(name) = replica_of(container) else { continue };
        let entry = newest.entry(name).or_default();
        let place = match ended(view, container) {
            Some(_) => &mut entry.dead,
            None if is_up(container) => &mut entry.up,
            None => &mut entry.created,
        };
        *place = (*place).max(Some(attempt_of(container)));
    }
    let mut sorted = Sorted::default();
    for container in &view.containers {
        let bucket = bucket(view, container, &newest);
        match bucket {
            Bucket::Foreign => continue,
            Bucket::Orphan => sorted.orphans.push(container),
            Bucket::DeadOrphan => sorted.dead_orphans.push(container),
            _ => {}
        }
        let Some(name) = replica_of(container).filter(|name| view.replicas.contains_key(name)) else {
            continue;
        };
        let of = sorted.replicas.entry(name).or_default();
        match bucket {
            // Two containers may claim one attempt, if someone copied the labels: the first is it.
            Bucket::Current if of.current.is_none() => of.current = Some(container),
            Bucket::Last if of.last.is_none() => of.last = Some(container),
            Bucket::Current | Bucket::Superseded => of.superseded.push(container),
            Bucket::Last | Bucket::Spent => of.spent.push(container),
            Bucket::Leaving => of.leaving.push(container),
            Bucket::Foreign | Bucket::Orphan | Bucket::DeadOrphan => {}
        }
    }
    sorted
}
