//! One commit of the writer: the requests of a group, applied in order to one database transaction.

use std::time::Duration;

use redb::{ReadableTable, Table, WriteTransaction};
use tokio::sync::oneshot;

use super::lease::{LEASE_TTL_MAX, LeaseTable};
use super::tables::{self, ENTRIES, LAST_LEASE, LEASES, NUMBERS, REVISION};
use crate::model::Mono;
use crate::store::{Change, Compare, LeaseId, Op, StoreEntry, StoreError, Txn, TxnOutcome};

pub(super) type ReplySender<T> = oneshot::Sender<Result<T, StoreError>>;

/// A request to the writer.
pub(super) enum WriterRequest {
    Txn(Txn, ReplySender<TxnOutcome>),
    Grant(Duration, ReplySender<LeaseId>),
    KeepAlive(LeaseId, ReplySender<()>),
    Revoke(LeaseId, ReplySender<()>),
}

/// A reply that waits for the commit; a failed commit answers every request of its group.
pub(super) type PendingReply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

fn reply_after_commit<T: Send + 'static>(
    reply: ReplySender<T>,
    outcome: Result<T, StoreError>,
) -> PendingReply {
    Box::new(move |committed| {
        // The caller may have stopped waiting.
        let _ = reply.send(committed.and(outcome));
    })
}

/// What the writer keeps in memory between two commits.
pub(super) struct CommitState {
    pub(super) leases: LeaseTable,
    pub(super) revision: u64,
    pub(super) last_lease: i64,
}

/// One group that becomes one commit. Outer errors are the database's and fail the group; inner ones are answers.
pub(super) struct GroupCommit<'a> {
    entries: Table<'a, &'static str, (u64, u64, u64, i64, &'static [u8])>,
    stored_leases: Table<'a, i64, u64>,
    numbers: Table<'a, &'static str, u64>,
    state: &'a mut CommitState,
    now: Mono,
    changes: Vec<Vec<Change>>,
    /// Whether a lease was made or ended: there is something to commit without a new revision.
    leases_changed: bool,
}

type ServedRequest<T> = Result<Result<T, StoreError>, redb::Error>;

impl<'a> GroupCommit<'a> {
    pub(super) fn begin(
        txn: &'a WriteTransaction,
        state: &'a mut CommitState,
        now: Mono,
    ) -> Result<Self, redb::Error> {
        Ok(Self {
            entries: txn.open_table(ENTRIES)?,
            stored_leases: txn.open_table(LEASES)?,
            numbers: txn.open_table(NUMBERS)?,
            state,
            now,
            changes: Vec::new(),
            leases_changed: false,
        })
    }

    /// The changes of each transaction, and whether there is anything to commit.
    pub(super) fn end(mut self) -> Result<(Vec<Vec<Change>>, bool), redb::Error> {
        let dirty = !self.changes.is_empty() || self.leases_changed;
        if dirty {
            self.numbers.insert(REVISION, self.state.revision)?;
        }
        Ok((self.changes, dirty))
    }

    pub(super) fn serve(&mut self, work: WriterRequest) -> Result<PendingReply, redb::Error> {
        Ok(match work {
            WriterRequest::Txn(txn, reply) => reply_after_commit(reply, self.txn(txn)?),
            WriterRequest::Grant(ttl, reply) => reply_after_commit(reply, self.grant(ttl)?),
            WriterRequest::KeepAlive(id, reply) => {
                reply_after_commit(reply, self.state.leases.keep_alive(id, self.now))
            }
            WriterRequest::Revoke(id, reply) => reply_after_commit(reply, self.end_lease(id)?),
        })
    }

    fn txn(&mut self, txn: Txn) -> ServedRequest<TxnOutcome> {
        for op in &txn.ops {
            if let Op::Put { lease: Some(lease), .. } = op
                && let Err(error) = self.state.leases.check(*lease)
            {
                return Ok(Err(error));
            }
        }
        for compare in &txn.compare {
            if !self.holds(compare)? {
                return Ok(Ok(TxnOutcome::Conflict { revision: self.state.revision }));
            }
        }
        self.apply(txn.ops)?;
        Ok(Ok(TxnOutcome::Committed { revision: self.state.revision }))
    }

    fn holds(&self, compare: &Compare) -> Result<bool, redb::Error> {
        let row = self.entries.get(compare.key())?;
        Ok(match (compare, row.as_ref().map(|row| row.value())) {
            (Compare::Absent(_), row) => row.is_none(),
            (Compare::ModRevision(_, revision), row) => row.is_some_and(|row| row.1 == *revision),
        })
    }

    /// All operations at one new revision; none where nothing changes (a delete of what is not there).
    fn apply(&mut self, ops: Vec<Op>) -> Result<(), redb::Error> {
        let revision = self.state.revision + 1;
        let mut changes = Vec::new();
        for op in ops {
            match op {
                Op::Put { key, value, lease } => {
                    changes.push(Change::Put(self.put(key, value, lease, revision)?));
                }
                Op::Delete { key } => changes.extend(self.delete(key)?),
                // `Txn::check` has refused it.
                Op::Unencodable { .. } => {}
            }
        }
        if !changes.is_empty() {
            self.state.revision = revision;
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
    ) -> Result<StoreEntry, redb::Error> {
        let before = self.entries.get(key.as_str())?.map(|row| tables::entry(&key, &row));
        let (create_revision, version, attached_to) =
            before.map_or((revision, 0, None), |e| (e.create_revision, e.version, e.lease));
        self.state.leases.attach(&key, attached_to, lease);
        let entry =
            StoreEntry { key, value, create_revision, mod_revision: revision, version: version + 1, lease };
        self.entries.insert(entry.key.as_str(), tables::row(&entry))?;
        Ok(entry)
    }

    fn delete(&mut self, key: String) -> Result<Option<Change>, redb::Error> {
        let Some(before) = self.entries.remove(key.as_str())?.map(|row| tables::entry(&key, &row)) else {
            return Ok(None);
        };
        self.state.leases.attach(&key, before.lease, None);
        Ok(Some(Change::Delete { key }))
    }

    fn grant(&mut self, ttl: Duration) -> ServedRequest<LeaseId> {
        let ttl = ttl.min(LEASE_TTL_MAX);
        self.state.last_lease += 1;
        let id = LeaseId(self.state.last_lease);
        self.numbers.insert(LAST_LEASE, id.0.unsigned_abs())?;
        self.stored_leases.insert(id.0, u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))?;
        self.state.leases.grant(id, ttl, self.now);
        self.leases_changed = true;
        Ok(Ok(id))
    }

    /// Ends the leases whose time is over.
    pub(super) fn end_lapsed_leases(&mut self) -> Result<(), redb::Error> {
        for lapsed in self.state.leases.lapsed(self.now) {
            // The lease exists: it was listed a line above.
            self.end_lease(lapsed)?.ok();
        }
        Ok(())
    }

    /// Ends a lease and deletes its keys, all in one transaction however many they are.
    fn end_lease(&mut self, id: LeaseId) -> ServedRequest<()> {
        let keys = match self.state.leases.end(id) {
            Ok(keys) => keys,
            Err(error) => return Ok(Err(error)),
        };
        self.stored_leases.remove(id.0)?;
        self.leases_changed = true;
        self.apply(keys.into_iter().map(Op::delete).collect())?;
        Ok(Ok(()))
    }
}
