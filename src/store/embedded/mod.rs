//! The store of one node: a redb database in the state directory.
//!
//! Purpose: etcd's contract without etcd. Writes go through one writer that commits in groups; reads are snapshots
//! taken in place and never wait for the writer.
//! Invariants: durable before the answer and before any watcher hears of it; a damaged or missing database is refused
//! and never taken for an empty one; after a failed commit the store takes no more writes; leases have their full time
//! after an opening; every write is answered by a deadline.
//! A disk that hangs does not end the process: a successor would hang on the same disk when it opens the store, while this
//! process continues to read, to watch containers and to report what is wrong.
//! Deliberately absent: repair of damage, compaction (only the last value of a key is kept; history is in memory).

mod file;
mod full_disk;
mod group;
mod history;
mod lease;
mod paths;
mod replacement;
mod shared;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::file::OpenedDatabase;
use self::full_disk::DiskReserve;
use self::group::{ReplySender, WriterRequest};
use self::history::{History, HistoryReader};
use self::shared::SharedDatabase;
use self::writer::{GroupWriter, QUEUE_MAX};
use super::{
    LeaseId, Listing, Store, StoreCopy, StoreEntry, StoreError, StoreIdentity, Txn, TxnOutcome, WatchEvent,
};
use crate::clock::Clock;
use crate::model::Epoch;

/// How long a write waits for the disk. A healthy disk takes milliseconds and a starved one a second or two; one that takes
/// longer hangs, and the clients of the API wait for 30 s at most.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How often the reserve is looked after: a full disk is over within a second of the space being back.
const FILL_EVERY: Duration = Duration::from_millis(500);

/// The embedded store. Dropping it closes it some time later; [`EmbeddedStore::close`] returns once it is closed.
pub struct EmbeddedStore {
    shared: Arc<SharedDatabase>,
    history: HistoryReader,
    queue: mpsc::Sender<WriterRequest>,
    closing: CancellationToken,
    /// `None` in memory.
    reserve: Option<Arc<DiskReserve>>,
}

fn epoch_now(clock: &dyn Clock) -> Epoch {
    Epoch(u64::try_from(clock.wall().as_millisecond()).unwrap_or(0))
}

/// Fills the reserve again, as soon as there is space.
async fn keep_reserve(reserve: Weak<DiskReserve>, closing: CancellationToken) {
    while let Some(reserve) = reserve.upgrade() {
        let fill = tokio::task::spawn_blocking(move || reserve.fill());
        tokio::select! {
            _ = fill => {}
            () = closing.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(FILL_EVERY) => {}
            () = closing.cancelled() => return,
        }
    }
}

impl EmbeddedStore {
    /// Opens the store in a state directory, or creates it where the directory has none yet. The clock gives a new store
    /// its UUID and times the leases. Needs a tokio runtime, as do all other calls.
    pub async fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let dir = dir.to_owned();
        let new_id = clock.uuid();
        let shown = dir.display().to_string();
        let open = move || {
            let opened = file::open(&dir, &new_id)?;
            Self::start(opened, false, clock)
        };
        let (store, writer) = match tokio::task::spawn_blocking(open).await {
            Ok(outcome) => outcome?,
            // redb checks every page it opens; what it panics about is damage that it did not foresee.
            Err(error) if error.is_panic() => {
                let reason = "it cannot be read".to_owned();
                return Err(StoreError::Damaged { path: shown, reason });
            }
            Err(error) => return Err(StoreError::Io(error.to_string())),
        };
        tokio::spawn(writer);
        Ok(store)
    }

    /// Stages another store for a directory: empty, or with the content of a snapshot. The next opening sets the present one
    /// aside and starts from it.
    ///
    /// # Errors
    /// The file system's.
    pub async fn stage(dir: &Path, clock: &dyn Clock, snapshot: Option<StoreCopy>) -> Result<(), StoreError> {
        let dir = dir.to_owned();
        let new_id = clock.uuid();
        // Balancers reject tables of an earlier epoch of a store, and how far the present one has counted may be unknown: the time
        // in milliseconds is larger than any count.
        let epoch = epoch_now(clock);
        let stage = move || file::stage(&dir, &new_id, epoch, snapshot.as_ref());
        let staged = tokio::task::spawn_blocking(stage).await;
        staged.unwrap_or_else(|error| Err(StoreError::Io(error.to_string())))
    }

    /// A store that lives in memory and ends with its last handle: same contract, nothing durable.
    #[cfg(any(test, feature = "testing"))]
    pub fn in_memory(clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let opened = OpenedDatabase::on_backend(redb::backends::InMemoryBackend::new(), &clock.uuid())?;
        let (store, writer) = Self::start(opened, true, clock)?;
        tokio::spawn(writer);
        Ok(store)
    }

    /// The next opening of a store in memory, as after the end of a process: this handle and its pending writes are
    /// closed, committed writes are there, the epoch is raised.
    #[cfg(any(test, feature = "testing"))]
    pub async fn reopened(&self, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        if !self.shared.in_memory {
            return Err(StoreError::Invalid(
                "only a store in memory is opened again from its handle".to_owned(),
            ));
        }
        let opened = self.shared.opened.write().take();
        self.close().await;
        let (store, writer) = Self::start(opened.ok_or(StoreError::Closed)?, true, clock)?;
        tokio::spawn(writer);
        Ok(store)
    }

    fn start(
        opened: OpenedDatabase,
        in_memory: bool,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, impl Future<Output = ()> + Send + use<>), StoreError> {
        let path = opened.path.clone();
        let reserve = opened.reserve.clone();
        // A file that was put back may have counted less than its balancers have seen. The time in milliseconds is larger than any count: no daemon starts so often.
        let least = if in_memory { Epoch(0) } else { epoch_now(clock.as_ref()) };
        let start =
            tables::start(&opened.database, least).map_err(|error| tables::store_error(&path, error))?;
        let (history, reader) = History::after(start.revision);
        let shared = Arc::new(SharedDatabase::new(start.identity.clone(), opened, in_memory));
        let (queue, requests) = mpsc::channel(QUEUE_MAX);
        let closing = CancellationToken::new();
        let writer = GroupWriter::new(shared.clone(), history, start, clock);
        let writer = writer.run(requests, closing.clone());
        if let Some(reserve) = &reserve {
            reserve.wait_for_space();
            tokio::spawn(keep_reserve(Arc::downgrade(reserve), closing.clone()));
        }
        Ok((Self { shared, history: reader, queue, closing, reserve }, writer))
    }

    /// Closes the files and releases the lock. Pending writes are answered with [`StoreError::Closed`], as is every later
    /// call.
    pub async fn close(&self) {
        self.closing.cancel();
        self.queue.closed().await;
        self.shared.close();
    }

    /// Returns when the store takes no more writes, with the reason: it was closed, or a commit failed. It must then be
    /// opened again.
    pub async fn ended(&self) -> StoreError {
        self.queue.closed().await;
        self.shared.why_gone()
    }

    /// Whether its disk is full: it writes into the space that was kept for that, or waits for space.
    pub fn is_disk_full(&self) -> bool {
        self.reserve.as_ref().is_some_and(|reserve| reserve.is_full())
    }

    /// One key, read in place.
    pub fn get_now(&self, key: &str) -> Result<Option<StoreEntry>, StoreError> {
        self.shared.read(|txn| {
            let entries = txn.open_table(tables::ENTRIES)?;
            Ok(entries.get(key)?.map(|row| tables::entry(key, &row)))
        })
    }

    /// All keys with this prefix at one revision, read in place.
    pub fn list_now(&self, prefix: &str) -> Result<Listing, StoreError> {
        self.shared.read(|txn| {
            let revision = txn.open_table(tables::NUMBERS)?.get(tables::REVISION)?;
            let revision = revision.map_or(0, |n| n.value());
            let mut entries = Vec::new();
            for row in txn.open_table(tables::ENTRIES)?.range(prefix..)? {
                let (key, row) = row?;
                let key = key.value();
                if !key.starts_with(prefix) {
                    break;
                }
                entries.push(tables::entry(key, &row));
            }
            Ok(Listing { revision, entries })
        })
    }

    /// A caller that stops waiting does not cancel its request: after [`StoreError::Unanswered`] it may still take effect.
    async fn ask<T>(&self, work: impl FnOnce(ReplySender<T>) -> WriterRequest) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            if self.queue.send(work(reply)).await.is_err() {
                return Err(self.shared.why_gone());
            }
            answer.await.unwrap_or_else(|_| Err(self.shared.why_gone()))
        };
        tokio::time::timeout(ANSWER_WITHIN, asked)
            .await
            .unwrap_or(Err(StoreError::Unanswered { seconds: ANSWER_WITHIN.as_secs() }))
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    fn identity(&self) -> &StoreIdentity {
        &self.shared.identity
    }

    async fn get(&self, key: &str) -> Result<Option<StoreEntry>, StoreError> {
        self.get_now(key)
    }

    async fn list(&self, prefix: &str) -> Result<Listing, StoreError> {
        self.list_now(prefix)
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError> {
        txn.check()?;
        self.ask(|reply| WriterRequest::Txn(txn, reply)).await
    }

    async fn watch(
        &self,
        prefix: &str,
        from_revision: u64,
    ) -> Result<BoxStream<'static, WatchEvent>, StoreError> {
        if self.queue.is_closed() {
            return Err(self.shared.why_gone());
        }
        Ok(self.history.watch(prefix, from_revision))
    }

    async fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.ask(|reply| WriterRequest::Grant(ttl, reply)).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.ask(|reply| WriterRequest::KeepAlive(lease, reply)).await
    }

    async fn revoke_lease(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.ask(|reply| WriterRequest::Revoke(lease, reply)).await
    }
}
