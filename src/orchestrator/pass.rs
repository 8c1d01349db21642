//! The state of one pass: the rollout as it will be, what is written so far, and how much more a transaction holds.

use std::collections::BTreeSet;

use super::bounds::Bounds;
use super::census::{Census, ClassifiedReplica, has_ended};
use super::moves::Move;
use super::{Blocker, Changes, ServiceView, placement};
use crate::model::{
    Cause, Desired, Event, EventKind, EventReason, Millis, Now, OutcomeRecord, Replica, ReplicaName,
    Revision, RevisionNumber, RevisionOutcome, Rollout, RolloutState,
};

/// Store operations a plan asks for at most. A transaction holds 128; the rest is left for the rollout, the revision and
/// for what the controller writes with them (older events that make room for new ones).
pub const MOST_OPERATIONS: usize = 96;

/// Time waited is saved once this much of it is unsaved: a crash loses at most this, and a rollout under way costs one
/// small write in that time.
pub const SAVE_WAIT_EVERY: Millis = Millis::secs(5);

/// A pass over one service.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    pub(super) view: &'a ServiceView,
    pub(super) now: Now,
    /// The rollout as this pass leaves it.
    pub(super) rollout: Rollout,
    /// The revision `rollout.target` names.
    pub(super) target: &'a Revision,
    pub(super) census: Census<'a>,
    pub(super) bounds: Bounds,
    pub(super) changes: Changes,
    /// Whether the time not yet saved is void: there was progress, or another state began.
    wait_restarted: bool,
    operations: usize,
}

impl<'a> Pass<'a> {
    pub(super) fn begin(
        view: &'a ServiceView,
        now: Now,
        rollout: Rollout,
        target: &'a Revision,
        bounds: Bounds,
        events: Vec<Event>,
    ) -> Self {
        Self {
            view,
            now,
            rollout,
            target,
            census: Census::take(view, target),
            bounds,
            operations: events.len(),
            changes: Changes { events, ..Changes::default() },
            wait_restarted: false,
        }
    }

    /// Makes another revision the target, with the bounds of the strategy that leads to it.
    pub(super) fn aim_at(&mut self, target: &'a Revision, bounds: Bounds) {
        self.rollout.target = target.number;
        self.target = target;
        self.census = Census::take(self.view, target);
        self.bounds = bounds;
    }

    /// Enters another state.
    pub(super) fn enter(&mut self, state: RolloutState) {
        self.rollout.state = state;
        self.rollout.since = self.now.wall;
        self.reset_failure_baseline();
        self.restart_wait();
    }

    /// Failures until now do not count against the state that begins.
    pub(super) fn reset_failure_baseline(&mut self) {
        self.rollout.failure_baseline.clear();
        if self.rollout.state.is_under_way() {
            let running = self.view.replicas.iter().filter(|r| r.replica.runs());
            let failed = running.filter_map(|r| r.status.as_ref()).filter(|status| status.failures > 0);
            self.rollout
                .failure_baseline
                .extend(failed.map(|status| (status.replica.clone(), status.failures)));
        }
    }

    /// The time without progress counts from zero again.
    pub(super) fn restart_wait(&mut self) {
        self.wait_restarted = true;
        if let Some(waited) = self.rollout.state.waited_mut() {
            *waited = Millis(0);
        }
    }

    /// Time without progress as of now; zero in a state that waits for nothing.
    pub(super) fn waited(&self) -> Millis {
        match &self.rollout.state {
            RolloutState::Progressing { waited, .. } | RolloutState::RollingBack { waited, .. } => {
                waited.plus(self.unsaved())
            }
            RolloutState::Complete | RolloutState::RolledBack { .. } | RolloutState::Failed { .. } => {
                Millis(0)
            }
        }
    }

    /// The part of that time that is not yet in the rollout.
    pub(super) fn unsaved(&self) -> Millis {
        if self.wait_restarted { Millis(0) } else { self.view.unsaved_wait }
    }

    /// Whether a replica serves well enough to be relied on for the next move, and for the rollout to be complete: it has
    /// served for `healthyFor`.
    pub(super) fn is_relied_on(&self, seen: &ClassifiedReplica<'_>) -> bool {
        seen.available && seen.settled
    }

    /// Whether the target is all that runs, and as much of it as is wanted.
    pub(super) fn is_all_there(&self) -> bool {
        self.census.current.len() == self.bounds.wanted && self.census.running() == self.bounds.wanted
    }

    /// The start of as many replicas as are missing and the bounds of their revision allow; `None` where there is nothing
    /// to start.
    pub(super) fn start(&self, revision: &'a Revision, missing: usize, bounds: Bounds) -> Option<Move<'a>> {
        let count = missing.min(bounds.room(self.census.running()));
        (count > 0).then_some(Move::Start { revision, count })
    }

    /// Carries out a move; says whether there was anything to do.
    pub(super) fn take(&mut self, next: Move<'a>) -> bool {
        match next {
            Move::Start { revision, count } => {
                self.create(revision, count);
                count > 0
            }
            Move::Remove { replicas, cause } => {
                for replica in &replicas {
                    self.remove(replica, cause);
                }
                !replicas.is_empty()
            }
        }
    }

    /// Takes a replica out. The replica that the rollout failed for is retained for inspection.
    fn remove(&mut self, seen: &ClassifiedReplica<'_>, cause: Cause) {
        let failed_for = self.rollout.state.back_from().and_then(|failure| failure.reason.case());
        let desired = match failed_for.is_some_and(|case| case.replica == seen.view.replica.name) {
            true => Desired::Retain { cause },
            false => Desired::Remove { cause },
        };
        self.put(Replica { desired, ..seen.view.replica.clone() });
    }

    pub(super) fn put(&mut self, replica: Replica) {
        if self.reserve(1) {
            self.changes.put_replicas.push(replica);
        }
    }

    /// Deletes a replica and its status.
    pub(super) fn delete(&mut self, name: &ReplicaName) {
        if self.reserve(2) {
            self.changes.delete_replicas.push(name.clone());
        }
    }

    /// Drops a revision with its record.
    pub(super) fn drop_revision(&mut self, revision: &Revision) {
        if self.reserve(2) {
            self.rollout.issued_names.remove(&revision.number);
            self.changes.drop_revisions.push(revision.number);
        }
    }

    /// Creates replicas of a revision, in the smallest free slots, spread over the nodes.
    ///
    /// A slot is free again when its replica is gone or stopped for good, not when it leaves: until then its container
    /// may still run.
    fn create(&mut self, revision: &Revision, count: usize) {
        let there = self.view.replicas.iter().filter(|r| !has_ended(r));
        let held: BTreeSet<u32> = there.map(|r| r.replica.slot).collect();
        let free = (1..=u32::MAX).filter(|slot| !held.contains(slot));
        for slot in free.take(count) {
            let Some(node) = placement::choose(self.view, &self.changes.put_replicas) else {
                self.changes.blockers.push(Blocker::NoNode);
                return;
            };
            if !self.reserve(1) {
                return;
            }
            let replica = Replica {
                name: self.issue_name(revision),
                service: self.view.service.name().clone(),
                app: self.view.service.metadata.app.clone(),
                slot,
                revision: revision.number,
                hash: revision.hash.clone(),
                node: node.clone(),
                created_at: Some(self.now.wall),
                desired: Desired::Run,
            };
            self.changes.put_replicas.push(replica);
        }
    }

    fn issue_name(&mut self, revision: &Revision) -> ReplicaName {
        let issued = self.rollout.issued_names.entry(revision.number).or_default();
        loop {
            let name = ReplicaName::of(&revision.service, revision.number, *issued);
            *issued = issued.saturating_add(1);
            if !self.view.replicas.iter().any(|r| r.replica.name == name) {
                return name;
            }
        }
    }

    /// Records the outcome of a revision.
    pub(super) fn record(&mut self, revision: RevisionNumber, outcome: RevisionOutcome) {
        self.operations += 1;
        let record = OutcomeRecord { revision, outcome, at: self.now.wall };
        self.changes.outcomes.insert(revision, record);
    }

    pub(super) fn event(&mut self, kind: EventKind, reason: EventReason, message: String) {
        self.operations += 1;
        self.changes.events.push(event(self.view, self.now, kind, reason, message));
    }

    /// Plan again after this long at the latest.
    pub(super) fn wake(&mut self, after: Millis) {
        let soonest = self.changes.wake_after.map_or(after, |before| before.min(after));
        self.changes.wake_after = Some(soonest);
    }

    /// Reserves operations of the transaction; if they do not fit, the rest of the pass waits for the next one.
    fn reserve(&mut self, operations: usize) -> bool {
        let fits = self.operations + operations <= MOST_OPERATIONS;
        if fits {
            self.operations += operations;
        } else if self.changes.blockers.last() != Some(&Blocker::TransactionFull) {
            self.changes.blockers.push(Blocker::TransactionFull);
        }
        fits
    }

    /// The plan. The rollout is written where it changed and, every few seconds, to save the time waited; a write always
    /// carries the time as of now, because it sets the view's `unsaved_wait` back to zero.
    pub(super) fn finish(mut self) -> Changes {
        let changed = self.view.rollout.as_ref() != Some(&self.rollout);
        let unsaved = self.view.unsaved_wait;
        let save = if self.wait_restarted { unsaved.0 > 0 } else { unsaved >= SAVE_WAIT_EVERY };
        if changed || (save && self.rollout.state.is_under_way()) {
            let now = self.waited();
            if let Some(waited) = self.rollout.state.waited_mut() {
                *waited = now;
            }
            self.changes.rollout = Some(self.rollout);
        }
        self.changes
    }
}

/// An event of this service.
pub(super) fn event(
    view: &ServiceView,
    now: Now,
    kind: EventKind,
    reason: EventReason,
    message: String,
) -> Event {
    let object = format!("service/{}", view.service.name());
    Event { at: now.wall, object, kind, reason, message, cut: Vec::new() }
}
