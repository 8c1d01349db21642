//! The only persistence: a revisioned key-value store with etcd's contract.
//!
//! Purpose: one trait, so that one host's embedded file and a cluster's etcd are the same to everyone else.
//! Invariants: one revision per transaction, delivered whole to watchers; an acknowledged write survives power loss;
//! `list` returns the revision it was read at; a watch never skips or reorders, or says [`WatchEvent::Resync`].
//! Deliberately absent: what objects mean (callers serialise `model` types), retries.

use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Serialize, de::DeserializeOwned};

use crate::model::{Epoch, StoreId};

mod decoded;
mod embedded;
mod limits;
mod schema;

pub use decoded::Decoded;
pub use embedded::EmbeddedStore;
pub use schema::OBJECT_SCHEMA;

/// Longest key, in bytes: a route claim (host of 253, path) is the longest there is and stays well below.
pub const KEY_MAX_BYTES: usize = 4096;
/// Most operations in one transaction (etcd's default).
pub const TXN_MAX_OPS: usize = 128;
/// Most bytes of keys and values in one transaction (etcd's default is 1.5 MiB; one below it fits both backends).
pub const TXN_MAX_BYTES: usize = 1 << 20;

/// What can go wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The state directory is in use by another daemon.
    #[error("{dir} is in use by another daemon{}", pid.map(|p| format!(" (pid {p})")).unwrap_or_default())]
    Locked {
        /// Which directory.
        dir: String,
        /// The other's process, if it said so.
        pid: Option<u32>,
    },
    /// The file is damaged or was taken away. Never treated as empty.
    #[error("the store {path} is damaged: {reason}")]
    Damaged {
        /// Which file.
        path: String,
        /// What was found.
        reason: String,
    },
    /// The file was written by a later version.
    #[error("the store {path} has schema {found}, this ctl knows up to {known}")]
    TooNew {
        /// Which file.
        path: String,
        /// Its schema.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// No answer by the deadline: the disk hangs. Whether what was asked happens is not known.
    #[error("the store did not answer within {seconds} s; whether it was written is not known")]
    Unanswered {
        /// The deadline.
        seconds: u64,
    },
    /// The transaction is larger than either backend takes.
    #[error("the transaction is too large: {0}")]
    TooLarge(String),
    /// The transaction makes no sense: an empty key, or a key written twice.
    #[error("the transaction is refused: {0}")]
    Invalid(String),
    /// Reading or writing failed. After a failed write the store takes no more writes.
    #[error("the store failed: {0}")]
    Io(String),
    /// A stored value is not what its key promises.
    #[error("{key} holds something else than it should: {reason}")]
    Decode {
        /// Which key.
        key: String,
        /// What was found.
        reason: String,
    },
    /// A stored object was written by a later version.
    #[error("{key} has schema {found}, this ctl knows up to {known}")]
    ObjectTooNew {
        /// Which key.
        key: String,
        /// Its schema.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// No such lease, or it has lapsed.
    #[error("lease {0} does not exist or has lapsed")]
    NoLease(i64),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// A lease; keys attached to it go when it lapses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub i64);

/// Which store, and which opening of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreIdentity {
    /// Made once.
    pub id: StoreId,
    /// Raised durably at every open.
    pub epoch: Epoch,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Key.
    pub key: String,
    /// Value.
    pub value: Vec<u8>,
    /// Revision of the transaction that created it.
    pub create_revision: u64,
    /// Revision of the transaction that last wrote it.
    pub mod_revision: u64,
    /// Writes since it was created, from 1.
    pub version: u64,
    /// The lease it hangs on.
    pub lease: Option<LeaseId>,
}

impl Entry {
    /// The value as the type that its key promises. One of a later schema is refused.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        schema::read(&self.key, &self.value)
    }
}

/// What a prefix held at one revision, in the order of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The store's revision when it was read.
    pub revision: u64,
    /// Keys and values.
    pub entries: Vec<Entry>,
}

/// A condition of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compare {
    /// The key does not exist.
    Absent(String),
    /// The key exists and was last written by this revision.
    ModRevision(String, u64),
    /// The key exists with this value.
    Value(String, Vec<u8>),
}

/// A write of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Sets a key, hung on a lease where given (else on none).
    Put {
        /// Key.
        key: String,
        /// Value.
        value: Vec<u8>,
        /// Lease.
        lease: Option<LeaseId>,
    },
    /// Removes a key; one that does not exist is no error.
    Delete {
        /// Key.
        key: String,
    },
}

impl Op {
    /// Sets a key to an object's JSON with its schema number, on no lease.
    pub fn put<T: Serialize>(key: impl Into<String>, object: &T) -> Op {
        Op::Put { key: key.into(), value: schema::write(object), lease: None }
    }

    /// Removes a key.
    pub fn delete(key: impl Into<String>) -> Op {
        Op::Delete { key: key.into() }
    }
}

/// All or nothing: if every comparison holds, all operations happen at one new revision. No key twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Txn {
    /// What must hold.
    pub compare: Vec<Compare>,
    /// What then happens.
    pub ops: Vec<Op>,
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxnOutcome {
    /// Durable, at this revision. (A transaction without operations commits at the current one.)
    Committed {
        /// The new revision of the store.
        revision: u64,
    },
    /// A comparison did not hold; nothing was written.
    Conflict {
        /// The store's revision when it was compared.
        revision: u64,
    },
}

/// One change of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Set; the entry as it is now.
    Put(Entry),
    /// Gone, by a delete or a lapsed lease.
    Delete {
        /// Which key.
        key: String,
    },
}

impl Change {
    /// The key that changed.
    pub fn key(&self) -> &str {
        match self {
            Self::Put(entry) => &entry.key,
            Self::Delete { key } => key,
        }
    }
}

/// What a watch delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// All changes of one transaction under the watched prefix.
    Changes {
        /// The transaction's revision.
        revision: u64,
        /// Its changes.
        changes: Vec<Change>,
    },
    /// The history from there is no longer known (compacted, from before a restart, or the reader was too slow). The
    /// stream ends; the reader lists again and watches from the listing's revision + 1.
    Resync,
}

/// The store. Contract tests run on every backend: `tests/it/store.rs`.
#[async_trait]
pub trait Store: Send + Sync {
    /// Which store, and which opening of it.
    fn identity(&self) -> &StoreIdentity;
    /// One key.
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError>;
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
