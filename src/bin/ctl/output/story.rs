//! Who took whose place in a rolling update, as far as it was watched. PURE.
//!
//! The daemon replaces by number, not by pair; for the reader a replica that leaves belongs to the one that arrived last
//! and has nobody yet.

use std::collections::BTreeSet;

use coxswain::api::types::{OperationProgress, ReplicaProgress};
use coxswain::model::{ReplicaName, ReplicaPhase, RevisionNumber};

use super::progress::{drained, is_rollback};

/// What was seen of one rolling update.
#[derive(Debug, Default)]
pub(crate) struct Story {
    target: RevisionNumber,
    /// Whether the target takes the place of another; the daemon forgets which once the last one has left.
    rolls: bool,
    arrived: Vec<ReplicaName>,
    /// Of other revisions, seen while they ran. What did not (a container that is kept after a failure) leaves no place.
    ran: BTreeSet<ReplicaName>,
    left: Vec<Left>,
}

/// One that was replaced.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    name: ReplicaName,
    by: Option<ReplicaName>,
    in_flight: u64,
    drained: u64,
}

/// Whether one revision takes the place of another, and nothing goes back.
pub(super) fn replaces(progress: &OperationProgress) -> bool {
    progress.from.is_some() && !is_rollback(progress)
}

impl Story {
    /// Takes in how things stand now.
    pub(crate) fn take(&mut self, now: &OperationProgress) {
        if self.target != now.target {
            *self = Self { target: now.target, ..Self::default() };
        }
        self.rolls |= replaces(now);
        if !self.rolls {
            return;
        }
        for replica in now.replicas.iter().filter(|r| r.revision == now.target && r.runs && r.available) {
            if !self.arrived.contains(&replica.name) {
                self.arrived.push(replica.name.clone());
            }
        }
        for left in &mut self.left {
            left.in_flight = 0; // unless it is still there
        }
        let (running, leaving): (Vec<_>, Vec<_>) =
            now.replicas.iter().filter(|r| r.revision != now.target).partition(|r| r.runs);
        self.ran.extend(running.into_iter().map(|r| r.name.clone()));
        for replica in leaving.into_iter().filter(|r| may_have_served(r) || self.ran.contains(&r.name)) {
            let at = self.left.iter().position(|left| left.name == replica.name).unwrap_or_else(|| {
                let is_free =
                    |new: &&ReplicaName| !self.left.iter().any(|left| left.by.as_ref() == Some(*new));
                let by = self.arrived.iter().rev().find(is_free).cloned();
                self.left.push(Left { name: replica.name.clone(), by, in_flight: 0, drained: 0 });
                self.left.len() - 1
            });
            let left = &mut self.left[at];
            (left.in_flight, left.drained) = (replica.in_flight, left.drained.max(replica.drained));
        }
    }

    /// Whether one revision takes the place of another, or just has.
    pub(super) fn rolls(&self) -> bool {
        self.rolls
    }

    /// Whether a replica that leaves is told of beside another.
    pub(super) fn has_successor(&self, name: &ReplicaName) -> bool {
        self.left.iter().any(|left| left.name == *name && left.by.is_some())
    }

    /// `users-8-a drained 41 requests`, of the one whose place this one took.
    pub(super) fn replaced_by(&self, name: &ReplicaName) -> Option<String> {
        let left = self.left.iter().find(|left| left.by.as_ref() == Some(name))?;
        let what = match left.in_flight {
            0 => drained(left.drained),
            1 => "drains, 1 request in flight".to_owned(),
            many => format!("drains, {many} requests in flight"),
        };
        Some(format!("{} {what}", left.name))
    }
}

/// Whether one that was never seen to run may have served until now: whoever looks only now has missed that.
fn may_have_served(replica: &ReplicaProgress) -> bool {
    let phase = replica.status.as_ref().map(|status| &status.phase);
    !matches!(phase, Some(ReplicaPhase::Retained | ReplicaPhase::Stopping | ReplicaPhase::Gone))
}

#[cfg(test)]
mod tests {
    use super::super::progress::tests::snapshot;
    use super::*;

    /// `a` and `b` are new, `x` and `y` old; those in `leaving` leave.
    fn at(names: &[&str], leaving: &[&str], drained: u64) -> OperationProgress {
        let phases: Vec<_> = names.iter().map(|name| (*name, ReplicaPhase::Ready)).collect();
        let mut progress = snapshot(1, &phases);
        progress.from = Some(RevisionNumber(1));
        for replica in &mut progress.replicas {
            let name = replica.name.as_str();
            replica.runs = !leaving.contains(&name);
            if name >= "x" {
                (replica.revision, replica.drained) = (RevisionNumber(1), drained);
            }
        }
        progress
    }

    #[test]
    fn who_leaves_belongs_to_the_last_that_arrived() {
        let mut story = Story::default();
        story.take(&at(&["a", "x", "y"], &[], 0));
        assert_eq!(story.replaced_by(&"a".into()), None);
        let mut drains = at(&["a", "x", "y"], &["x"], 2);
        drains.replicas[1].in_flight = 3;
        story.take(&drains);
        assert_eq!(story.replaced_by(&"a".into()).as_deref(), Some("x drains, 3 requests in flight"));
        story.take(&at(&["a", "b", "y"], &["y"], 1));
        assert_eq!(story.replaced_by(&"a".into()).as_deref(), Some("x drained 2 requests"));
        assert_eq!(story.replaced_by(&"b".into()).as_deref(), Some("y drained 1 request"));
        assert!(story.has_successor(&"y".into()) && !story.has_successor(&"a".into()));
    }

    #[test]
    fn the_last_that_leaves_belongs_to_the_story() {
        let mut story = Story::default();
        story.take(&at(&["a", "x"], &["x"], 1));
        story.take(&OperationProgress { from: None, ..at(&["a", "x"], &["x"], 3) });
        assert_eq!(story.replaced_by(&"a".into()).as_deref(), Some("x drained 3 requests"));
        assert!(story.rolls() && story.has_successor(&"x".into()));
        let mut rest = Story::default();
        rest.take(&OperationProgress { from: None, ..at(&["a", "x"], &["x"], 1) });
        assert!(!rest.rolls() && !rest.has_successor(&"x".into()), "a replica fewer replaces nobody");
    }

    #[test]
    fn a_container_that_was_kept_leaves_no_place() {
        let with = |phase: ReplicaPhase| {
            let mut progress = at(&["a", "x"], &["x"], 0);
            progress.replicas[1].status.as_mut().unwrap().phase = phase;
            progress
        };
        let mut story = Story::default();
        for phase in [ReplicaPhase::Retained, ReplicaPhase::Stopping, ReplicaPhase::Gone] {
            story.take(&with(phase));
            assert!(!story.has_successor(&"x".into()));
        }
    }

    #[test]
    fn another_rollout_is_another_story() {
        let mut story = Story::default();
        story.take(&at(&["a", "x"], &["x"], 1));
        assert!(story.has_successor(&"x".into()));
        story.take(&OperationProgress { target: RevisionNumber(3), ..at(&["a", "x"], &[], 0) });
        assert!(!story.has_successor(&"x".into()));
    }
}
