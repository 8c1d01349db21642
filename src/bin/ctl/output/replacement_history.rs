//! Which new replica replaced which old one in a rolling update, as far as ctl watched it. Pure.
//!
//! The daemon replaces by count, not in pairs. For display, an old replica is paired with the newest replica that has no
//! partner yet.

use std::collections::BTreeSet;

use coxswain::api::types::{OperationProgress, ReplicaPhaseName, ReplicaProgress};
use coxswain::model::{ReplicaName, RevisionNumber, RolloutDirection};

use super::phase_text::drained;

#[derive(Debug, Default)]
pub(crate) struct ReplacementHistory {
    target: RevisionNumber,
    /// Whether the target replaces another revision; the daemon forgets the other once its last replica is gone.
    rolls: bool,
    arrived: Vec<ReplicaName>,
    /// Replicas of other revisions seen running. A container retained after a failure never ran here.
    ran: BTreeSet<ReplicaName>,
    left: Vec<ReplacedReplica>,
}

#[derive(Debug, PartialEq, Eq)]
struct ReplacedReplica {
    name: ReplicaName,
    by: Option<ReplicaName>,
    in_flight: u64,
    drained: u64,
}

/// Whether one revision replaces another and this is not a rollback.
pub(super) fn replaces(progress: &OperationProgress) -> bool {
    progress.from.is_some() && progress.direction == RolloutDirection::Forward
}

impl ReplacementHistory {
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
            left.in_flight = 0; // set again below if it still exists
        }
        let (running, leaving): (Vec<_>, Vec<_>) =
            now.replicas.iter().filter(|r| r.revision != now.target).partition(|r| r.runs);
        self.ran.extend(running.into_iter().map(|r| r.name.clone()));
        for replica in leaving.into_iter().filter(|r| may_have_served(r) || self.ran.contains(&r.name)) {
            let at = self.left.iter().position(|left| left.name == replica.name).unwrap_or_else(|| {
                let is_free =
                    |new: &&ReplicaName| !self.left.iter().any(|left| left.by.as_ref() == Some(*new));
                let by = self.arrived.iter().rev().find(is_free).cloned();
                self.left.push(ReplacedReplica { name: replica.name.clone(), by, in_flight: 0, drained: 0 });
                self.left.len() - 1
            });
            let left = &mut self.left[at];
            left.in_flight = replica.in_flight;
            left.drained = left.drained.max(replica.drained);
        }
    }

    /// Whether one revision replaces another, or just has.
    pub(super) fn rolls(&self) -> bool {
        self.rolls
    }

    /// Whether an old replica is shown on the row of its replacement.
    pub(super) fn has_successor(&self, name: &ReplicaName) -> bool {
        self.left.iter().any(|left| left.name == *name && left.by.is_some())
    }

    /// `users-8-a drained 41 requests`, for the replica that this one replaced.
    pub(super) fn replaced_by(&self, name: &ReplicaName) -> Option<String> {
        let left = self.left.iter().find(|left| left.by.as_ref() == Some(name))?;
        let what = match left.in_flight {
            0 => drained(left.drained),
            1 => "draining, 1 request in flight".to_owned(),
            many => format!("draining, {many} requests in flight"),
        };
        Some(format!("{} {what}", left.name))
    }
}

/// Whether a replica that was never seen running may have served before ctl attached.
fn may_have_served(replica: &ReplicaProgress) -> bool {
    let phase = replica.status.as_ref().map(|status| status.phase);
    !matches!(phase, Some(ReplicaPhaseName::Retained | ReplicaPhaseName::Stopping | ReplicaPhaseName::Gone))
}

#[cfg(test)]
mod tests {
    use coxswain::model::ReplicaPhase;

    use super::super::phase_text::tests::snapshot;
    use super::*;

    /// `a` and `b` are new, `x` and `y` old; those in `leaving` are being removed.
    fn at(names: &[&str], leaving: &[&str], drained: u64) -> OperationProgress {
        let phases: Vec<_> = names.iter().map(|name| (*name, ReplicaPhase::Ready)).collect();
        let mut progress = snapshot(1, &phases);
        progress.from = Some(RevisionNumber(1));
        for replica in &mut progress.replicas {
            let name = replica.name.as_str();
            replica.runs = !leaving.contains(&name);
            if name >= "x" {
                replica.revision = RevisionNumber(1);
                replica.drained = drained;
            }
        }
        progress
    }

    #[test]
    fn replaced_by_pairs_old_with_newest_replica() {
        let mut history = ReplacementHistory::default();
        history.take(&at(&["a", "x", "y"], &[], 0));
        assert_eq!(history.replaced_by(&"a".into()), None);
        let mut drains = at(&["a", "x", "y"], &["x"], 2);
        drains.replicas[1].in_flight = 3;
        history.take(&drains);
        assert_eq!(history.replaced_by(&"a".into()).as_deref(), Some("x draining, 3 requests in flight"));
        history.take(&at(&["a", "b", "y"], &["y"], 1));
        assert_eq!(history.replaced_by(&"a".into()).as_deref(), Some("x drained 2 requests"));
        assert_eq!(history.replaced_by(&"b".into()).as_deref(), Some("y drained 1 request"));
        assert!(history.has_successor(&"y".into()) && !history.has_successor(&"a".into()));
    }

    #[test]
    fn rolls_stays_true_for_the_last_old_replica() {
        let mut history = ReplacementHistory::default();
        history.take(&at(&["a", "x"], &["x"], 1));
        history.take(&OperationProgress { from: None, ..at(&["a", "x"], &["x"], 3) });
        assert_eq!(history.replaced_by(&"a".into()).as_deref(), Some("x drained 3 requests"));
        assert!(history.rolls() && history.has_successor(&"x".into()));
        let mut rest = ReplacementHistory::default();
        rest.take(&OperationProgress { from: None, ..at(&["a", "x"], &["x"], 1) });
        assert!(!rest.rolls() && !rest.has_successor(&"x".into()), "scaling down replaces nothing");
    }

    #[test]
    fn has_successor_is_false_for_retained_containers() {
        let with = |phase: ReplicaPhaseName| {
            let mut progress = at(&["a", "x"], &["x"], 0);
            progress.replicas[1].status.as_mut().unwrap().phase = phase;
            progress
        };
        let mut history = ReplacementHistory::default();
        for phase in [ReplicaPhaseName::Retained, ReplicaPhaseName::Stopping, ReplicaPhaseName::Gone] {
            history.take(&with(phase));
            assert!(!history.has_successor(&"x".into()));
        }
    }

    #[test]
    fn take_resets_on_a_new_target() {
        let mut history = ReplacementHistory::default();
        history.take(&at(&["a", "x"], &["x"], 1));
        assert!(history.has_successor(&"x".into()));
        history.take(&OperationProgress { target: RevisionNumber(3), ..at(&["a", "x"], &[], 0) });
        assert!(!history.has_successor(&"x".into()));
    }
}
