//! What a transaction may be, the same on every backend.

use std::collections::BTreeSet;

use super::{Compare, KEY_MAX_BYTES, Op, StoreError, TXN_MAX_BYTES, TXN_MAX_OPS, Txn};

impl Compare {
    /// The key that is compared.
    pub fn key(&self) -> &str {
        match self {
            Self::Absent(key) | Self::ModRevision(key, _) | Self::Value(key, _) => key,
        }
    }

    fn value_len(&self) -> usize {
        match self {
            Self::Value(_, value) => value.len(),
            Self::Absent(_) | Self::ModRevision(..) => 0,
        }
    }
}

impl Op {
    /// The key that is written.
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    fn value_len(&self) -> usize {
        match self {
            Self::Put { value, .. } => value.len(),
            Self::Delete { .. } => 0,
        }
    }
}

impl Txn {
    /// Whether every backend takes it. Backends ask this before anything else.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        for (what, count) in [("comparisons", self.compare.len()), ("operations", self.ops.len())] {
            if count > TXN_MAX_OPS {
                return Err(StoreError::TooLarge(format!("{count} {what}, at most {TXN_MAX_OPS}")));
            }
        }
        let compared = self.compare.iter().map(|c| (c.key(), c.value_len()));
        let written = self.ops.iter().map(|op| (op.key(), op.value_len()));
        let mut bytes = 0;
        for (key, value_len) in compared.chain(written) {
            check_key(key)?;
            bytes += key.len() + value_len;
        }
        if bytes > TXN_MAX_BYTES {
            return Err(StoreError::TooLarge(format!("{bytes} bytes, at most {TXN_MAX_BYTES}")));
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
