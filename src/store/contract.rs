//! The contract of a store, which is etcd's.

use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::{LeaseId, Listing, StoreEntry, StoreError, StoreIdentity, Txn, TxnOutcome, WatchEvent};

/// The store. Contract tests run on every backend: `tests/it/store.rs`.
#[async_trait]
pub trait Store: Send + Sync {
    /// Which store, and which opening of it.
    fn identity(&self) -> &StoreIdentity;
    /// Reads a key; `None` if it does not exist.
    async fn get(&self, key: &str) -> Result<Option<StoreEntry>, StoreError>;
    /// All keys with this prefix, read at one revision.
    async fn list(&self, prefix: &str) -> Result<Listing, StoreError>;
    /// A transaction. Durable before it returns and before any watcher hears of it.
    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError>;
    /// Changes under a prefix, from that revision on (`listing.revision + 1`).
    async fn watch(
        &self,
        prefix: &str,
        from_revision: u64,
    ) -> Result<BoxStream<'static, WatchEvent>, StoreError>;
    /// A new lease that lapses when it is not kept alive for `ttl`.
    async fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, StoreError>;
    /// Gives a lease its full time again.
    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError>;
    /// Ends a lease now; its keys go in one transaction.
    async fn revoke_lease(&self, lease: LeaseId) -> Result<(), StoreError>;
}
