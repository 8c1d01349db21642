//! What is stored: keys with values, revisions and leases.

use serde::de::DeserializeOwned;

use super::{StoreError, schema};
use crate::model::{Epoch, StoreId};

/// A lease; keys attached to it are deleted when it lapses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub i64);

/// Which store, and which opening of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreIdentity {
    /// Generated when the store is created.
    pub id: StoreId,
    /// Raised durably at every open.
    pub epoch: Epoch,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreEntry {
    pub key: String,
    pub value: Vec<u8>,
    /// Revision of the transaction that created it.
    pub create_revision: u64,
    /// Revision of the transaction that last wrote it.
    pub mod_revision: u64,
    /// Writes since it was created, from 1.
    pub version: u64,
    /// The lease it is attached to.
    pub lease: Option<LeaseId>,
}

impl StoreEntry {
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
    pub entries: Vec<StoreEntry>,
}
