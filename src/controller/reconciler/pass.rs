//! The orchestrator's loop: read a service, plan, commit, and know when to look again.
//!
//! One pass at a time; a pass rereads everything and is idempotent. What is kept between passes decides nothing but time.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::MutexGuard;

use super::error_count::{Attempt, RolloutErrorCount};
use super::readiness::Serving;
use super::volume_removal::Removal;
use crate::controller::Controller;
use crate::controller::service_state::ServiceState;
use crate::events::{EventWriter, append_to};
use crate::model::{Endpoint, Millis, Mono, NodeId, Replica, ReplicaName, ServiceName, key};
use crate::orchestrator::{self, Blocker, Changes, InvalidPlan, ReplicaView, ServiceView};
use crate::registry::Barrier;
use crate::store::{Compare, Op, StoreError, TXN_MAX_OPS, Txn, TxnOutcome};

/// The most that one pass adds to a deadline: a controller that was held up (a suspended machine, a stopped process)
/// must not find every deadline passed.
const WAIT_PER_PASS_MAX: Millis = Millis::secs(30);

/// When a service whose plan was refused is planned again, if nothing wakes it before.
const RETRY_REFUSED_PLAN_AFTER: Millis = Millis::secs(5);

/// Time of one service that counts towards a deadline and is not stored yet.
#[derive(Debug, Default)]
pub(crate) struct Wait {
    unsaved: Millis,
    last_pass: Option<Mono>,
    runs: bool,
}

impl Wait {
    /// Time counts from one pass to the next where something could have come of it at both.
    fn pass(&mut self, now: Mono, counts: bool) -> Millis {
        if let Some(last) = self.last_pass.filter(|_| self.runs && counts) {
            self.unsaved = self.unsaved.plus(now.since(last).min(WAIT_PER_PASS_MAX));
        }
        self.last_pass = counts.then_some(now);
        self.unsaved
    }

    /// The store was away: the time until the next pass does not count.
    fn interrupt(&mut self) {
        self.last_pass = None;
    }

    fn planned(&mut self, changes: &Changes) {
        if changes.rollout.is_some() {
            self.unsaved = Millis(0);
        }
        self.runs = changes.clock_runs;
    }
}

/// What the controller remembers of a service between passes.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) serving: Serving,
    pub(crate) wait: Wait,
    pub(crate) volumes: Removal,
    /// Requests that failed in its rollout.
    pub(crate) error_count: Attempt,
    /// What its last pass waited for.
    pub(crate) blockers: Vec<Blocker>,
    /// When that was.
    pub(crate) held_at: Mono,
}

impl Memory {
    /// Takes in a pass that was committed.
    fn passed(&mut self, stored: &ServiceState, changes: &Changes, barrier: &Barrier, now: Mono) {
        self.wait.planned(changes);
        (self.blockers, self.held_at) = (changes.blockers.clone(), now);
        let before = stored.rollout.as_ref();
        if let Some(after) = changes.rollout.as_ref().or(before) {
            let counted = RolloutErrorCount::of(barrier.report.as_deref(), stored.service.name());
            self.error_count.pass(before, after, counted);
        }
    }
}

/// The input of a decision, from what is stored and what is known beside it.
pub(crate) fn view(
    stored: &ServiceState,
    serving: &BTreeMap<ReplicaName, Millis>,
    nodes: &[NodeId],
    unsaved_wait: Millis,
) -> ServiceView {
    let replica = |replica: &Replica| ReplicaView {
        replica: replica.clone(),
        status: stored.statuses.get(&replica.name).cloned(),
        serving_for: serving.get(&replica.name).copied(),
    };
    ServiceView {
        service: stored.service.clone(),
        rollout: stored.rollout.clone(),
        traffic: stored.traffic.clone(),
        revisions: stored.revisions.clone(),
        replicas: stored.replicas.iter().map(replica).collect(),
        nodes: nodes.to_vec(),
        unsaved_wait,
    }
}

impl Controller {
    /// One pass over one service.
    ///
    /// # Errors
    /// The store's; the time until the next pass does not count towards a deadline then.
    pub async fn pass(&self, name: &ServiceName) -> Result<(), StoreError> {
        let passed = self.try_pass(name).await;
        if passed.is_err() {
            self.remembered(name, |memory| memory.wait.interrupt());
        }
        passed
    }

    async fn try_pass(&self, name: &ServiceName) -> Result<(), StoreError> {
        let Some(stored) = ServiceState::read(self.store.as_ref(), name).await? else {
            self.forget(name);
            return self.drop_last_words(name).await;
        };
        let now = self.clock.now();
        // Before the barrier is read: a word of the balancer that comes in between wants another pass.
        self.awaiting().insert(name.clone());
        let barrier = self.registry.barrier();
        // Nothing becomes available that no balancer acknowledges, and that is no fault of the release.
        let counts = self.engine_answers() && barrier.report.is_some();
        let (serving, unsaved) = self.remembered(name, |memory| {
            let serving = memory.serving.observe(&stored, &barrier, now.mono);
            (serving, memory.wait.pass(now.mono, counts))
        });
        if !awaits_balancer(&stored, &serving, &barrier) {
            self.awaiting().remove(name);
        }
        let changes = match orchestrator::plan(&view(&stored, &serving, &self.nodes, unsaved), now) {
            Ok(changes) => changes,
            Err(invalid) => {
                self.refuse_plan(name, &invalid, now.mono);
                return Ok(());
            }
        };
        if changes.forget_service && stored.service.deletes_volumes && !self.volumes_are_gone(&stored.service)
        {
            return Ok(());
        }
        let nothing = changes.is_empty() && stored.stray_statuses().next().is_none();
        let committed = nothing || self.commit(&stored, &changes).await?;
        if committed {
            self.remembered(name, |memory| memory.passed(&stored, &changes, &barrier, now.mono));
            let at = changes.wake_after.map(|wait| now.mono.after(wait));
            self.queued(|queue| queue.mark_at(name.clone(), at));
        } else {
            self.mark(name.clone());
        }
        Ok(())
    }

    /// A plan that breaks an invariant is a defect of the orchestrator: nothing of it is written, and the service stays as
    /// it is until another pass makes a plan that is valid.
    fn refuse_plan(&self, name: &ServiceName, invalid: &InvalidPlan, now: Mono) {
        tracing::error!(service = %name, violations = %invalid, "plan refused; nothing is written");
        let violations = invalid.violations.iter().map(ToString::to_string).collect();
        self.remembered(name, |memory| {
            memory.wait.interrupt();
            memory.blockers = vec![Blocker::PlanRefused { violations }];
            memory.held_at = now;
        });
        self.queued(|queue| queue.mark_at(name.clone(), Some(now.after(RETRY_REFUSED_PLAN_AFTER))));
    }

    /// Services whose replicas wait for a balancer's word: they are looked at when it comes.
    pub(crate) fn awaiting(&self) -> MutexGuard<'_, BTreeSet<ServiceName>> {
        self.unacknowledged.lock()
    }

    /// Writes a plan; `false` where someone wrote the service in between, and the plan is void.
    async fn commit(&self, stored: &ServiceState, changes: &Changes) -> Result<bool, StoreError> {
        let name = stored.service.name();
        if changes.forget_service {
            return self.forget_stored(stored).await;
        }
        let mut ops = Vec::new();
        if let Some(rollout) = &changes.rollout {
            ops.push(Op::put(key::rollout(name), rollout));
        }
        if let Some(traffic) = &changes.traffic {
            ops.push(Op::put(key::traffic(name), traffic));
        }
        if let Some(revision) = &changes.new_revision {
            ops.push(Op::put(key::revision(name, revision.number), revision));
        }
        ops.extend(changes.outcomes.values().map(|o| Op::put(key::outcome(name, o.revision), o)));
        ops.extend(changes.put_replicas.iter().map(|r| Op::put(key::replica(name, &r.name), r)));
        for gone in &changes.delete_replicas {
            ops.push(Op::delete(key::replica(name, gone)));
            ops.push(Op::delete(key::status(name, gone)));
        }
        for number in &changes.drop_revisions {
            ops.push(Op::delete(key::revision(name, *number)));
            ops.push(Op::delete(key::outcome(name, *number)));
        }
        ops.extend(append_to(self.store.as_ref(), name, EventWriter::Orchestrator, &changes.events).await?);
        // An agent may say its last word of a replica after that was deleted.
        let room = TXN_MAX_OPS.saturating_sub(ops.len());
        ops.extend(stored.stray_statuses().take(room).map(|gone| Op::delete(key::status(name, gone))));
        let compare = vec![
            Compare::ModRevision(key::service(name), stored.service_revision),
            match stored.rollout_revision {
                Some(revision) => Compare::ModRevision(key::rollout(name), revision),
                None => Compare::Absent(key::rollout(name)),
            },
        ];
        Ok(matches!(self.store.txn(Txn { compare, ops }).await?, TxnOutcome::Committed { .. }))
    }

    /// Removes every key of a deleted service, the Service itself last.
    async fn forget_stored(&self, stored: &ServiceState) -> Result<bool, StoreError> {
        let name = stored.service.name();
        let mut ops = Vec::new();
        // The plan that finds the last replicas gone is the one that forgets the service: their keys are still there.
        for prefix in [
            key::revisions_of(name),
            key::outcomes_of(name),
            key::replicas_of(name),
            key::statuses_of(name),
            key::endpoints_of(name),
            key::events_of(name),
        ] {
            let listing = self.store.list(&prefix).await?;
            ops.extend(listing.entries.into_iter().map(|entry| Op::delete(entry.key)));
        }
        ops.push(Op::delete(key::rollout(name)));
        ops.push(Op::delete(key::traffic(name)));
        ops.push(Op::delete(key::applied(name)));
        for chunk in ops.chunks(TXN_MAX_OPS) {
            self.store.txn(Txn { compare: Vec::new(), ops: chunk.to_vec() }).await?;
        }
        let unchanged = Compare::ModRevision(key::service(name), stored.service_revision);
        let txn = Txn { compare: vec![unchanged], ops: vec![Op::delete(key::service(name))] };
        let gone = matches!(self.store.txn(txn).await?, TxnOutcome::Committed { .. });
        if gone {
            tracing::info!(service = %name, "deleted");
        }
        Ok(gone)
    }

    /// What an agent said of a service's replicas after the service was forgotten: a later one of the same name must not
    /// find it.
    async fn drop_last_words(&self, name: &ServiceName) -> Result<(), StoreError> {
        let mut left = self.store.list(&key::statuses_of(name)).await?.entries;
        left.extend(self.store.list(&key::events_of(name)).await?.entries);
        for chunk in left.chunks(TXN_MAX_OPS) {
            let ops = chunk.iter().map(|entry| Op::delete(entry.key.clone())).collect();
            let compare = vec![Compare::Absent(key::service(name))];
            self.store.txn(Txn { compare, ops }).await?;
        }
        Ok(())
    }

    pub(crate) fn remembered<T>(&self, name: &ServiceName, f: impl FnOnce(&mut Memory) -> T) -> T {
        let mut memory = self.memory.lock();
        f(memory.entry(name.clone()).or_default())
    }

    fn forget(&self, name: &ServiceName) {
        self.memory.lock().remove(name);
        self.awaiting().remove(name);
    }
}

/// Whether an endpoint of the service is in the store and not yet acknowledged by every balancer.
fn awaits_balancer(
    stored: &ServiceState,
    serving: &BTreeMap<ReplicaName, Millis>,
    barrier: &Barrier,
) -> bool {
    let awaited = |(name, endpoint): (&ReplicaName, &Endpoint)| {
        !serving.contains_key(name) && !barrier.acked_present(&endpoint.id())
    };
    stored.endpoints.iter().any(awaited)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting() -> Wait {
        Wait { runs: true, ..Wait::default() }
    }

    #[test]
    fn time_counts_from_pass_to_pass_and_thirty_seconds_at_most() {
        let mut wait = waiting();
        assert_eq!(wait.pass(Mono(1_000), true), Millis(0));
        assert_eq!(wait.pass(Mono(3_000), true), Millis(2_000));
        assert_eq!(wait.pass(Mono(900_000), true), Millis(32_000));
    }

    #[test]
    fn time_without_engine_balancer_or_store_does_not_count() {
        let mut wait = waiting();
        wait.pass(Mono(0), true);
        wait.pass(Mono(9_000), false);
        assert_eq!(wait.pass(Mono(18_000), true), Millis(0), "neither the way out nor the way back counts");
        assert_eq!(wait.pass(Mono(19_000), true), Millis(1_000));
        wait.interrupt();
        assert_eq!(wait.pass(Mono(28_000), true), Millis(1_000));
    }
}
