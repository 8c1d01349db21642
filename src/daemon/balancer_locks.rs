//! Which balancer processes of a state directory run: a file for each in `<state>/balancers`, which the process keeps locked.
//!
//! The supervisor makes the file and locks it before the process exists, and passes the locked descriptor on. The lock belongs to
//! the open file, not to a process: it lasts from then until the balancer has ended, also if the supervisor ends before. Who
//! finds the file unlocked knows that the balancer is gone.
//!
//! Invariants: a file has its name only while it is locked, or after its balancer has ended; only the supervisor, which holds the
//! state directory, makes and removes files; the supervisor keeps no copy of the descriptor once the process runs.
//! Deliberately absent: what is done about a balancer that does not end (`left_balancers`).

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc::O_NOFOLLOW;

use super::process_stamp::ProcessStamp;
use crate::model::{BalancerId, BalancerProcess};

/// Before a file has its name: no balancer's id begins with a dot.
const UNNAMED: &str = ".new";
/// The balancer's user cannot reach the directory, and gets the descriptor from the supervisor.
const DIRECTORY_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;
/// A record is a few dozen bytes. The balancer could write more.
const RECORD_MAX: u64 = 1 << 10;

/// The directory of the locks.
#[derive(Debug, Clone)]
pub(super) struct BalancerLocks {
    directory: PathBuf,
}

/// The lock of a balancer that is about to be started.
#[derive(Debug)]
pub(super) struct BalancerLock {
    pub(super) id: BalancerId,
    file: File,
}

/// A balancer whose file is locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LockedBalancer {
    pub(super) id: BalancerId,
    /// `None` if its supervisor ended before it was recorded.
    pub(super) process: Option<ProcessStamp>,
}

impl BalancerLocks {
    /// Those of a state directory.
    pub(super) fn of(state_dir: &Path) -> Self {
        Self { directory: state_dir.join("balancers") }
    }

    /// Makes the directory, where it is missing.
    pub(super) fn prepare(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(&self.directory)
    }

    /// Makes the locked file of a new balancer, and removes those of balancers that are gone, as far as they can be removed. Where
    /// nothing can be written, as on a disk that has become read-only, the new one takes the file and the id of one that is gone:
    /// traffic must not wait for the disk.
    pub(super) fn register(&self, id: BalancerId) -> io::Result<BalancerLock> {
        let lock = match self.create(id) {
            Ok(lock) => lock,
            Err(error) => {
                let lock = self.reuse()?.ok_or_else(|| io::Error::new(error.kind(), error.to_string()))?;
                tracing::warn!(%error, balancer = %lock.id, "cannot make a lock file; the next balancer takes an earlier one's");
                return Ok(lock);
            }
        };
        if let Err(error) = self.remove_unlocked() {
            tracing::warn!(%error, directory = %self.directory.display(), "cannot remove what ended balancers left");
        }
        Ok(lock)
    }

    fn create(&self, id: BalancerId) -> io::Result<BalancerLock> {
        let unnamed = self.directory.join(UNNAMED);
        // Of a supervisor that ended while it made one: there is only one supervisor.
        match fs::remove_file(&unnamed) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(&unnamed)?;
        file.try_lock()?;
        let named = self.directory.join(id.as_str());
        if named.exists() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        fs::rename(&unnamed, named)?;
        Ok(BalancerLock { id, file })
    }

    /// The file of a balancer that is gone, locked again. What it records is the earlier process.
    fn reuse(&self) -> io::Result<Option<BalancerLock>> {
        for name in self.names()?.into_iter().filter(|name| name != UNNAMED) {
            let file =
                OpenOptions::new().read(true).custom_flags(O_NOFOLLOW).open(self.directory.join(&name))?;
            if file.metadata()?.is_file() && file.try_lock().is_ok() {
                return Ok(Some(BalancerLock { id: BalancerId::new(name), file }));
            }
        }
        Ok(None)
    }

    /// The balancers that run.
    pub(super) fn running(&self) -> io::Result<Vec<LockedBalancer>> {
        let mut running = Vec::new();
        // Not the one that is being made: while it is opened here, the supervisor cannot lock it.
        for name in self.names()?.into_iter().filter(|name| name != UNNAMED) {
            if let Some(file) = self.locked(&name)? {
                running.push(LockedBalancer { id: BalancerId::new(name), process: record(file) });
            }
        }
        Ok(running)
    }

    /// As the controller counts them.
    pub(super) fn processes(&self) -> io::Result<Vec<BalancerProcess>> {
        let process =
            |locked: LockedBalancer| BalancerProcess { id: locked.id, pid: locked.process.map(|p| p.pid) };
        Ok(self.running()?.into_iter().map(process).collect())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let names =
            fs::read_dir(&self.directory)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }

    /// The file, if it is locked.
    fn locked(&self, name: &str) -> io::Result<Option<File>> {
        let path = self.directory.join(name);
        let file = match OpenOptions::new().read(true).custom_flags(O_NOFOLLOW).open(path) {
            Ok(file) => file,
            // The supervisor has just removed it.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // Shared: two that look at the same time do not see each other's lock.
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(file)),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn remove_unlocked(&self) -> io::Result<()> {
        for name in self.names()? {
            if self.locked(&name)?.is_none() {
                fs::remove_file(self.directory.join(name))?;
            }
        }
        Ok(())
    }
}

impl BalancerLock {
    /// The descriptor for the balancer, which keeps the lock.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.file.as_fd().try_clone_to_owned()
    }

    /// Records which process the balancer is, and lets go of the file.
    pub(super) fn record(mut self, pid: i32) -> io::Result<()> {
        let stamp = ProcessStamp::of(pid).ok_or(ErrorKind::NotFound)?;
        self.file.write_all(&serde_json::to_vec(&stamp)?)
    }
}

/// What is recorded; nothing yet, perhaps, or nothing that can be read.
fn record(file: File) -> Option<ProcessStamp> {
    let mut bytes = Vec::new();
    file.take(RECORD_MAX).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use command_fds::{CommandFdExt, FdMapping};

    use super::*;

    fn locks(directory: &tempfile::TempDir) -> BalancerLocks {
        let locks = BalancerLocks::of(directory.path());
        locks.prepare().unwrap();
        locks
    }

    fn ids(locks: &BalancerLocks) -> Vec<String> {
        let mut ids: Vec<String> = locks.running().unwrap().iter().map(|b| b.id.to_string()).collect();
        ids.sort();
        ids
    }

    #[test]
    fn balancer_runs_from_its_registration_until_the_last_holder_of_its_file_ends() {
        let directory = tempfile::tempdir().unwrap();
        let locks = locks(&directory);
        assert_eq!(ids(&locks), [""; 0]);
        let lock = locks.register("a".into()).unwrap();
        let mut command = Command::new("cat");
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let descriptor = FdMapping { parent_fd: lock.descriptor().unwrap(), child_fd: 3 };
        let mut child = command.fd_mappings(vec![descriptor]).unwrap().spawn().unwrap();
        drop(command);
        let pid = i32::try_from(child.id()).unwrap();
        lock.record(pid).unwrap();
        let held = LockedBalancer { id: "a".into(), process: ProcessStamp::of(pid) };
        assert_eq!(locks.running().unwrap(), [held], "this process holds it no longer");
        let other = locks.register("b".into()).unwrap();
        assert_eq!(ids(&locks), ["a", "b"], "not removed while it runs");
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(ids(&locks), ["b"]);
        drop(other);
        assert_eq!(ids(&locks), [""; 0]);
        let _third = locks.register("c".into()).unwrap();
        assert_eq!(locks.names().unwrap(), ["c"], "what was unlocked is removed");
    }

    #[test]
    fn file_that_a_supervisor_left_without_a_name_is_no_balancer_and_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let locks = locks(&directory);
        fs::write(directory.path().join("balancers").join(UNNAMED), "").unwrap();
        assert_eq!(ids(&locks), [""; 0]);
        let _lock = locks.register("a".into()).unwrap();
        assert_eq!(ids(&locks), ["a"]);
    }

    #[test]
    fn register_succeeds_next_to_what_cannot_be_removed() {
        let directory = tempfile::tempdir().unwrap();
        let locks = locks(&directory);
        fs::create_dir(directory.path().join("balancers/by-hand")).unwrap();
        let _lock = locks.register("a".into()).unwrap();
        assert_eq!(ids(&locks), ["a"]);
    }

    #[test]
    fn balancer_takes_the_file_of_one_that_is_gone_where_none_can_be_made() {
        let directory = tempfile::tempdir().unwrap();
        let locks = locks(&directory);
        drop(locks.register("gone".into()).unwrap());
        let serving = locks.register("serving".into());
        fs::write(directory.path().join("balancers/gone"), "").unwrap();
        fs::create_dir(directory.path().join("balancers").join(UNNAMED)).unwrap();
        let lock = locks.register("next".into()).unwrap();
        assert_eq!(lock.id, "gone".into());
        assert_eq!(ids(&locks), ["gone", "serving"], "both count");
        locks.register("third".into()).expect_err("no file is left");
        drop((lock, serving));
    }

    #[test]
    fn id_in_use_is_refused_and_a_record_that_is_none_is_no_process() {
        let directory = tempfile::tempdir().unwrap();
        let locks = locks(&directory);
        let mut lock = locks.register("a".into()).unwrap();
        assert_eq!(locks.register("a".into()).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(locks.running().unwrap()[0].process, None, "not recorded yet");
        lock.file.write_all(&[b'9'; 5_000]).unwrap();
        assert_eq!(locks.running().unwrap()[0].process, None);
    }
}
