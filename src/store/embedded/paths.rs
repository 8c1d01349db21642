//! The names of the store's files in a state directory, and what is asked of the file system about them.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// The files of one state directory.
pub(super) struct StoreFiles {
    pub(super) dir: PathBuf,
}

impl StoreFiles {
    pub(super) fn id(&self) -> PathBuf {
        self.dir.join("store-id")
    }

    pub(super) fn database(&self) -> PathBuf {
        self.dir.join("store.redb")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.dir.join("store.lock")
    }

    /// A database that takes the place of the present one at the next opening.
    pub(super) fn staged(&self) -> PathBuf {
        self.dir.join("store.redb.staged")
    }

    /// Space that is kept for when the disk is full.
    pub(super) fn reserve(&self) -> PathBuf {
        self.dir.join("store.reserve")
    }

    pub(super) fn sync_dir(&self) -> Result<(), StoreError> {
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(|e| io_error(&self.dir, &e))
    }
}

pub(super) fn io_error(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Io(format!("{}: {error}", path.display()))
}

pub(super) fn exists(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().map_err(|e| io_error(path, &e))
}
