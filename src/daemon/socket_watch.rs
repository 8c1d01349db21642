//! Notices that a unix socket's file was removed or replaced, and binds it again.
//!
//! The listeners belong to the controller: it is asked to end, and its successor gets the new ones. Traffic does not notice.

use std::convert::Infallible;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Role;
use super::child_records::ChildRecords;
use super::incidents::{Incident, Incidents};
use super::spawner::ChildSpawner;
use super::unix_sockets::{bind_api, bind_plane};

/// A client that finds no socket tries again after seconds; a stat of two files costs microseconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A socket's file, as it was bound.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// As users know it.
    shown: PathBuf,
    inode: Option<u64>,
}

impl SocketFile {
    fn new(path: PathBuf, shown: PathBuf) -> Self {
        Self { inode: inode(&path), path, shown }
    }

    fn is_in_place(&self) -> bool {
        self.inode.is_some() && self.inode == inode(&self.path)
    }
}

fn inode(path: &Path) -> Option<u64> {
    std::fs::symlink_metadata(path).ok().map(|found| found.ino())
}

/// Keeps both sockets reachable.
pub(super) async fn keep_sockets(
    spawner: &ChildSpawner,
    children: &ChildRecords,
    incidents: &Incidents,
) -> Infallible {
    let options = &spawner.options;
    let mut api = SocketFile::new(options.socket.clone(), options.socket.clone());
    let plane_path = spawner.state.balancer_path().join("plane.sock");
    let mut plane = SocketFile::new(plane_path, options.state_dir.join("balancer/plane.sock"));
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let mut is_bound = false;
        if !api.is_in_place() {
            is_bound |= rebind(&mut api, || bind_api(&spawner.options.socket), &spawner.api, incidents);
        }
        if !plane.is_in_place() {
            let bind = || bind_plane(&spawner.state, spawner.balancer_user);
            is_bound |= rebind(&mut plane, bind, &spawner.plane, incidents);
        }
        if let Some(pid) = children.running(Role::Controller).filter(|_| is_bound) {
            // It may have ended by itself, and not be reaped yet: then this has no effect.
            if let Err(error) = kill(Pid::from_raw(pid), Signal::SIGTERM) {
                tracing::warn!(%error, "cannot ask the controller to end");
            }
        }
    }
}

/// Binds a socket again; whether that succeeded. What cannot be bound is tried again at the next look.
fn rebind(
    file: &mut SocketFile,
    bind: impl FnOnce() -> anyhow::Result<std::os::unix::net::UnixListener>,
    listener: &std::cell::RefCell<std::os::unix::net::UnixListener>,
    incidents: &Incidents,
) -> bool {
    match bind() {
        Ok(bound) => {
            tracing::warn!(socket = %file.shown.display(), "the socket was removed or replaced; it is bound again");
            listener.replace(bound);
            incidents.record(Incident::SocketBoundAgain { path: file.shown.clone() });
            *file = SocketFile::new(file.path.clone(), file.shown.clone());
            true
        }
        Err(error) => {
            tracing::warn!(socket = %file.shown.display(), "the socket was removed, and cannot be bound again: {error:#}");
            false
        }
    }
}
