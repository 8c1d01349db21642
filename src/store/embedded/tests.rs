//! What no caller can observe: how often the writer syncs, and what it does when a sync fails.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::{FutureExt, StreamExt};
use redb::backends::InMemoryBackend;
use redb::{ReadableDatabase, ReadableTable, StorageBackend};

use super::*;
use crate::store::Op;

/// A disk that counts its syncs, fails them on demand, and knows what a power cut would leave at worst.
#[derive(Debug, Clone, Default)]
struct Disk {
    memory: Arc<InMemoryBackend>,
    syncs: Arc<AtomicUsize>,
    failing: Arc<AtomicBool>,
    /// While it is held every sync hangs.
    hanging: Arc<Mutex<()>>,
    /// What the last sync found.
    durable: Arc<Mutex<Vec<u8>>>,
}

impl Disk {
    /// The disk after a power cut: nothing that came after the last sync is there.
    fn after_power_cut(&self) -> InMemoryBackend {
        let disk = InMemoryBackend::new();
        let durable = self.durable.lock().unwrap();
        disk.set_len(durable.len() as u64).unwrap();
        disk.write(0, &durable).unwrap();
        disk
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        drop(self.hanging.lock().unwrap());
        if self.failing.load(Ordering::SeqCst) {
            return Err(io::Error::other("no"));
        }
        let mut durable = self.durable.lock().unwrap();
        durable.resize(usize::try_from(self.memory.len()?).unwrap(), 0);
        self.memory.read(0, &mut durable)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.memory.write(offset, data)
    }
}

fn store_on(disk: &Disk) -> EmbeddedStore {
    started(disk, true)
}

fn started(disk: &Disk, in_memory: bool) -> EmbeddedStore {
    let opened = OpenedDatabase::on_backend(disk.clone(), "id").unwrap();
    let (store, writer) =
        EmbeddedStore::start(opened, in_memory, Arc::new(crate::clock::RealClock::new())).unwrap();
    tokio::spawn(writer);
    store
}

fn write(n: usize) -> Txn {
    Txn { compare: vec![], ops: vec![Op::put(format!("k{n}"), &n)] }
}

#[tokio::test]
async fn acknowledged_write_survives_power_cut() {
    let disk = Disk::default();
    let store = store_on(&disk);
    let mut watch = store.watch("", 1).await.unwrap();
    for n in 0..20 {
        store.txn(write(n)).await.unwrap();
        assert!(watch.next().now_or_never().is_some());
        let database = redb::Builder::new()
            .set_check_integrity_on_open(true)
            .create_with_backend(disk.after_power_cut())
            .unwrap();
        let start = tables::start(&database, Epoch(0)).unwrap();
        let entries = database.begin_read().unwrap().open_table(tables::ENTRIES).unwrap();
        assert_eq!((start.revision, entries.iter().unwrap().count()), (n as u64 + 1, n + 1));
    }
}

#[tokio::test]
async fn concurrent_writes_share_one_fsync() {
    let disk = Disk::default();
    let store = store_on(&disk);
    let before = disk.syncs.load(Ordering::SeqCst);
    let outcomes = futures::future::join_all((0..100).map(|n| store.txn(write(n)))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(store.list_now("k").unwrap().revision, 100);
    assert_eq!(disk.syncs.load(Ordering::SeqCst) - before, 1);
}

#[tokio::test]
async fn noop_transaction_does_not_fsync() {
    let disk = Disk::default();
    let store = store_on(&disk);
    let lease = store.grant_lease(Duration::from_secs(9)).await.unwrap();
    let before = disk.syncs.load(Ordering::SeqCst);
    store.keep_alive(lease).await.unwrap();
    store.txn(Txn::default()).await.unwrap();
    assert_eq!(disk.syncs.load(Ordering::SeqCst), before);
}

#[tokio::test]
async fn failed_fsync_rejects_all_later_writes() {
    let disk = Disk::default();
    let store = store_on(&disk);
    store.txn(write(1)).await.unwrap();
    let mut watch = store.watch("", 2).await.unwrap();

    disk.failing.store(true, Ordering::SeqCst);
    let (first, second) = futures::join!(store.txn(write(2)), store.txn(write(3)));
    assert!(matches!(first, Err(StoreError::Io(_))), "{first:?}");
    assert_eq!(Some(store.ended().await), first.clone().err());
    assert_eq!(first, second, "both were in the group");
    assert_eq!(watch.next().now_or_never(), Some(Some(WatchEvent::Resync)), "and no watcher learns of them");
    assert!(!matches!(store.get_now("k2"), Ok(Some(_))), "or reads them");

    disk.failing.store(false, Ordering::SeqCst);
    let syncs = disk.syncs.load(Ordering::SeqCst);
    assert_eq!(store.txn(write(4)).await, first);
    assert_eq!(store.grant_lease(Duration::from_secs(1)).await.err(), first.err());
    assert_eq!(disk.syncs.load(Ordering::SeqCst), syncs);
}

#[tokio::test(start_paused = true)]
#[allow(clippy::await_holding_lock)] // the lock is the hanging disk; only a blocking thread waits for it
async fn write_to_a_hanging_disk_is_unanswered_at_its_deadline_and_reads_continue() {
    let disk = Disk::default();
    let store = Arc::new(started(&disk, false));
    store.txn(write(1)).await.unwrap();
    let hang = disk.hanging.lock().unwrap();
    let asked = store.clone();
    let asked = tokio::spawn(async move { asked.txn(write(2)).await });
    tokio::task::yield_now().await;
    tokio::time::advance(ANSWER_WITHIN + Duration::from_millis(1)).await;
    let unanswered = StoreError::Unanswered { seconds: 10 };
    assert_eq!(asked.await.unwrap().err(), Some(unanswered));
    assert!(store.get_now("k1").unwrap().is_some());
    drop(hang);
    store.txn(write(3)).await.unwrap();
    assert!(store.get_now("k2").unwrap().is_some(), "it happened after all");
}

#[tokio::test]
async fn reopened_in_memory_store_behaves_like_restarted_process() {
    let clock = Arc::new(crate::clock::RealClock::new());
    let first = EmbeddedStore::in_memory(clock.clone()).unwrap();
    first.txn(write(1)).await.unwrap();
    let mut watch = first.watch("", 1).await.unwrap();
    assert!(watch.next().await.is_some());
    let (second, late) = futures::join!(first.reopened(clock.clone()), first.txn(write(2)));
    let second = second.unwrap();
    assert_eq!(late.err(), Some(StoreError::Closed), "what was asked after it has no effect");
    assert_eq!(second.identity().id, first.identity().id);
    assert_eq!(second.identity().epoch.0, first.identity().epoch.0 + 1);
    assert_eq!(second.get_now("k1").unwrap().map(|entry| entry.mod_revision), Some(1));
    assert_eq!(second.get_now("k2").unwrap(), None);
    assert_eq!(first.get_now("k1").err(), Some(StoreError::Closed));
    assert_eq!(first.txn(write(3)).await.err(), Some(StoreError::Closed));
    assert_eq!(first.reopened(clock.clone()).await.err(), Some(StoreError::Closed), "once only");
    assert!(matches!(watch.next().await, None | Some(WatchEvent::Resync)), "watches end");
    second.txn(write(4)).await.unwrap();
    assert_eq!(second.list_now("").unwrap().revision, 2);
    assert!(store_on_file().await.reopened(clock).await.is_err(), "only a store in memory");
}

/// A store that lies in a directory, which is gone already.
async fn store_on_file() -> EmbeddedStore {
    let directory = tempfile::tempdir().unwrap();
    EmbeddedStore::open(directory.path(), Arc::new(crate::clock::RealClock::new())).await.unwrap()
}
