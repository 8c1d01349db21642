//! The one writer: takes what waits as a group, applies each part in order, commits once, then tells everyone.
//!
//! Invariants: nobody (caller or watcher) hears of a write before its commit is on disk; each transaction has its own
//! revision; after a failed commit there is no other: what is on disk is then unknown, and a second fsync would not
//! tell the truth about the first.

use std::sync::Arc;
use std::time::Duration;

use redb::{ReadableTable, Table, WriteTransaction};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::history::History;
use super::lease::{LEASE_TTL_MAX, Leases};
use super::tables::{self, ENTRIES, LAST_LEASE, LEASES, NUMBERS, REVISION, Start};
use crate::store::{Change, Compare, Entry, LeaseId, Op, StoreError, Txn, TxnOutcome};

/// Most requests that share one commit: bounds how long the first of them waits for the last.
const GROUP_MAX: usize = 128;
/// Most requests that wait; the next callers wait for room.
pub(super) const QUEUE_MAX: usize = 1024;

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// A request to the writer.
pub(super) enum Work {
    Txn(Txn, Reply<TxnOutcome>),
    Grant(Duration, Reply<LeaseId>),
    KeepAlive(LeaseId, Reply<()>),
    Revoke(LeaseId, Reply<()>),
}

/// An answer that waits for the commit; a failed commit answers for everyone in its group.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

fn answer<T: Send + 'static>(reply: Reply<T>, outcome: Result<T, StoreError>) -> Answer {
    Box::new(move |committed| {
        // A caller that no longer waits does not want to know.
        let _ = reply.send(committed.and(outcome));
    })
}

/// State of the writer between two commits.
pub(super) struct Writer {
    shared: Arc<Shared>,
    history: History,
    leases: Leases,
    revision: u64,
    last_lease: i64,
}

impl Writer {
    /// A writer that goes on where the last one stopped. Every stored lease has its full time.
    pub(super) fn new(shared: Arc<Shared>, history: History, start: Start, now: Instant) -> Self {
        let mut leases = Leases::default();
        for (id, ttl) in start.leases {
            leases.grant(id, ttl, now);
        }
        for (key, lease) in &start.hung {
            leases.hang(key, None, Some(*lease));
        }
        Self { shared, history, leases, revision: start.revision, last_lease: start.last_lease }
    }

    /// Serves until the store is closed or let go by everyone, or a commit fails.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Work>, closing: CancellationToken) {
        let shared = self.shared.clone();
        loop {
            let mut group = Vec::new();
            tokio::select! {
                // Keep-alives that wait are served before their leases are looked at.
                biased;
                () = closing.cancelled() => break,
                taken = queue.recv_many(&mut group, GROUP_MAX) => if taken == 0 { break },
                () = until(self.leases.next_lapse()) => {}
            }
            match self.commit(group).await {
                Some(writer) => self = writer,
                None => break,
            }
        }
        // After a failed commit reads may go on, as far as the database lets them.
        if shared.failed.get().is_none() {
            shared.close();
        }
    }

    /// One group, off the runtime's threads where it goes to a disk. `None` after a failure.
    async fn commit(mut self, group: Vec<Work>) -> Option<Self> {
        let shared = self.shared.clone();
        let now = Instant::now();
        let commit = move || self.commit_now(group, now).then_some(self);
        if shared.in_memory {
            return commit();
        }
        match tokio::task::spawn_blocking(commit).await {
            Ok(writer) => writer,
            Err(error) => {
                shared.fail(StoreError::Io(format!("the writer stopped: {error}")));
                None
            }
        }
    }

    /// Whether the writer may go on.
    fn commit_now(&mut self, group: Vec<Work>, now: Instant) -> bool {
        let mut answers = Vec::new();
        let outcome = self.write(group, now, &mut answers).map_err(|e| self.shared.store_error(e));
        let committed = match outcome {
            Ok(changes) => {
                self.history.publish(changes, self.revision);
                Ok(())
            }
            Err(error) => Err(self.shared.fail(error)),
        };
        answers.into_iter().for_each(|answer| answer(committed.clone()));
        committed.is_ok()
    }

    fn write(
        &mut self,
        group: Vec<Work>,
        now: Instant,
        answers: &mut Vec<Answer>,
    ) -> Result<Vec<Vec<Change>>, redb::Error> {
        let txn = self.shared.begin_write()?;
        let mut pass = Pass::begin(&txn, self, now)?;
        for work in group {
            answers.push(pass.serve(work)?);
        }
        for lapsed in pass.leases.lapsed(now) {
            // It is there: it was found a line above.
            pass.end_lease(lapsed)?.ok();
        }
        let (changes, dirty) = pass.end()?;
        if dirty {
            txn.commit()?;
        } else {
            txn.abort()?;
        }
        Ok(changes)
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// One group on its way into one commit. Outer errors are the database's and end the group; inner ones are answers.
struct Pass<'a> {
    entries: Table<'a, &'static str, (u64, u64, u64, i64, &'static [u8])>,
    stored_leases: Table<'a, i64, u64>,
    numbers: Table<'a, &'static str, u64>,
    leases: &'a mut Leases,
    revision: &'a mut u64,
    last_lease: &'a mut i64,
    now: Instant,
    changes: Vec<Vec<Change>>,
    /// Whether a lease was made or ended: there is something to commit without a new revision.
    leases_changed: bool,
}

type Served<T> = Result<Result<T, StoreError>, redb::Error>;

impl<'a> Pass<'a> {
    fn begin(txn: &'a WriteTransaction, writer: &'a mut Writer, now: Instant) -> Result<Self, redb::Error> {
        Ok(Self {
            entries: txn.open_table(ENTRIES)?,
            stored_leases: txn.open_table(LEASES)?,
            numbers: txn.open_table(NUMBERS)?,
            leases: &mut writer.leases,
            revision: &mut writer.revision,
            last_lease: &mut writer.last_lease,
            now,
            changes: Vec::new(),
            leases_changed: false,
        })
    }

    /// The changes of each transaction, and whether there is anything to commit.
    fn end(mut self) -> Result<(Vec<Vec<Change>>, bool), redb::Error> {
        let dirty = !self.changes.is_empty() || self.leases_changed;
        if dirty {
            self.numbers.insert(REVISION, *self.revision)?;
        }
        Ok((self.changes, dirty))
    }

    fn serve(&mut self, work: Work) -> Result<Answer, redb::Error> {
        Ok(match work {
            Work::Txn(txn, reply) => answer(reply, self.txn(txn)?),
            Work::Grant(ttl, reply) => answer(reply, self.grant(ttl)?),
            Work::KeepAlive(id, reply) => answer(reply, self.leases.keep_alive(id, self.now)),
            Work::Revoke(id, reply) => answer(reply, self.end_lease(id)?),
        })
    }

    fn txn(&mut self, txn: Txn) -> Served<TxnOutcome> {
        for op in &txn.ops {
            if let Op::Put { lease: Some(lease), .. } = op
                && let Err(error) = self.leases.check(*lease)
            {
                return Ok(Err(error));
            }
        }
        for compare in &txn.compare {
            if !self.holds(compare)? {
                return Ok(Ok(TxnOutcome::Conflict { revision: *self.revision }));
            }
        }
        self.apply(txn.ops)?;
        Ok(Ok(TxnOutcome::Committed { revision: *self.revision }))
    }

    fn holds(&self, compare: &Compare) -> Result<bool, redb::Error> {
        let row = self.entries.get(compare.key())?;
        Ok(match (compare, row.as_ref().map(|row| row.value())) {
            (Compare::Absent(_), row) => row.is_none(),
            (Compare::ModRevision(_, revision), row) => row.is_some_and(|row| row.1 == *revision),
            (Compare::Value(_, value), row) => row.is_some_and(|row| row.4 == value.as_slice()),
        })
    }

    /// All operations at one new revision; none where nothing changes (a delete of what is not there).
    fn apply(&mut self, ops: Vec<Op>) -> Result<(), redb::Error> {
        let revision = *self.revision + 1;
        let mut changes = Vec::new();
        for op in ops {
            match op {
                Op::Put { key, value, lease } => {
                    changes.push(Change::Put(self.put(key, value, lease, revision)?));
                }
                Op::Delete { key } => changes.extend(self.delete(key)?),
            }
        }
        if !changes.is_empty() {
            *self.revision = revision;
            self.changes.push(changes);
        }
        Ok(())
    }

    fn put(
        &mut self,
        key: String,
        value: Vec<u8>,
        lease: Option<LeaseId>,
        revision: u64,
    ) -> Result<Entry, redb::Error> {
        let before = self.entries.get(key.as_str())?.map(|row| tables::entry(&key, &row));
        let (create_revision, version, hung_on) =
            before.map_or((revision, 0, None), |e| (e.create_revision, e.version, e.lease));
        self.leases.hang(&key, hung_on, lease);
        let entry =
            Entry { key, value, create_revision, mod_revision: revision, version: version + 1, lease };
        self.entries.insert(entry.key.as_str(), tables::row(&entry))?;
        Ok(entry)
    }

    fn delete(&mut self, key: String) -> Result<Option<Change>, redb::Error> {
        let Some(before) = self.entries.remove(key.as_str())?.map(|row| tables::entry(&key, &row)) else {
            return Ok(None);
        };
        self.leases.hang(&key, before.lease, None);
        Ok(Some(Change::Delete { key }))
    }

    fn grant(&mut self, ttl: Duration) -> Served<LeaseId> {
        let ttl = ttl.min(LEASE_TTL_MAX);
        *self.last_lease += 1;
        let id = LeaseId(*self.last_lease);
        self.numbers.insert(LAST_LEASE, id.0.unsigned_abs())?;
        self.stored_leases.insert(id.0, u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))?;
        self.leases.grant(id, ttl, self.now);
        self.leases_changed = true;
        Ok(Ok(id))
    }

    /// Ends a lease and deletes its keys, all in one transaction however many they are.
    fn end_lease(&mut self, id: LeaseId) -> Served<()> {
        let keys = match self.leases.end(id) {
            Ok(keys) => keys,
            Err(error) => return Ok(Err(error)),
        };
        self.stored_leases.remove(id.0)?;
        self.leases_changed = true;
        self.apply(keys.into_iter().map(Op::delete).collect())?;
        Ok(Ok(()))
    }
}
