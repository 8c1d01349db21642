//! The store as a lease holder uses it: every transaction also requires that the holder still has its lease.
//!
//! The leader of a cluster, or the agent of a node, writes a key with its lease before it acts. A holder that was cut off
//! and comes back after another took over would otherwise write over its successor's decisions.
//! Reads and watches pass unchanged: they may be stale, and every decision ends in a transaction.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::{
    Compare, LeaseId, Listing, Store, StoreEntry, StoreError, StoreIdentity, Txn, TxnOutcome, WatchEvent,
};

/// The key that a holder wrote with its lease, and the revision of that write. It holds as long as the key does: the key
/// is deleted when the lease lapses, and a successor writes it at another revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreFence {
    pub key: String,
    pub mod_revision: u64,
}

impl StoreFence {
    fn compare(&self) -> Compare {
        Compare::ModRevision(self.key.clone(), self.mod_revision)
    }
}

/// A store that refuses every transaction of a holder that lost its lease, with [`StoreError::Fenced`].
pub struct FencedStore {
    inner: Arc<dyn Store>,
    fence: StoreFence,
}

impl FencedStore {
    /// The store as seen by the holder of this fence.
    pub fn new(inner: Arc<dyn Store>, fence: StoreFence) -> Self {
        Self { inner, fence }
    }

    async fn holds(&self) -> Result<bool, StoreError> {
        let entry = self.inner.get(&self.fence.key).await?;
        Ok(entry.is_some_and(|entry| entry.mod_revision == self.fence.mod_revision))
    }
}

#[async_trait]
impl Store for FencedStore {
    fn identity(&self) -> &StoreIdentity {
        self.inner.identity()
    }

    async fn get(&self, key: &str) -> Result<Option<StoreEntry>, StoreError> {
        self.inner.get(key).await
    }

    async fn list(&self, prefix: &str) -> Result<Listing, StoreError> {
        self.inner.list(prefix).await
    }

    async fn txn(&self, mut txn: Txn) -> Result<TxnOutcome, StoreError> {
        txn.compare.push(self.fence.compare());
        let outcome = self.inner.txn(txn).await?;
        // A conflict may be the caller's own, after which it reads again and retries.
        match outcome {
            TxnOutcome::Conflict { .. } if !self.holds().await? => {
                Err(StoreError::Fenced { key: self.fence.key.clone() })
            }
            TxnOutcome::Conflict { .. } | TxnOutcome::Committed { .. } => Ok(outcome),
        }
    }

    async fn watch(
        &self,
        prefix: &str,
        from_revision: u64,
    ) -> Result<BoxStream<'static, WatchEvent>, StoreError> {
        self.inner.watch(prefix, from_revision).await
    }

    async fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.inner.grant_lease(ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.inner.keep_alive(lease).await
    }

    async fn revoke_lease(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.inner.revoke_lease(lease).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::RealClock;
    use crate::store::{EmbeddedStore, Op};

    /// Writes the holder's key with a lease of its own.
    async fn acquire(store: &Arc<dyn Store>) -> (LeaseId, StoreFence) {
        let lease = store.grant_lease(Duration::from_secs(5)).await.unwrap();
        let key = "meta/leader".to_owned();
        let ops = vec![Op::Put { key: key.clone(), value: b"me".to_vec(), lease: Some(lease) }];
        match store.txn(Txn { compare: Vec::new(), ops }).await.unwrap() {
            TxnOutcome::Committed { revision } => (lease, StoreFence { key, mod_revision: revision }),
            TxnOutcome::Conflict { .. } => panic!("nothing was compared"),
        }
    }

    fn put(key: &str, compare: Vec<Compare>) -> Txn {
        Txn { compare, ops: vec![Op::put(key, &1)] }
    }

    #[tokio::test]
    async fn fenced_store_rejects_writes_after_lease_loss() {
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory(Arc::new(RealClock::new())).unwrap());
        let (lease, fence) = acquire(&store).await;
        let fenced = FencedStore::new(store.clone(), fence);
        assert!(matches!(fenced.txn(put("a", vec![])).await, Ok(TxnOutcome::Committed { .. })));
        let own = fenced.txn(put("a", vec![Compare::Absent("a".into())])).await;
        assert!(matches!(own, Ok(TxnOutcome::Conflict { .. })), "the caller's own comparison: {own:?}");

        store.revoke_lease(lease).await.unwrap();
        let lost = Err(StoreError::Fenced { key: "meta/leader".into() });
        assert_eq!(fenced.txn(put("b", vec![])).await, lost, "the lease has lapsed");
        acquire(&store).await;
        assert_eq!(fenced.txn(put("b", vec![])).await, lost, "another holder has taken over");
        assert_eq!(store.get("b").await, Ok(None));
    }
}
