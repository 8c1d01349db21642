//! Transactions: conditions and writes that happen together, and their limits, the same on every backend.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{LeaseId, StoreError, schema};

/// Longest key, in bytes: a route claim (host of 253, path) is the longest there is and stays well below.
pub const KEY_MAX_BYTES: usize = 4096;
/// Most operations in one transaction (etcd's default).
pub const TXN_MAX_OPS: usize = 128;
/// Most bytes of keys and values in one transaction (etcd's default is 1.5 MiB; one below it fits both backends).
pub const TXN_MAX_BYTES: usize = 1 << 20;

/// A condition of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compare {
    /// The key does not exist.
    Absent(String),
    /// The key exists and was last written by this revision.
    ModRevision(String, u64),
}

/// A write of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Sets a key, attached to the lease, where there is one.
    Put { key: String, value: Vec<u8>, lease: Option<LeaseId> },
    /// Removes a key. A key that does not exist is no error.
    Delete { key: String },
    /// An object that could not be encoded: the store refuses the transaction with [`StoreError::Encode`].
    Unencodable { key: String, reason: String },
}

impl Op {
    /// Sets a key to an object's JSON with its schema number, without a lease.
    pub fn put<T: Serialize>(key: impl Into<String>, object: &T) -> Op {
        let key = key.into();
        match schema::write(object) {
            Ok(value) => Op::Put { key, value, lease: None },
            Err(error) => Op::Unencodable { key, reason: error.to_string() },
        }
    }

    /// Removes a key.
    pub fn delete(key: impl Into<String>) -> Op {
        Op::Delete { key: key.into() }
    }
}

/// All or nothing: if every comparison holds, all operations happen at one new revision. No key twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Txn {
    pub compare: Vec<Compare>,
    pub ops: Vec<Op>,
}

/// The result of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxnOutcome {
    /// Durable, at this revision. (A transaction without operations commits at the current one.)
    Committed { revision: u64 },
    /// A comparison did not hold; nothing was written.
    Conflict {
        /// The store's revision when it was compared.
        revision: u64,
    },
}

impl Compare {
    /// The key that is compared.
    pub fn key(&self) -> &str {
        match self {
            Self::Absent(key) | Self::ModRevision(key, _) => key,
        }
    }
}

impl Op {
    /// The key that is written.
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } | Self::Unencodable { key, .. } => key,
        }
    }

    fn value_len(&self) -> usize {
        match self {
            Self::Put { value, .. } => value.len(),
            Self::Delete { .. } | Self::Unencodable { .. } => 0,
        }
    }
}

impl Txn {
    /// Whether every backend accepts it. Backends check this before anything else.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        for (what, count) in [("comparisons", self.compare.len()), ("operations", self.ops.len())] {
            if count > TXN_MAX_OPS {
                return Err(StoreError::TooLarge(format!("{count} {what}, at most {TXN_MAX_OPS}")));
            }
        }
        let keys = self.compare.iter().map(Compare::key).chain(self.ops.iter().map(Op::key));
        let mut bytes: usize = self.ops.iter().map(Op::value_len).sum();
        for key in keys {
            check_key(key)?;
            bytes += key.len();
        }
        if bytes > TXN_MAX_BYTES {
            return Err(StoreError::TooLarge(format!("{bytes} bytes, at most {TXN_MAX_BYTES}")));
        }
        for op in &self.ops {
            if let Op::Unencodable { key, reason } = op {
                return Err(StoreError::Encode { key: key.clone(), reason: reason.clone() });
            }
        }
        let mut seen = BTreeSet::new();
        match self.ops.iter().find(|op| !seen.insert(op.key())) {
            Some(twice) => Err(StoreError::Invalid(format!("{} is written twice", twice.key()))),
            None => Ok(()),
        }
    }
}

fn check_key(key: &str) -> Result<(), StoreError> {
    if key.is_empty() {
        return Err(StoreError::Invalid("a key is empty".to_owned()));
    }
    if key.len() > KEY_MAX_BYTES {
        return Err(StoreError::TooLarge(format!("a key of {} bytes, at most {KEY_MAX_BYTES}", key.len())));
    }
    Ok(())
}
