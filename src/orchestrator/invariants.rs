//! What no plan may ever do, checked against the view it was made from.
//!
//! Each rule is about what the plan *causes*: a state that is broken already (two replicas crashed, too many run) is no
//! violation, a move that makes it worse is.

use std::collections::BTreeSet;

use super::bounds::Bounds;
use super::census::{has_ended, is_available, is_gone};
use super::{Changes, InvalidPlan, MOST_OPERATIONS, ReplicaView, ServiceView, Violation, pause, strategies};
use crate::model::{Cause, Desired, Replica, ReplicaName, Revision, RevisionNumber, Rollout, RolloutState};

/// The plan, if it breaks no rule.
///
/// # Errors
/// The rules that it breaks.
pub fn validate(view: &ServiceView, changes: Changes) -> Result<Changes, InvalidPlan> {
    let violations = check(view, &changes);
    if violations.is_empty() { Ok(changes) } else { Err(InvalidPlan { violations }) }
}

/// Every rule that this plan breaks.
pub fn check(view: &ServiceView, changes: &Changes) -> Vec<Violation> {
    let mut found = Vec::new();
    if changes.is_empty() {
        return found;
    }
    let plan = CheckedPlan { view, changes };
    plan.counts(&mut found);
    plan.slots(&mut found);
    plan.replicas(&mut found);
    plan.revisions(&mut found);
    plan.size(&mut found);
    found
}

struct CheckedPlan<'a> {
    view: &'a ServiceView,
    changes: &'a Changes,
}

impl<'a> CheckedPlan<'a> {
    fn before(&self, name: &ReplicaName) -> Option<&'a ReplicaView> {
        self.view.replicas.iter().find(|r| r.replica.name == *name)
    }

    fn revision(&self, number: RevisionNumber) -> Option<&'a Revision> {
        let new = self.changes.new_revision.as_ref().filter(|revision| revision.number == number);
        new.or_else(|| self.view.revisions.get(&number))
    }

    fn rollout(&self) -> Option<&'a Rollout> {
        self.changes.rollout.as_ref().or(self.view.rollout.as_ref())
    }

    /// Replicas as they are after the plan, with what was seen of them.
    fn after(&self) -> impl Iterator<Item = (&'a Replica, Option<&'a ReplicaView>)> {
        let CheckedPlan { view, changes } = *self;
        let put = |name: &ReplicaName| changes.put_replicas.iter().find(|r| r.name == *name);
        let old = view.replicas.iter().filter(|r| !changes.delete_replicas.contains(&r.replica.name));
        let old = old.map(move |r| (put(&r.replica.name).unwrap_or(&r.replica), Some(r)));
        let known = move |r: &&Replica| view.replicas.iter().any(|v| v.replica.name == r.name);
        old.chain(changes.put_replicas.iter().filter(move |r| !known(r)).map(|r| (r, None)))
    }

    /// Replicas that the plan takes out and that serve.
    fn stopped_serving(&self) -> impl Iterator<Item = (&'a Replica, &'a ReplicaView)> {
        let view = self.view;
        self.after().filter_map(move |(replica, before)| {
            let before = before.filter(|b| b.replica.runs() && is_available(view, b))?;
            (!replica.runs()).then_some((replica, before))
        })
    }

    fn counts(&self, found: &mut Vec<Violation>) {
        if self.view.service.deleted_at.is_some() {
            return;
        }
        let Some(target) = self.rollout().and_then(|rollout| self.revision(rollout.target)) else { return };
        let bounds = strategies::of(self.view, target).bounds(self.view, target);
        let serves = |b: &ReplicaView| is_available(self.view, b) && !is_gone(b);
        let left = self.after().filter(|(r, b)| r.runs() && b.is_some_and(serves)).count();
        if left < bounds.floor && self.stopped_serving().next().is_some() {
            found.push(Violation::BelowFloor { left, floor: bounds.floor });
        }
        self.ceiling(found);
        self.rollback(bounds, found);
        self.pause(found);
    }

    /// New replicas find room next to the replicas that they wait for.
    fn ceiling(&self, found: &mut Vec<Violation>) {
        let started = self.after().filter(|(_, before)| before.is_none());
        let made: BTreeSet<RevisionNumber> = started.map(|(replica, _)| replica.revision).collect();
        for made in made.into_iter().filter_map(|number| self.revision(number)) {
            let strategy = strategies::of(self.view, made);
            let Bounds { ceiling, .. } = strategy.bounds(self.view, made);
            let blockers = |b: &ReplicaView| strategy.waits_for(self.view, made, b);
            let running = self.after().filter(|(r, before)| r.runs() || before.is_some_and(blockers)).count();
            if running > ceiling {
                found.push(Violation::AboveCeiling { running, ceiling });
            }
        }
    }

    fn pause(&self, found: &mut Vec<Violation>) {
        if self.rollout().and_then(|rollout| pause::in_force(self.view, rollout)).is_none() {
            return;
        }
        for put in &self.changes.put_replicas {
            let Some(was) = self.before(&put.name).filter(|was| was.replica.runs()) else { continue };
            let scaled = put.desired == Desired::Remove { cause: Cause::ScaledDown };
            if !scaled && (!put.runs() || put.revision != was.replica.revision) {
                found.push(Violation::PausedMoves(put.name.clone()));
            }
        }
    }

    fn rollback(&self, bounds: Bounds, found: &mut Vec<Violation>) {
        let Some(rollout) = self.rollout() else { return };
        if !matches!(rollout.state, RolloutState::RollingBack { .. }) {
            return;
        }
        let revisions = &self.view.revisions;
        let target = revisions.get(&rollout.target);
        let same = |n: RevisionNumber| {
            revisions.get(&n).zip(target).is_some_and(|(own, target)| own.same_template(target))
        };
        let of_target = self.after().filter(|(r, _)| r.runs() && same(r.revision)).count();
        for (replica, before) in self.stopped_serving() {
            let too_many =
                replica.desired == Desired::Remove { cause: Cause::ScaledDown } && of_target >= bounds.wanted;
            if before.replica.revision == rollout.target && !too_many {
                found.push(Violation::RollbackStopsHealthy(replica.name.clone()));
            }
        }
    }

    fn slots(&self, found: &mut Vec<Violation>) {
        let mut held = BTreeSet::new();
        let there = |b: &ReplicaView| !has_ended(b);
        for (replica, before) in self.after().filter(|(_, b)| b.is_none_or(there)) {
            if !held.insert(replica.slot) && before.is_none() {
                found.push(Violation::SlotShared(replica.slot));
            }
        }
    }

    fn replicas(&self, found: &mut Vec<Violation>) {
        let issued = |r: Option<&Rollout>, n| r.and_then(|r| r.issued_names.get(&n)).copied().unwrap_or(0);
        let mut names = BTreeSet::new();
        for put in &self.changes.put_replicas {
            match self.before(&put.name) {
                Some(seen) => {
                    let was = &seen.replica;
                    let removes = matches!(put.desired, Desired::Remove { .. });
                    let way_back = match was.desired {
                        Desired::Remove { .. } => true,
                        Desired::Retain { .. } => !removes,
                        Desired::Run => false,
                    };
                    if way_back {
                        found.push(Violation::WayBack(put.name.clone()));
                    }
                    let kept = Replica { revision: put.revision, desired: put.desired, ..was.clone() };
                    if kept != *put {
                        found.push(Violation::Altered(put.name.clone()));
                    }
                }
                None => {
                    let earlier = issued(self.view.rollout.as_ref(), put.revision);
                    let later = issued(self.rollout(), put.revision);
                    let of = |n| ReplicaName::of(&put.service, put.revision, n);
                    if !(earlier..later).any(|n| of(n) == put.name) || !names.insert(&put.name) {
                        found.push(Violation::NameReused(put.name.clone()));
                    }
                }
            }
        }
        for name in &self.changes.delete_replicas {
            if !self.before(name).is_some_and(is_gone) {
                found.push(Violation::DeletedAlive(name.clone()));
            }
        }
    }

    fn revisions(&self, found: &mut Vec<Violation>) {
        let last = self.view.rollout.as_ref().map(|r| r.last_revision);
        if let Some(new) = &self.changes.new_revision
            && (self.view.revisions.contains_key(&new.number) || last.is_some_and(|l| new.number <= l))
        {
            found.push(Violation::RevisionNumber(new.number));
        }
        let new = self.changes.new_revision.as_ref().map(|revision| revision.number);
        for number in self.changes.outcomes.keys() {
            if new != Some(*number) && !self.view.revisions.contains_key(number) {
                found.push(Violation::OutcomeOfNothing(*number));
            }
        }
        let Some(rollout) = self.rollout() else { return };
        for number in &self.changes.drop_revisions {
            let used = self.after().any(|(r, _)| r.revision == *number);
            let named = [Some(rollout.target), rollout.stable, Some(rollout.last_revision)];
            if used || named.contains(&Some(*number)) {
                found.push(Violation::RevisionNeeded(*number));
            }
        }
    }

    fn size(&self, found: &mut Vec<Violation>) {
        let Changes { put_replicas, delete_replicas, drop_revisions, outcomes, events, .. } = self.changes;
        let replicas = put_replicas.len() + 2 * delete_replicas.len();
        let operations = replicas + 2 * drop_revisions.len() + outcomes.len() + events.len();
        // Some more than planned for: how a rollout ended is always written (two events) and recorded.
        if operations > MOST_OPERATIONS + 3 {
            found.push(Violation::TooLarge(operations));
        }
        let replicas_left = self.after().next().is_some();
        if self.changes.forget_service && replicas_left {
            found.push(Violation::ForgottenAlive);
        }
        if self.changes.remove_volumes && (replicas_left || !self.view.service.deletes_volumes) {
            found.push(Violation::VolumesNeeded);
        }
    }
}
