//! Numbered routing tables, published as the store changes.
//!
//! Invariants: one store read at a time, so that a table made from an earlier read never follows one made from a later;
//! a table is noted for the barrier before anyone can receive it; what was withdrawn stays out until a read that began
//! after the withdrawal finds no ready endpoint of that id.
//! Deliberately absent: repeating a failed write (there is none), judging endpoints (the agent does).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::table;
use super::{Barrier, Published};
use crate::model::{
    BalancerReport, ContainerId, Endpoint, EndpointId, EndpointState, ReplicaName, RoutingTable, Service,
    ServiceName, TableName, Traffic, key,
};
use crate::store::{Decoded, Op, Store, StoreError, WatchEvent};

/// A full rebuild at least this often, should a watch ever miss a change.
const RESYNC_EVERY: Duration = Duration::from_secs(30);
/// Wait after the store failed to answer, before it is asked again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The registry of one store: reads endpoints and services, publishes routing tables, knows what is acknowledged.
pub struct Registry {
    store: Arc<dyn Store>,
    tables: watch::Sender<Option<Arc<RoutingTable>>>,
    /// Held while the store is read: reads follow one another.
    reading: tokio::sync::Mutex<Objects>,
    /// Never held across an await.
    ledger: Mutex<Ledger>,
}

/// Decoded objects of the last read.
#[derive(Default)]
struct Objects {
    services: Decoded<Service>,
    endpoints: Decoded<Endpoint>,
    traffic: Decoded<Traffic>,
}

/// What was published and heard, and what must not be published.
struct Ledger {
    open: bool,
    published: Arc<Published>,
    reports: watch::Receiver<Option<BalancerReport>>,
    /// The balancer's last word, as of the last look.
    report: Option<Arc<BalancerReport>>,
    last: Option<Arc<RoutingTable>>,
    /// Reads of the store begun so far.
    reads: u64,
    /// Endpoints withdrawn ahead of the store, with the number of reads begun until then.
    withdrawn: BTreeMap<EndpointId, u64>,
}

impl Ledger {
    fn new(mut reports: watch::Receiver<Option<BalancerReport>>) -> Self {
        let report = reports.borrow_and_update().clone().map(Arc::new);
        Self {
            open: false,
            published: Arc::default(),
            reports,
            report,
            last: None,
            reads: 0,
            withdrawn: BTreeMap::new(),
        }
    }

    /// What is acknowledged now. A report is taken over once, however many passes ask.
    fn barrier(&mut self) -> Barrier {
        // An error says that no other report can come; there may still be one that was not seen.
        if self.reports.has_changed().unwrap_or(true) {
            self.report = self.reports.borrow_and_update().clone().map(Arc::new);
            Arc::make_mut(&mut self.published).forget_acknowledged(self.report.as_deref());
        }
        Barrier { published: Arc::clone(&self.published), report: self.report.clone() }
    }

    /// What this read did not find ready may come back, unless it was withdrawn since the read began.
    fn lift_withdrawals(&mut self, read: u64, endpoints: &Decoded<Endpoint>) {
        if self.withdrawn.is_empty() {
            return;
        }
        let ready = endpoints.iter().filter(|e| e.state == EndpointState::Ready);
        let ready: BTreeSet<EndpointId> = ready.map(Endpoint::id).collect();
        self.withdrawn.retain(|id, begun| *begun >= read || ready.contains(id));
    }
}

impl Registry {
    /// A registry that has published nothing; `reports` is the balancer's last word, `None` while it is not connected.
    pub fn new(store: Arc<dyn Store>, reports: watch::Receiver<Option<BalancerReport>>) -> Self {
        Self {
            store,
            tables: watch::Sender::new(None),
            reading: tokio::sync::Mutex::default(),
            ledger: Mutex::new(Ledger::new(reports)),
        }
    }

    /// The last table published; `None` until [`Registry::open`].
    pub fn tables(&self) -> watch::Receiver<Option<Arc<RoutingTable>>> {
        self.tables.subscribe()
    }

    /// The agent has checked the endpoints it found: publishes the first table, and from then on every later one.
    pub async fn open(&self) -> Result<(), StoreError> {
        self.read_and_publish(true).await.map(|_| ())
    }

    /// Reads the store and publishes a table where it differs from the last one; says whether it did. Publishes
    /// nothing before [`Registry::open`].
    pub async fn rebuild(&self) -> Result<bool, StoreError> {
        self.read_and_publish(false).await.map(|read| read.published)
    }

    /// Takes what ran in this container at that time out, as [`Registry::withdraw_now`] does.
    pub fn withdraw_ended(&self, container: &ContainerId, at: jiff::Timestamp) {
        let Some(last) = self.ledger().last.clone() else { return };
        let ended: Vec<EndpointId> =
            last.endpoints().map(|e| &e.id).filter(|id| id.ended_with(container, at)).cloned().collect();
        if !ended.is_empty() {
            tracing::debug!(%container, died = %at, "out of the table: its container ended");
            self.withdraw_now(&ended);
        }
    }

    /// Publishes a table without these endpoints now, from memory. They stay out until the store has no ready endpoint
    /// of that id any more.
    pub fn withdraw_now(&self, ids: &[EndpointId]) {
        let mut ledger = self.ledger();
        let reads = ledger.reads;
        ledger.withdrawn.extend(ids.iter().map(|id| (id.clone(), reads)));
        let Some(last) = ledger.last.clone() else { return };
        if !ids.iter().any(|id| last.has_endpoint(id)) {
            return;
        }
        let mut table = RoutingTable { name: self.name_after(Some(&last)), ..(*last).clone() };
        for service in table.services.values_mut() {
            service.endpoints.retain(|e| !ids.contains(&e.id));
        }
        self.publish(&mut ledger, table);
    }

    /// What the balancers have acknowledged, now. Endpoints whose leaving is acknowledged are forgotten.
    pub fn barrier(&self) -> Barrier {
        self.ledger().barrier()
    }

    /// The write that registers an endpoint or changes its state; part of the caller's own transaction.
    pub fn put(endpoint: &Endpoint) -> Op {
        Op::put(key::endpoint(&endpoint.service, &endpoint.replica), endpoint)
    }

    /// The write that withdraws a replica's endpoint; part of the caller's own transaction.
    pub fn delete(service: &ServiceName, replica: &ReplicaName) -> Op {
        Op::delete(key::endpoint(service, replica))
    }

    /// Rebuilds whenever services or endpoints change in the store, and every 30 s, until `shutdown`.
    pub async fn follow(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            let outcome = tokio::select! {
                () = shutdown.cancelled() => return,
                outcome = self.follow_one_watch() => outcome,
            };
            let Err(error) = outcome else { continue };
            if error == StoreError::Closed {
                return;
            }
            tracing::warn!(%error, "the routing table cannot follow the store; the last one stays");
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(RETRY_AFTER) => {}
            }
        }
    }

    /// Until the store asks to watch anew. Changes that came while a rebuild ran are served by one more, not by many.
    async fn follow_one_watch(&self) -> Result<(), StoreError> {
        let from = self.read_and_publish(false).await?.revision + 1;
        let ended = || stream::iter([WatchEvent::Resync]);
        let services = self.store.watch(key::SERVICES, from).await?.chain(ended());
        let endpoints = self.store.watch(key::ENDPOINTS, from).await?.chain(ended());
        let traffic = self.store.watch(key::TRAFFIC, from).await?.chain(ended());
        let mut events = stream::select(stream::select(services, endpoints), traffic);
        let mut resync = tokio::time::interval_at(tokio::time::Instant::now() + RESYNC_EVERY, RESYNC_EVERY);
        resync.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let mut event = tokio::select! {
                event = events.next() => event,
                _ = resync.tick() => None,
            };
            while let Some(seen) = event {
                if seen == WatchEvent::Resync {
                    return Ok(());
                }
                event = events.next().now_or_never().flatten();
            }
            self.read_and_publish(false).await?;
        }
    }

    async fn read_and_publish(&self, opening: bool) -> Result<Read, StoreError> {
        let mut objects = self.reading.lock().await;
        let number = {
            let mut ledger = self.ledger();
            ledger.reads += 1;
            ledger.reads
        };
        let services = self.store.list(key::SERVICES).await?;
        let endpoints = self.store.list(key::ENDPOINTS).await?;
        let traffic = self.store.list(key::TRAFFIC).await?;
        // A watch from after this revision misses nothing of any list.
        let revision = services.revision.min(endpoints.revision).min(traffic.revision);
        objects.services.refresh(services)?;
        objects.endpoints.refresh(endpoints)?;
        objects.traffic.refresh(traffic)?;

        let mut ledger = self.ledger();
        ledger.open |= opening;
        ledger.lift_withdrawals(number, &objects.endpoints);
        if !ledger.open {
            return Ok(Read { revision, published: false });
        }
        let withdrawn = &ledger.withdrawn;
        let standing =
            objects.endpoints.iter().filter(|e| withdrawn.is_empty() || !withdrawn.contains_key(&e.id()));
        let name = self.name_after(ledger.last.as_deref());
        let table = table::build(name, objects.services.iter(), standing, objects.traffic.iter());
        Ok(Read { revision, published: self.publish(&mut ledger, table) })
    }

    /// Publishes a table that says something new; whether it did.
    fn publish(&self, ledger: &mut Ledger, table: RoutingTable) -> bool {
        if ledger.last.as_ref().is_some_and(|last| last.routes_like(&table)) {
            return false;
        }
        Arc::make_mut(&mut ledger.published).record(&table);
        let table = Arc::new(table);
        ledger.last = Some(table.clone());
        self.tables.send_replace(Some(table));
        true
    }

    fn name_after(&self, last: Option<&RoutingTable>) -> TableName {
        let identity = self.store.identity();
        let revision = last.map_or(0, |table| table.name.revision) + 1;
        TableName { store: identity.id.clone(), epoch: identity.epoch, revision }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // A panic elsewhere leaves the ledger whole: each change of it is one call.
        self.ledger.lock()
    }
}

/// What a read of the store came to.
struct Read {
    /// Everything up to this revision was seen.
    revision: u64,
    /// Whether a table went out.
    published: bool,
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use futures::stream::BoxStream;
    use tokio::sync::Semaphore;

    use super::super::fixtures::{endpoint, service};
    use super::*;
    use crate::clock::RealClock;
    use crate::model::{EndpointState::*, Incarnation};
    use crate::store::{EmbeddedStore, LeaseId, StoreEntry, StoreIdentity, Txn, TxnOutcome};
    use crate::testing;

    struct World {
        store: Arc<EmbeddedStore>,
        registry: Arc<Registry>,
        reports: watch::Sender<Option<BalancerReport>>,
    }

    impl World {
        fn new() -> Self {
            let store = Arc::new(EmbeddedStore::in_memory(Arc::new(RealClock::new())).unwrap());
            let (reports, receiver) = watch::channel(None);
            let registry = Arc::new(Registry::new(store.clone(), receiver));
            Self { store, registry, reports }
        }

        /// With a service `web` that has these ready endpoints, and published.
        async fn serving(containers: &[&str]) -> Self {
            let world = Self::new();
            world.write(vec![Op::put(key::service(&"web".into()), &service("web", &["*/"]))]).await;
            world.write(containers.iter().map(|c| Registry::put(&endpoint("web", c, Ready))).collect()).await;
            world.registry.open().await.unwrap();
            world
        }

        async fn write(&self, ops: Vec<Op>) {
            self.store.txn(Txn { compare: vec![], ops }).await.unwrap();
        }

        /// Revision and containers of the last table.
        fn table(&self) -> Option<(u64, Vec<String>)> {
            self.registry.tables().borrow().as_deref().map(spell)
        }

        /// The balancer says that it applied the table of this revision.
        fn acknowledge(&self, revision: u64) {
            let last = self.registry.tables().borrow().clone().unwrap();
            let applied = Some(TableName { revision, ..last.name.clone() });
            let incarnation = Incarnation("i".to_owned());
            let report = BalancerReport { incarnation, applied, ..testing::report("") };
            self.reports.send_replace(Some(report));
        }
    }

    fn spell(table: &RoutingTable) -> (u64, Vec<String>) {
        let endpoints = table.endpoints();
        (table.name.revision, endpoints.filter_map(|e| e.replica.as_ref()).map(ToString::to_string).collect())
    }

    fn holds(revision: u64, containers: &[&str]) -> Option<(u64, Vec<String>)> {
        Some((revision, containers.iter().map(|c| (*c).to_owned()).collect()))
    }

    fn id(container: &str) -> EndpointId {
        endpoint("web", container, Ready).id()
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_published_before_open() {
        let world = World::new();
        world.write(vec![Registry::put(&endpoint("web", "a", Ready))]).await;
        assert_eq!(world.registry.rebuild().await, Ok(false));
        world.registry.withdraw_now(&[id("a")]);
        assert_eq!(world.table(), None);
        assert_eq!(world.registry.barrier(), Barrier::default());
        world.registry.open().await.unwrap();
        assert_eq!(world.table(), holds(1, &[]), "a store without services has an empty table");
        let name = world.registry.tables().borrow().as_ref().unwrap().name.clone();
        assert_eq!((&name.store, name.epoch), (&world.store.identity().id, world.store.identity().epoch));
    }

    #[tokio::test(start_paused = true)]
    async fn a_table_goes_out_where_it_says_something_new() {
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
    async fn what_is_withdrawn_stays_out_until_the_store_agrees() {
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
        assert_eq!(world.table(), holds(4, &["a", "b", "c"]), "ready anew");
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
    async fn a_read_from_before_a_withdrawal_does_not_lift_it() {
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
    async fn what_is_withdrawn_before_open_is_not_in_the_first_table() {
        let world = World::new();
        world.write(vec![Op::put(key::service(&"web".into()), &service("web", &["*/"]))]).await;
        world.write(["a", "b"].map(|c| Registry::put(&endpoint("web", c, Ready))).to_vec()).await;
        world.registry.withdraw_now(&[id("b")]);
        world.registry.open().await.unwrap();
        assert_eq!(world.table(), holds(1, &["a"]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_barrier_follows_tables_and_reports() {
        let world = World::serving(&["a", "b"]).await;
        assert!(!world.registry.barrier().acked_present(&id("a")), "no report");
        world.acknowledge(1);
        assert!(world.registry.barrier().acked_present(&id("a")));
        world.registry.withdraw_now(&[id("a")]);
        assert!(!world.registry.barrier().acked_absent(&id("a")), "not acknowledged yet");
        world.acknowledge(2);
        assert!(world.registry.barrier().acked_absent(&id("a")));
        assert!(world.registry.barrier().acked_absent(&id("a")), "forgotten, and still absent");
        world.reports.send_replace(None);
        assert!(!world.registry.barrier().acked_absent(&id("a")), "its word is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_that_cannot_be_read_leaves_the_last_table() {
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

    /// The next table that holds just these; the clock is paused, so the hour is no time.
    async fn await_table(world: &World, containers: &[&str]) -> u64 {
        let mut tables = world.registry.tables();
        let wanted = |table: &Option<Arc<RoutingTable>>| {
            table.as_deref().map(spell).is_some_and(|(_, found)| found == containers)
        };
        let found = tables.wait_for(wanted);
        let found =
            tokio::time::timeout(Duration::from_secs(3600), found).await.expect("no such table").unwrap();
        found.as_ref().unwrap().name.revision
    }

    #[tokio::test(start_paused = true)]
    async fn following_publishes_every_change_and_a_burst_as_one() {
        let world = World::serving(&[]).await;
        let shutdown = CancellationToken::new();
        let follower = tokio::spawn(world.registry.clone().follow(shutdown.clone()));
        let began = tokio::time::Instant::now();
        world.write(vec![Registry::put(&endpoint("web", "a", Ready))]).await;
        await_table(&world, &["a"]).await;
        world.write(vec![Registry::delete(&"web".into(), &"a".into())]).await;
        let before = await_table(&world, &[]).await;
        let names: Vec<String> = (0..100).map(|n| format!("c{n:03}")).collect();
        let burst = names.iter().map(|c| world.write(vec![Registry::put(&endpoint("web", c, Ready))]));
        futures::future::join_all(burst).await;
        let after = await_table(&world, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert!(after - before <= 2, "{} tables for one burst", after - before);
        assert!(began.elapsed() < RETRY_AFTER, "the watch brought it, not the clock");
        shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(1), follower).await.expect("it ends").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn following_reads_all_again_where_the_watch_lost_its_place() {
        let world = World::serving(&[]).await;
        let follower = tokio::spawn(world.registry.clone().follow(CancellationToken::new()));
        world.write(vec![Registry::put(&endpoint("web", "a", Ready))]).await;
        await_table(&world, &["a"]).await;
        let began = tokio::time::Instant::now();
        // One group of commits larger than the history: the follower cannot have seen its first.
        let large = vec![b'x'; 200_000];
        let large = |n: u32| Op::Put { key: format!("events/{n}"), value: large.clone(), lease: None };
        let change = Registry::put(&endpoint("web", "b", Ready));
        let ops = std::iter::once(change).chain((0..100).map(large));
        futures::future::join_all(ops.map(|op| world.write(vec![op]))).await;
        await_table(&world, &["a", "b"]).await;
        assert!(began.elapsed() < RETRY_AFTER, "{:?}", began.elapsed());
        follower.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn following_outlives_a_bad_record_and_ends_with_the_store() {
        let world = World::serving(&["a"]).await;
        world.write(vec![Op::put("endpoints/web/b", &"not an endpoint")]).await;
        let follower = tokio::spawn(world.registry.clone().follow(CancellationToken::new()));
        tokio::time::sleep(RETRY_AFTER * 3).await;
        world.write(vec![Op::delete("endpoints/web/b"), Registry::put(&endpoint("web", "c", Ready))]).await;
        await_table(&world, &["a", "c"]).await;
        world.store.close().await;
        tokio::time::timeout(RESYNC_EVERY, follower).await.expect("it ends").unwrap();
    }
}
