//! The supervisor's hold on the state directory: it creates and locks it, and gives the balancer a directory inside.
//!
//! Invariants: at most one supervisor holds a state directory; a directory that already existed keeps its mode; the
//! balancer's directory belongs to the balancer's user alone.
//! Deliberately absent: the store and its own lock, which are the controller's.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::StartError;
use super::balancer_locks::BalancerLocks;
use super::start_retry::while_ending;
use super::state_location::check_location;

/// User and group id of the balancer when the daemon runs as root. A bare number needs no entry in /etc/passwd; this one
/// is just below Debian's last group and user (65534), above what adduser and systemd's dynamic users (61184 to 65519) hand
/// out, and below the end of the 16-bit range that user namespaces map.
pub const BALANCER_ID: u32 = 65530;

/// Mode of directories that we create; existing ones keep theirs.
const DIRECTORY_MODE: u32 = 0o750;
/// Mode of the balancer's directory.
const PRIVATE_MODE: u32 = 0o700;

/// A state directory, locked for as long as this value lives.
#[derive(Debug)]
pub(super) struct StateDir {
    /// `<state>/balancer`, opened.
    pub(super) balancer: File,
    pub(super) balancer_locks: BalancerLocks,
    lock: File,
}

/// The user id of the balancer, if this process may choose it.
pub(super) fn balancer_user() -> Option<u32> {
    nix::unistd::geteuid().is_root().then_some(BALANCER_ID)
}

impl StateDir {
    /// Creates what is missing and takes the lock.
    ///
    /// # Errors
    /// [`StartError::AlreadyRunning`]; or the directory cannot be created or opened.
    pub(super) fn open(path: &Path, balancer_user: Option<u32>) -> anyhow::Result<Self> {
        make_directory(path)?;
        let lock = while_ending(path, || lock(path))?;
        check_location(path)?;
        let directory = path.join("balancer");
        let balancer = open_balancer_directory(&directory, balancer_user)
            .with_context(|| format!("cannot prepare {}", directory.display()))?;
        let balancer_locks = BalancerLocks::of(path);
        balancer_locks
            .prepare()
            .with_context(|| format!("cannot prepare {}", path.join("balancers").display()))?;
        Ok(Self { balancer, balancer_locks, lock })
    }

    /// Continues to hold a state directory that an earlier program of this process opened: its lock, and `<state>/balancer`.
    pub(super) fn continued(path: &Path, lock: File, balancer: File) -> Self {
        Self { balancer, balancer_locks: BalancerLocks::of(path), lock }
    }

    /// For [`Self::continued`].
    pub(super) fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.lock.as_fd(), self.balancer.as_fd()]
    }

    /// The balancer's directory by a path that fits into a socket's address (108 bytes), for this process.
    pub(super) fn balancer_path(&self) -> PathBuf {
        use std::os::fd::AsRawFd;
        PathBuf::from(format!("/proc/self/fd/{}", self.balancer.as_raw_fd()))
    }
}

/// Creates a directory and its parents with mode 0750, where they are missing.
pub(super) fn make_directory(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(path)
        .with_context(|| format!("cannot create the directory {}", path.display()))
}

fn lock(directory: &Path) -> anyhow::Result<File> {
    let path = directory.join("supervisor.lock");
    let context = || format!("cannot lock {}", path.display());
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .open(&path)
        .with_context(context)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid).with_context(context)?;
            let pid = match pid.trim() {
                "" => "unknown".to_owned(),
                pid => pid.to_owned(),
            };
            return Err(StartError::AlreadyRunning { pid, directory: directory.to_owned() }.into());
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(context),
    }
    file.set_len(0).with_context(context)?;
    file.rewind().with_context(context)?;
    match writeln!(file, "{}", std::process::id()) {
        // the pid is for messages only
        Err(error) if error.kind() != std::io::ErrorKind::StorageFull => Err(error).with_context(context),
        _ => Ok(file),
    }
}

fn open_balancer_directory(path: &Path, user: Option<u32>) -> anyhow::Result<File> {
    match DirBuilder::new().mode(PRIVATE_MODE).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() {
        bail!("it is not a directory");
    }
    if let Some(id) = user
        && (found.uid(), found.gid()) != (id, id)
    {
        give_tables(path, id)?;
        lchown(path, Some(id), Some(id))?;
    }
    let directory = File::open(path)?;
    directory.set_permissions(fs::Permissions::from_mode(PRIVATE_MODE))?;
    Ok(directory)
}

/// Gives the balancer the tables that an earlier daemon wrote as another user: only their owner can read them. Once the directory is the
/// balancer's this must not happen: it could put any file in their place.
fn give_tables(directory: &Path, user: u32) -> std::io::Result<()> {
    for name in ["table.json", "table.tmp"] {
        let path = directory.join(name);
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_file() && found.nlink() == 1) {
            lchown(&path, Some(user), Some(user))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_supervisor_is_refused_with_the_pid_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/state");
        let held = StateDir::open(&path, None).unwrap();
        let refused = StateDir::open(&path, None).unwrap_err();
        let refused = refused.downcast::<StartError>().unwrap();
        assert_eq!(refused.code(), "CTL-0501");
        let text = refused.to_string();
        assert!(text.contains(&std::process::id().to_string()), "{text}");
        assert!(text.contains(path.to_str().unwrap()), "{text}");
        drop(held);
        StateDir::open(&path, None).unwrap();
    }

    #[test]
    fn modes_are_set_only_on_directories_that_we_create() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        let ours = dir.path().join("ours");
        let _held = StateDir::open(&ours, None).unwrap();
        assert_eq!(mode(&ours), 0o750);
        assert_eq!(mode(&ours.join("balancer")), 0o700);

        let theirs = dir.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        fs::set_permissions(&theirs, fs::Permissions::from_mode(0o711)).unwrap();
        let _held = StateDir::open(&theirs, None).unwrap();
        assert_eq!(mode(&theirs), 0o711);
    }

    #[test]
    fn link_in_place_of_the_balancers_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/tmp", dir.path().join("balancer")).unwrap();
        let error = StateDir::open(dir.path(), None).unwrap_err();
        assert!(format!("{error:#}").contains("not a directory"), "{error:#}");
    }
}
