//! The only persistence: a revisioned key-value store with etcd's contract.
//!
//! Purpose: one trait, so that one node's embedded file and a cluster's etcd are the same to every caller.
//! Invariants: one revision per transaction, delivered whole to watchers; an acknowledged write survives power loss;
//! `list` returns the revision it was read at; a watch never skips or reorders, or reports [`WatchEvent::Resync`].
//! Deliberately absent: what objects mean (callers serialise `model` types), retries.

mod change;
mod contract;
mod decoded;
mod embedded;
mod entry;
mod error;
mod fenced;
mod left_stores;
mod schema;
mod snapshot;
mod txn;

pub use change::{Change, WatchEvent};
pub use contract::Store;
pub use decoded::Decoded;
pub use embedded::EmbeddedStore;
pub use entry::{LeaseId, Listing, StoreEntry, StoreIdentity};
pub use error::StoreError;
pub use fenced::{FencedStore, StoreFence};
pub use left_stores::LeftStores;
pub use schema::OBJECT_SCHEMA;
pub use snapshot::{SnapshotError, StoreCopy};
pub use txn::{Compare, KEY_MAX_BYTES, Op, TXN_MAX_BYTES, TXN_MAX_OPS, Txn, TxnOutcome};
