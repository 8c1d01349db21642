//! Numbered routing tables, published as the store changes.
//!
//! Invariants: one store read at a time, so that a table made from an earlier read never follows one made from a later.
//! Deliberately absent: what is published (`ledger`), when the store is read (`follow`), repeating a failed write (there
//! is none), judging endpoints (the agent does).

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::barrier::Barrier;
use super::https::HttpsSettings;
use super::ledger::Ledger;
use super::read::StoredObjects;
use crate::model::{
    BalancerReports, ContainerId, Endpoint, EndpointId, ReplicaName, RoutingTable, ServiceName, key,
};
use crate::store::{Op, Store, StoreError};

/// The registry of one store: reads endpoints and services, publishes routing tables, knows what is acknowledged.
pub struct Registry {
    pub(super) store: Arc<dyn Store>,
    tables: watch::Sender<Option<Arc<RoutingTable>>>,
    reports: watch::Receiver<BalancerReports>,
    /// Held while the store is read: reads follow one another.
    objects: tokio::sync::Mutex<StoredObjects>,
    /// Never held across an await.
    ledger: Mutex<Ledger>,
}

/// The result of a read of the store.
pub(super) struct RegistryRead {
    /// Everything up to this revision was seen.
    pub(super) revision: u64,
    is_published: bool,
}

impl Registry {
    /// A registry that has published nothing; `reports` names the known balancers.
    pub fn new(store: Arc<dyn Store>, reports: watch::Receiver<BalancerReports>) -> Self {
        let ledger = Mutex::new(Ledger::new(store.identity().clone()));
        let tables = watch::Sender::new(None);
        Self { store, tables, reports, objects: tokio::sync::Mutex::default(), ledger }
    }

    /// The last table published; `None` until [`Registry::open`].
    pub fn tables(&self) -> watch::Receiver<Option<Arc<RoutingTable>>> {
        self.tables.subscribe()
    }

    /// The last report of each known balancer.
    pub fn reports(&self) -> watch::Receiver<BalancerReports> {
        self.reports.clone()
    }

    /// What the balancers have acknowledged, now.
    pub fn barrier(&self) -> Barrier {
        self.ledger.lock().barrier(self.reports.borrow().clone())
    }

    /// The agent has checked the endpoints it found: publishes the first table, and from then on every later one.
    ///
    /// # Errors
    /// The store's; nothing was published then.
    pub async fn open(&self) -> Result<(), StoreError> {
        self.read_and_publish(true).await.map(|_| ())
    }

    /// Reads the store and publishes a table if it differs from the last one; returns whether it did. Publishes nothing
    /// before [`Registry::open`].
    ///
    /// # Errors
    /// The store's; the last table stays.
    pub async fn rebuild(&self) -> Result<bool, StoreError> {
        self.read_and_publish(false).await.map(|read| read.is_published)
    }

    /// Serves HTTPS with these certificates: publishes a table with them, unless nothing is published yet.
    ///
    /// # Errors
    /// The store's; the certificates are in the next table.
    pub async fn serve_https(&self, settings: HttpsSettings) -> Result<(), StoreError> {
        if self.ledger.lock().set_https(settings) {
            self.read_and_publish(false).await?;
        }
        Ok(())
    }

    /// Withdraws what ran in this container when it ended, as [`Registry::withdraw_now`] does.
    pub fn withdraw_ended(&self, container: &ContainerId, at: jiff::Timestamp) {
        let ended = self.ledger.lock().ended_with(container, at);
        if !ended.is_empty() {
            tracing::debug!(%container, died = %at, "out of the table: its container ended");
            self.withdraw_now(&ended);
        }
    }

    /// Publishes a table without these endpoints now, from memory. They stay out until the store has no ready endpoint
    /// of that id any more.
    pub fn withdraw_now(&self, ids: &[EndpointId]) {
        let mut ledger = self.ledger.lock();
        let table = ledger.withdraw(ids, &self.reports.borrow());
        self.publish(table);
    }

    /// The write that registers an endpoint or changes its state; part of the caller's own transaction.
    pub fn put(endpoint: &Endpoint) -> Op {
        Op::put(key::endpoint(&endpoint.service, &endpoint.name()), endpoint)
    }

    /// The write that withdraws a replica's endpoint; part of the caller's own transaction.
    pub fn delete(service: &ServiceName, replica: &ReplicaName) -> Op {
        Op::delete(key::endpoint(service, replica.as_str()))
    }

    pub(super) async fn read_and_publish(&self, opens: bool) -> Result<RegistryRead, StoreError> {
        let mut objects = self.objects.lock().await;
        let number = self.ledger.lock().begin_read();
        let revision = objects.refresh(self.store.as_ref()).await?;
        let mut ledger = self.ledger.lock();
        let table = ledger.end_read(number, opens, &objects, &self.reports.borrow());
        Ok(RegistryRead { revision, is_published: self.publish(table) })
    }

    /// Called with the ledger locked, so that tables are published in the order of their numbers.
    fn publish(&self, table: Option<Arc<RoutingTable>>) -> bool {
        let is_published = table.is_some();
        if is_published {
            self.tables.send_replace(table);
        }
        is_published
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;
    use futures::stream::BoxStream;
    use tokio::sync::Semaphore;

    use super::super::fixtures::{World, endpoint, holds, id, service};
    use super::*;
    use crate::model::EndpointState::*;
    use crate::store::{EmbeddedStore, LeaseId, StoreEntry, StoreIdentity, Txn, TxnOutcome, WatchEvent};
    use crate::testing;

    #[tokio::test(start_paused = true)]
    async fn registry_publishes_nothing_before_open() {
        let world = World::new();
        world.write(vec![Registry::put(&endpoint("web", "a", Ready))]).await;
        assert_eq!(world.registry.rebuild().await, Ok(false));
        world.registry.withdraw_now(&[id("a")]);
        assert_eq!(world.table(), None);
        assert!(world.registry.barrier().published.last().is_none());
        world.registry.open().await.unwrap();
        assert_eq!(world.table(), holds(1, &[]), "a store without services has an empty table");
        let name = world.registry.tables().borrow().as_ref().unwrap().name.clone();
        assert_eq!((&name.store, name.epoch), (&world.store.identity().id, world.store.identity().epoch));
    }

    #[tokio::test(start_paused = true)]
    async fn registry_publishes_only_changed_tables() {
        let world = World::serving(&["a"]).await;
        assert_eq!(world.table(), holds(1, &["a"]));
        assert_eq!(world.registry.rebuild().await, Ok(false));
        world.write(vec![Registry::put(&endpoint("web", "b", Unready))]).await;
        assert_eq!(world.registry.rebuild().await, Ok(false), "an unready endpoint says nothing new");
        world.write(vec![Registry::put(&endpoint("web", "b", Ready))]).await;
        assert_eq!(world.registry.rebuild().await, Ok(true));
        assert_eq!(world.table(), holds(2, &["a", "b"]));
        world.write(vec![Registry::delete(&"web".into(), &"a".into())]).await;
        assert_eq!(world.registry.rebuild().await, Ok(true));
        assert_eq!(world.table(), holds(3, &["b"]));
    }

    #[tokio::test(start_paused = true)]
    async fn withdrawn_endpoint_stays_out_until_store_drops_it() {
        let world = World::serving(&["a", "b"]).await;
        world.registry.withdraw_now(&[id("a"), id("never")]);
        assert_eq!(world.table(), holds(2, &["b"]), "at once");
        world.registry.withdraw_now(&[id("a")]);
        world.write(vec![Registry::put(&endpoint("web", "c", Ready))]).await;
        world.registry.rebuild().await.unwrap();
        assert_eq!(world.table(), holds(3, &["b", "c"]), "the store still has it");
        world.write(vec![Registry::put(&endpoint("web", "a", Unready))]).await;
        assert_eq!(world.registry.rebuild().await, Ok(false));
        world.write(vec![Registry::put(&endpoint("web", "a", Ready))]).await;
        world.registry.rebuild().await.unwrap();
        assert_eq!(world.table(), holds(4, &["a", "b", "c"]), "ready again");
    }

    /// How many prefixes one read lists: services, endpoints, traffic.
    const LISTS: usize = 3;

    /// A store whose answers to `list` wait until they are let through.
    struct Slow {
        store: Arc<EmbeddedStore>,
        let_through: Semaphore,
    }

    #[async_trait]
    impl Store for Slow {
        fn identity(&self) -> &StoreIdentity {
            self.store.identity()
        }
        async fn get(&self, key: &str) -> Result<Option<StoreEntry>, StoreError> {
            self.store.get(key).await
        }
        async fn list(&self, prefix: &str) -> Result<crate::store::Listing, StoreError> {
            let listing = self.store.list(prefix).await;
            self.let_through.acquire().await.unwrap().forget();
            listing
        }
        async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError> {
            self.store.txn(txn).await
        }
        async fn watch(&self, prefix: &str, from: u64) -> Result<BoxStream<'static, WatchEvent>, StoreError> {
            self.store.watch(prefix, from).await
        }
        async fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
            self.store.grant_lease(ttl).await
        }
        async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
            self.store.keep_alive(lease).await
        }
        async fn revoke_lease(&self, lease: LeaseId) -> Result<(), StoreError> {
            self.store.revoke_lease(lease).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn read_started_before_withdrawal_does_not_restore_endpoint() {
        let World { store, reports, .. } = World::serving(&["a"]).await;
        let slow = Arc::new(Slow { store: store.clone(), let_through: Semaphore::new(LISTS) });
        let registry = Arc::new(Registry::new(slow.clone(), reports.subscribe()));
        registry.open().await.unwrap();
        let world = World { store, registry: registry.clone(), reports };

        slow.let_through.add_permits(1);
        let mut early = std::pin::pin!(registry.rebuild());
        assert!(futures::poll!(&mut early).is_pending(), "it has read that there is no b");
        world.write(vec![Registry::put(&endpoint("web", "b", Ready))]).await;
        registry.withdraw_now(&[id("b"), id("a")]);
        assert_eq!(world.table(), holds(2, &[]));
        slow.let_through.add_permits(LISTS - 1);
        assert_eq!(early.await, Ok(false), "what it read of a is older than the withdrawal");
        slow.let_through.add_permits(LISTS);
        assert_eq!(registry.rebuild().await, Ok(false), "b is ready in the store and still withdrawn");
    }

    #[tokio::test(start_paused = true)]
    async fn endpoint_withdrawn_before_open_is_missing_from_first_table() {
        let world = World::new();
        world.write(vec![Op::put(key::service(&"web".into()), &service("web", &["*/"]))]).await;
        world.write(["a", "b"].map(|c| Registry::put(&endpoint("web", c, Ready))).to_vec()).await;
        world.registry.withdraw_now(&[id("b")]);
        world.registry.open().await.unwrap();
        assert_eq!(world.table(), holds(1, &["a"]));
    }

    #[tokio::test(start_paused = true)]
    async fn barrier_follows_published_tables_and_reports() {
        let world = World::serving(&["a", "b"]).await;
        assert!(!world.registry.barrier().acked_present(&id("a")), "no report");
        world.acknowledge(1);
        assert!(world.registry.barrier().acked_present(&id("a")));
        world.registry.withdraw_now(&[id("a")]);
        assert!(!world.registry.barrier().acked_absent(&id("a")), "not acknowledged yet");
        world.acknowledge(2);
        assert!(world.registry.barrier().acked_absent(&id("a")));
        assert!(world.registry.barrier().acked_absent(&id("a")), "forgotten, and still absent");
        world.reports.send_replace(testing::reports(None));
        assert!(!world.registry.barrier().acked_absent(&id("a")), "its report is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn undecodable_record_keeps_last_table() {
        let world = World::serving(&["a"]).await;
        world.write(vec![Op::put("endpoints/web/b", &"not an endpoint")]).await;
        let failed = world.registry.rebuild().await;
        assert!(
            matches!(&failed, Err(StoreError::Decode { key, .. }) if key == "endpoints/web/b"),
            "{failed:?}"
        );
        assert_eq!(world.table(), holds(1, &["a"]));
        world.registry.withdraw_now(&[id("a")]);
        assert_eq!(world.table(), holds(2, &[]), "which can still shrink");
        world.write(vec![Op::delete("endpoints/web/b"), Registry::put(&endpoint("web", "c", Ready))]).await;
        world.registry.rebuild().await.unwrap();
        assert_eq!(world.table(), holds(3, &["c"]));
    }
}
