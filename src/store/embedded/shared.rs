//! The open database, as readers and the writer use it.

use std::sync::OnceLock;

use parking_lot::RwLock;
use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};

use super::file::OpenedDatabase;
use super::tables;
use crate::store::{StoreError, StoreIdentity};

/// The open database, shared by readers and the writer.
pub(super) struct SharedDatabase {
    pub(super) identity: StoreIdentity,
    pub(super) path: String,
    pub(super) in_memory: bool,
    /// `None` once closed.
    pub(super) opened: RwLock<Option<OpenedDatabase>>,
    /// Why no write is taken any more.
    pub(super) failed: OnceLock<StoreError>,
}

impl SharedDatabase {
    pub(super) fn new(identity: StoreIdentity, opened: OpenedDatabase, in_memory: bool) -> Self {
        let path = opened.path.clone();
        Self { identity, path, in_memory, opened: RwLock::new(Some(opened)), failed: OnceLock::new() }
    }

    fn with_database<T>(
        &self,
        f: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        match &*self.opened.read() {
            Some(opened) => f(&opened.database),
            None => Err(redb::Error::DatabaseClosed),
        }
    }

    pub(super) fn read<T>(
        &self,
        f: impl FnOnce(ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let txn = self.with_database(|database| Ok(database.begin_read()?));
        txn.and_then(f).map_err(|error| self.store_error(error))
    }

    pub(super) fn begin_write(&self) -> Result<WriteTransaction, redb::Error> {
        self.with_database(|database| Ok(database.begin_write()?))
    }

    pub(super) fn store_error(&self, error: redb::Error) -> StoreError {
        tables::store_error(&self.path, error)
    }

    /// From now on every write is answered with this error.
    pub(super) fn fail(&self, error: StoreError) -> StoreError {
        tracing::error!(%error, "the store is read-only after a failure, until it is opened again");
        self.failed.get_or_init(|| error).clone()
    }

    pub(super) fn why_gone(&self) -> StoreError {
        self.failed.get().cloned().unwrap_or(StoreError::Closed)
    }

    /// Closes the files and releases the lock.
    pub(super) fn close(&self) {
        self.opened.write().take();
    }
}
