//! The store's files in the state directory: created, locked, opened, or refused.
//!
//! `store.lock` is held while the store is open and names the holder's pid. `store.redb` is written under another
//! name and renamed into place; only then `store-id` is written. From then on a missing database is damage: an empty store
//! never replaces one.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use redb::{Builder, Database, backends::FileBackend};

use super::full_disk::{DiskReserve, ReservedFile};
use super::paths::{StoreFiles, exists, io_error};
use super::replacement;
use super::tables::{self, SCHEMA, initialise, read_identity, store_error};
use crate::model::Epoch;
use crate::store::{StoreCopy, StoreError};

/// Most memory for pages of the database; only what is read takes any. 5,000 services with 5 replicas fit: with less,
/// a pass over all of them would read every page from the kernel again.
const CACHE_BYTES: usize = 128 << 20;

/// A database that no other process has open.
#[derive(Debug)]
pub(super) struct OpenedDatabase {
    pub(super) database: Database,
    /// Its path, for messages.
    pub(super) path: String,
    /// `None` without files.
    pub(super) reserve: Option<Arc<DiskReserve>>,
    /// Released after the database is closed (fields drop in order).
    _lock: Option<File>,
}

impl OpenedDatabase {
    /// A new store on another backend than files: no lock, no `store-id`.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn on_backend(backend: impl redb::StorageBackend, id: &str) -> Result<Self, StoreError> {
        let path = "(in memory)".to_owned();
        let database =
            Builder::new().create_with_backend(backend).map_err(|error| store_error(&path, error.into()))?;
        initialise(&database, id).map_err(|error| store_error(&path, error))?;
        Ok(Self { database, path, reserve: None, _lock: None })
    }
}

/// Opens the store of a directory, or creates it where there is none yet; `new_id` is then its UUID. Blocks.
pub(super) fn open(dir: &Path, new_id: &str) -> Result<OpenedDatabase, StoreError> {
    let files = StoreFiles { dir: dir.to_owned() };
    make_dir(dir).map_err(|e| io_error(dir, &e))?;
    let lock = lock(&files)?;
    replacement::complete(&files)?;
    let path = files.database();
    match (read_id(&files)?, exists(&path)?) {
        (None, false) => create(&files, new_id)?,
        (Some(_), false) => {
            let reason = format!("it is missing, and {} says that it existed", files.id().display());
            return Err(StoreError::Damaged { path: path.display().to_string(), reason });
        }
        (_, true) => {}
    }
    let reserve = DiskReserve::new(files.reserve());
    let database = open_database(&path, &reserve)?;
    check_identity(&files, &database)?;
    let path = path.display().to_string();
    Ok(OpenedDatabase { database, path, reserve: Some(reserve), _lock: Some(lock) })
}

fn make_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

fn lock(files: &StoreFiles) -> Result<File, StoreError> {
    let path = files.lock();
    let failed = |e: io::Error| io_error(&path, &e);
    let mut file = private().create(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Best effort: a holder that has not written its pid yet is still the holder.
            let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(StoreError::Locked { dir: files.dir.display().to_string(), pid });
        }
        Err(TryLockError::Error(e)) => return Err(failed(e)),
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    match writeln!(file, "{}", std::process::id()) {
        // The pid is for messages only.
        Err(error) if error.kind() != ErrorKind::StorageFull => Err(failed(error)),
        _ => Ok(file),
    }
}

/// What `store-id` says; `None` where there is none.
fn read_id(files: &StoreFiles) -> Result<Option<String>, StoreError> {
    let path = files.id();
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(&path, &error)),
    };
    let text = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n'));
    match text.filter(|text| uuid::Uuid::try_parse(text).is_ok()) {
        Some(id) => Ok(Some(id.to_owned())),
        None => {
            let reason = "it does not hold a UUID".to_owned();
            Err(StoreError::Damaged { path: path.display().to_string(), reason })
        }
    }
}

/// Stages a store: empty, or with the content of a copy. It takes effect at the next opening. Blocks.
pub(super) fn stage(
    dir: &Path,
    new_id: &str,
    epoch: Epoch,
    copy: Option<&StoreCopy>,
) -> Result<(), StoreError> {
    let files = StoreFiles { dir: dir.to_owned() };
    let id = copy.map_or(new_id, |copy| copy.store.as_str());
    let content = copy.map(|copy| &copy.content);
    write_database(&files, &files.staged(), id, |database| tables::fill(database, epoch, content))
}

fn create(files: &StoreFiles, id: &str) -> Result<(), StoreError> {
    write_database(files, &files.database(), id, |_| Ok(()))
}

/// Writes a database under another name, then puts it in place. A crash leaves nothing, or all of it.
fn write_database(
    files: &StoreFiles,
    path: &Path,
    id: &str,
    fill: impl FnOnce(&Database) -> Result<(), redb::Error>,
) -> Result<(), StoreError> {
    let unfinished = files.dir.join("store.redb.new");
    let written = write_unfinished(files, &unfinished, path, id, fill);
    if written.is_err() {
        // The disk may be full because of it; if it cannot be removed, the error that follows says more.
        let _ = std::fs::remove_file(&unfinished);
    }
    written
}

fn write_unfinished(
    files: &StoreFiles,
    unfinished: &Path,
    path: &Path,
    id: &str,
    fill: impl FnOnce(&Database) -> Result<(), redb::Error>,
) -> Result<(), StoreError> {
    let failed = |e: io::Error| io_error(unfinished, &e);
    let file = private().create(true).truncate(true).open(unfinished).map_err(failed)?;
    let redb_failed = |error: redb::Error| store_error(&unfinished.display().to_string(), error);
    let backend = FileBackend::new(file).map_err(|e| redb_failed(e.into()))?;
    let database = Builder::new().create_with_backend(backend).map_err(|e| redb_failed(e.into()))?;
    initialise(&database, id).map_err(redb_failed)?;
    fill(&database).map_err(redb_failed)?;
    database.close().map_err(|e| redb_failed(e.into()))?;
    File::open(unfinished).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(unfinished, path).map_err(failed)?;
    files.sync_dir()
}

fn open_database(path: &Path, reserve: &Arc<DiskReserve>) -> Result<Database, StoreError> {
    let text = path.display().to_string();
    let file = private().open(path).map_err(|e| io_error(path, &e))?;
    let length = file.metadata().map_err(|e| io_error(path, &e))?.len();
    if length == 0 {
        // It would be taken for a new one.
        return Err(StoreError::Damaged { path: text, reason: "it is empty".to_owned() });
    }
    let failed = |error: redb::Error| store_error(&text, error);
    let backend = ReservedFile::new(file, Arc::clone(reserve)).map_err(failed)?;
    Builder::new()
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true)
        .create_with_backend(backend)
        .map_err(|error| failed(error.into()))
}

/// The database is the one that `store-id` names, and not from a later version. Where `store-id` is missing (the
/// machine stopped right after the database was put in place, or it was removed) it is written again.
fn check_identity(files: &StoreFiles, database: &Database) -> Result<(), StoreError> {
    let path = files.database().display().to_string();
    let (id, schema) = read_identity(database).map_err(|error| store_error(&path, error))?;
    if schema > u64::from(SCHEMA) {
        let found = u32::try_from(schema).unwrap_or(u32::MAX);
        return Err(StoreError::TooNew { path, found, known: SCHEMA });
    }
    match read_id(files)? {
        Some(named) if named == id => Ok(()),
        Some(named) => {
            Err(StoreError::Damaged { path, reason: format!("it is store {id}, store-id names {named}") })
        }
        None => write_id(files, &id),
    }
}

fn write_id(files: &StoreFiles, id: &str) -> Result<(), StoreError> {
    let path = files.id();
    let unfinished = files.dir.join("store-id.new");
    let write = || {
        let mut file = private().create(true).truncate(true).open(&unfinished)?;
        writeln!(file, "{id}")?;
        file.sync_all()?;
        std::fs::rename(&unfinished, &path)
    };
    write().map_err(|e| io_error(&path, &e))?;
    files.sync_dir()
}
