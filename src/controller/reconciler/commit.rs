//! Writing a plan: one transaction, which fails if the service or its rollout changed since the plan was made.

use super::handle::Reconciler;
use crate::controller::service_state::ServiceState;
use crate::events::{EventWriter, append_to};
use crate::model::{ObjectRef, ServiceName, key};
use crate::orchestrator::Changes;
use crate::store::{Compare, Op, StoreError, TXN_MAX_OPS, Txn, TxnOutcome};

impl Reconciler {
    /// Writes a plan; `false` if another writer changed the service in between, which voids the plan.
    pub(super) async fn commit(&self, state: &ServiceState, changes: &Changes) -> Result<bool, StoreError> {
        let name = state.service.name();
        if changes.forget_service {
            return self.forget_stored(state, changes).await;
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
        // An agent may report a replica a last time after it was deleted.
        let room = TXN_MAX_OPS.saturating_sub(ops.len());
        ops.extend(state.stray_statuses().take(room).map(|gone| Op::delete(key::status(name, gone))));
        let compare =
            vec![Compare::ModRevision(key::service(name), state.service_revision), state.rollout_unchanged()];
        Ok(matches!(self.store.txn(Txn { compare, ops }).await?, TxnOutcome::Committed { .. }))
    }

    /// Removes every key of a deleted service, the Service itself last. Its events stay for a day.
    async fn forget_stored(&self, state: &ServiceState, changes: &Changes) -> Result<bool, StoreError> {
        let name = state.service.name();
        // The rollout has what the deletion cut and goes last: a controller that ends on the way finds it.
        let rollout = changes.rollout.iter().map(|rollout| Op::put(key::rollout(name), rollout));
        let mut ops: Vec<Op> = rollout.collect();
        // The plan that finds the last replicas gone is the one that forgets the service: their keys are still there.
        for prefix in ServiceState::prefixes(name) {
            let listing = self.store.list(&prefix).await?;
            ops.extend(listing.entries.into_iter().map(|entry| Op::delete(entry.key)));
        }
        ops.push(Op::delete(key::traffic(name)));
        ops.push(Op::delete(key::applied(&ObjectRef::from(name))));
        for chunk in ops.chunks(TXN_MAX_OPS) {
            self.store.txn(Txn { compare: Vec::new(), ops: chunk.to_vec() }).await?;
        }
        let unchanged = Compare::ModRevision(key::service(name), state.service_revision);
        let mut ops =
            append_to(self.store.as_ref(), name, EventWriter::Orchestrator, &changes.events).await?;
        ops.push(Op::delete(key::rollout(name)));
        ops.push(Op::delete(key::service(name)));
        let txn = Txn { compare: vec![unchanged], ops };
        let gone = matches!(self.store.txn(txn).await?, TxnOutcome::Committed { .. });
        if gone {
            tracing::info!(service = %name, "deleted");
        }
        Ok(gone)
    }

    /// Deletes what an agent wrote after the service was forgotten: a later service of the same name must not find it.
    pub(super) async fn drop_last_writes(&self, name: &ServiceName) -> Result<(), StoreError> {
        let remaining = self.store.list(&key::statuses_of(name)).await?.entries;
        for chunk in remaining.chunks(TXN_MAX_OPS) {
            let ops = chunk.iter().map(|entry| Op::delete(entry.key.clone())).collect();
            let compare = vec![Compare::Absent(key::service(name))];
            self.store.txn(Txn { compare, ops }).await?;
        }
        Ok(())
    }
}
