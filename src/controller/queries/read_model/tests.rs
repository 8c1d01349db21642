//! A read model over the embedded store, and over one whose watches are scripted.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::FutureExt;
use parking_lot::Mutex as SyncMutex;

use super::*;
use crate::clock::VirtualClock;
use crate::model::{EventKind, EventReason, ServiceName};
use crate::store::{EmbeddedStore, LeaseId, Listing, Op, StoreIdentity, Txn, TxnOutcome};
use crate::testing;

/// What becomes of every watch that is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WatchFault {
    /// It is the store's own.
    None,
    Resync,
    End,
    /// It delivers nothing.
    Hang,
}

/// A store that counts full listings and may break its watches.
struct WatchedStore {
    inner: EmbeddedStore,
    fault: SyncMutex<WatchFault>,
    listings: AtomicUsize,
}

#[async_trait]
impl Store for WatchedStore {
    fn identity(&self) -> &StoreIdentity {
        self.inner.identity()
    }

    async fn get(&self, key: &str) -> Result<Option<StoreEntry>, StoreError> {
        self.inner.get(key).await
    }

    async fn list(&self, prefix: &str) -> Result<Listing, StoreError> {
        if prefix.is_empty() {
            self.listings.fetch_add(1, Ordering::Relaxed);
        }
        self.inner.list(prefix).await
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError> {
        self.inner.txn(txn).await
    }

    async fn watch(
        &self,
        prefix: &str,
        from_revision: u64,
    ) -> Result<BoxStream<'static, WatchEvent>, StoreError> {
        let fault = *self.fault.lock();
        Ok(match fault {
            WatchFault::None => self.inner.watch(prefix, from_revision).await?,
            WatchFault::Resync => futures::stream::iter([WatchEvent::Resync]).boxed(),
            WatchFault::End => futures::stream::empty().boxed(),
            WatchFault::Hang => futures::stream::pending().boxed(),
        })
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

struct Fixture {
    store: Arc<WatchedStore>,
    model: ReadModel,
}

impl Fixture {
    fn new(fault: WatchFault) -> Self {
        let inner = EmbeddedStore::in_memory(Arc::new(VirtualClock::new(1))).unwrap();
        let fault = SyncMutex::new(fault);
        let store = Arc::new(WatchedStore { inner, fault, listings: AtomicUsize::new(0) });
        Self { model: ReadModel::new(store.clone()), store }
    }

    async fn write(&self, ops: Vec<Op>) {
        let txn = Txn { compare: Vec::new(), ops };
        assert!(matches!(self.store.txn(txn).await, Ok(TxnOutcome::Committed { .. })));
    }

    async fn put_service(&self, name: &str) {
        self.write(vec![Op::put(key::service(&name.into()), &testing::service(name))]).await;
    }

    async fn delete_service(&self, name: &str) {
        self.write(vec![Op::delete(key::service(&name.into()))]).await;
    }

    async fn names(&self) -> Vec<String> {
        let read = self.model.services(&[]).await.unwrap();
        read.services.keys().map(ToString::to_string).collect()
    }

    async fn state(&self, name: &str) -> Option<Arc<ServiceState>> {
        self.model.services(&[name.into()]).await.unwrap().services.remove(&ServiceName::new(name))
    }

    fn listings(&self) -> usize {
        self.store.listings.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn read_sees_every_write_committed_before_it() {
    let fixture = Fixture::new(WatchFault::None);
    assert_eq!(fixture.names().await, [""; 0]);
    for n in 0..50 {
        let name = format!("s{n:02}");
        fixture.put_service(&name).await;
        assert!(fixture.state(&name).await.is_some(), "{name}");
        if n % 2 == 1 {
            fixture.delete_service(&name).await;
            assert!(fixture.state(&name).await.is_none(), "{name}");
        }
    }
    assert_eq!(fixture.names().await.len(), 25);
    let stored = fixture.store.list(key::SERVICES).await.unwrap();
    assert_eq!(fixture.model.services(&[]).await.unwrap().revision, stored.revision);
    assert_eq!(fixture.listings(), 1, "the watch delivers all further changes");
}

#[tokio::test]
async fn read_decodes_only_services_that_changed() {
    let fixture = Fixture::new(WatchFault::None);
    fixture.put_service("users").await;
    fixture.put_service("web").await;
    let users = fixture.state("users").await.unwrap();
    let web = fixture.state("web").await.unwrap();
    fixture.write(vec![Op::put(key::rollout(&"users".into()), &testing::rollout(1))]).await;
    let after = fixture.state("users").await.unwrap();
    assert_eq!((users.rollout.is_some(), after.rollout.is_some()), (false, true));
    assert!(Arc::ptr_eq(&web, &fixture.state("web").await.unwrap()));
}

#[tokio::test]
async fn read_follows_events_of_one_service_and_of_all() {
    let fixture = Fixture::new(WatchFault::None);
    let put = |service: &str, sequence| {
        let event = Event {
            at: jiff::Timestamp::UNIX_EPOCH,
            object: format!("service/{service}"),
            kind: EventKind::Normal,
            reason: EventReason::ReplicaReady,
            message: String::new(),
            cut: Vec::new(),
        };
        Op::put(key::event(&service.into(), sequence, "user"), &event)
    };
    fixture.write(vec![put("users", 1), put("users-2", 1), put("web", 1)]).await;
    let count = async |service: Option<&str>| {
        let service = service.map(ServiceName::new);
        fixture.model.events(service.as_ref()).await.unwrap().len()
    };
    assert_eq!((count(None).await, count(Some("users")).await), (3, 1));
    fixture.write(vec![Op::delete(key::event(&"users".into(), 1, "user")), put("web", 2)]).await;
    assert_eq!((count(None).await, count(Some("users")).await, count(Some("web")).await), (3, 0, 2));
}

#[tokio::test(start_paused = true)]
async fn read_lists_again_when_the_watch_is_lost_and_drops_what_is_gone() {
    for fault in [WatchFault::Resync, WatchFault::End, WatchFault::Hang] {
        let fixture = Fixture::new(fault);
        fixture.put_service("users").await;
        fixture.put_service("web").await;
        assert_eq!(fixture.names().await, ["users", "web"], "{fault:?}");
        assert_eq!(fixture.listings(), 1, "{fault:?}");
        fixture.delete_service("users").await;
        fixture.put_service("api").await;
        assert_eq!(fixture.names().await, ["api", "web"], "{fault:?}");
        assert_eq!(fixture.listings(), 2, "{fault:?}");

        *fixture.store.fault.lock() = WatchFault::None;
        fixture.put_service("web-2").await;
        assert_eq!(fixture.names().await, ["api", "web", "web-2"], "{fault:?}");
        fixture.delete_service("web-2").await;
        assert_eq!(fixture.names().await, ["api", "web"], "{fault:?}");
        assert_eq!(fixture.listings(), 3, "{fault:?}: the new watch works");
    }
}

#[tokio::test]
async fn read_lists_again_when_the_history_was_compacted() {
    let fixture = Fixture::new(WatchFault::None);
    fixture.put_service("users").await;
    fixture.put_service("web").await;
    assert_eq!(fixture.names().await, ["users", "web"]);
    fixture.delete_service("users").await;
    let large = "x".repeat(900 << 10);
    for _ in 0..12 {
        fixture.write(vec![Op::put("meta/large", &large)]).await;
    }
    assert_eq!(fixture.names().await, ["web"], "its deletion is no longer in the history");
    assert_eq!(fixture.listings(), 2);
}

#[tokio::test]
async fn concurrent_reads_share_one_listing() {
    let fixture = Fixture::new(WatchFault::None);
    fixture.put_service("users").await;
    let reads = futures::future::join_all((0..20).map(|_| fixture.names())).await;
    assert!(reads.iter().all(|names| names == &["users"]), "{reads:?}");
    assert_eq!(fixture.listings(), 1);
}

#[tokio::test]
async fn reader_that_keeps_a_snapshot_holds_up_neither_writes_nor_reads() {
    let fixture = Fixture::new(WatchFault::None);
    fixture.put_service("users").await;
    let kept = fixture.model.services(&[]).await.unwrap();
    fixture.delete_service("users").await;
    fixture.put_service("web").await;
    assert_eq!(fixture.names().await, ["web"]);
    assert!(kept.services.contains_key(&ServiceName::new("users")), "a snapshot does not change");
}

#[tokio::test(start_paused = true)]
async fn read_that_is_cancelled_loses_no_change() {
    let fixture = Fixture::new(WatchFault::Hang);
    fixture.put_service("users").await;
    assert_eq!(fixture.names().await, ["users"]);
    fixture.put_service("web").await;
    assert_eq!(fixture.names().now_or_never(), None, "it waits for the watch");
    assert_eq!(fixture.names().await, ["users", "web"]);
}
