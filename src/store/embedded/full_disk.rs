//! The database's file on a disk that may be full.
//!
//! Growth is allocated when it happens, and 8 MiB are kept in a file of their own: when a write finds no space, that file is
//! deleted and the write succeeds. Commits reuse the pages that earlier ones freed, so that this lasts for thousands of them. If
//! even that is used up, the write waits, as it does for a disk that hangs: reads continue, and nothing is lost when the
//! space is back.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::fcntl::{FallocateFlags, fallocate};
use redb::StorageBackend;
use redb::backends::FileBackend;

/// A commit writes some ten pages of 4 KiB and a growing table of services a few hundred; more would be missed on a small disk.
const RESERVE_BYTES: u64 = 8 << 20;
/// The reserve is only filled again if this much stays free: others need space too.
const STAYS_FREE: u64 = 1 << 20;
/// Between two tries of a write that found no space: it continues within a second of the space being back.
const TRY_EVERY: Duration = Duration::from_millis(200);

/// The space that is kept for the database.
#[derive(Debug)]
pub(super) struct DiskReserve {
    path: PathBuf,
    /// Whether writes wait for space: not while the store is being opened, whose caller must learn why it fails.
    waits: AtomicBool,
    /// Whether a write waits now.
    is_stuck: AtomicBool,
}

impl DiskReserve {
    pub(super) fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, waits: AtomicBool::new(false), is_stuck: AtomicBool::new(false) })
    }

    /// From now on a write waits for space.
    pub(super) fn wait_for_space(&self) {
        self.waits.store(true, Ordering::Relaxed);
    }

    /// Whether the disk is full: the reserve is in use, or used up.
    pub(super) fn is_full(&self) -> bool {
        self.is_stuck.load(Ordering::Relaxed) || !self.path.exists()
    }

    /// Fills the reserve if it is missing and there is space. Blocks.
    pub(super) fn fill(&self) {
        if self.path.exists() || self.is_stuck.load(Ordering::Relaxed) || !self.has_space() {
            return;
        }
        let unfinished = self.path.with_extension("new");
        let filled = File::create(&unfinished)
            .and_then(|file| allocate(&file, RESERVE_BYTES))
            .and_then(|()| fs::rename(&unfinished, &self.path));
        if let Err(error) = filled {
            tracing::warn!(%error, "cannot keep space for the store");
            // Half a reserve is space that others miss.
            let _ = fs::remove_file(&unfinished);
        }
    }

    /// Whether there is space for the reserve; where that cannot be asked, it is tried.
    fn has_space(&self) -> bool {
        let dir = self.path.parent().unwrap_or(&self.path);
        nix::sys::statvfs::statvfs(dir).map_or(true, |disk| {
            let free = disk.blocks_available().saturating_mul(disk.fragment_size());
            free >= RESERVE_BYTES + STAYS_FREE
        })
    }

    /// Does what needs space; on a full disk with the reserve, else when there is space again.
    fn spend<T>(&self, mut write: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        loop {
            match write() {
                Err(error) if is_full(&error) => {
                    if fs::remove_file(&self.path).is_ok() {
                        tracing::error!(
                            "the disk of the store is full; using the space that was kept for it"
                        );
                        continue;
                    }
                    if !self.waits.load(Ordering::Relaxed) {
                        return Err(error);
                    }
                    if !self.is_stuck.swap(true, Ordering::Relaxed) {
                        tracing::error!("the disk of the store is full; writes wait for space");
                    }
                    std::thread::sleep(TRY_EVERY);
                }
                outcome => {
                    if self.is_stuck.swap(false, Ordering::Relaxed) {
                        tracing::info!("the store has space again");
                    }
                    return outcome;
                }
            }
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Gives a file blocks up to this length. A file system that cannot is left as it is.
fn allocate(file: &File, length: u64) -> io::Result<()> {
    let length = i64::try_from(length).map_err(io::Error::other)?;
    match fallocate(file, FallocateFlags::empty(), 0, length) {
        Err(nix::errno::Errno::EOPNOTSUPP) => Ok(()),
        outcome => outcome.map_err(io::Error::from),
    }
}

/// The database's file.
#[derive(Debug)]
pub(super) struct ReservedFile {
    backend: FileBackend,
    file: File,
    reserve: Arc<DiskReserve>,
}

impl ReservedFile {
    /// # Errors
    /// The file system's, or the database is open elsewhere.
    pub(super) fn new(file: File, reserve: Arc<DiskReserve>) -> Result<Self, redb::Error> {
        let own = file.try_clone()?;
        Ok(Self { backend: FileBackend::new(file)?, file: own, reserve })
    }
}

impl StorageBackend for ReservedFile {
    fn len(&self) -> io::Result<u64> {
        self.backend.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.backend.read(offset, out)
    }

    /// Blocks for the growth, while there is a choice; without space the file grows without them, and each write finds its own.
    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > self.backend.len()? {
            // Where it fails, or does nothing, each write finds its own space.
            let _ = allocate(&self.file, len);
        }
        self.reserve.spend(|| self.backend.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.backend.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.reserve.spend(|| self.backend.write(offset, data))
    }
}
