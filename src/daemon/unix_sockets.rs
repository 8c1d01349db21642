//! Binds the unix sockets that the controller accepts on: the API's and the plane's.
//!
//! Invariants: a socket has its mode before it has a name, so there is no moment in which others could connect; the socket
//! of a running daemon and files of other kinds are never replaced.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, lchown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use anyhow::Context;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::stat::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};

use super::StartError;
use super::start_retry::lives;
use super::state_dir::{StateDir, make_directory};

/// Clients that wait while the controller restarts; far more than people and scripts on one node start at once.
const UNIX_BACKLOG: i32 = 128;
/// Owner and group: members of the group control the daemon.
const API_MODE: u32 = 0o660;
/// The balancer's user alone.
const PLANE_MODE: u32 = 0o600;

pub(super) fn bind_api(path: &Path) -> anyhow::Result<UnixListener> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_directory(parent)?;
    }
    clear_socket(path)?;
    let listener = bind_unix(path, API_MODE)?;
    // The process's mask may have cut the mode at bind.
    fs::set_permissions(path, fs::Permissions::from_mode(API_MODE))
        .with_context(|| format!("cannot set the mode of {}", path.display()))?;
    Ok(listener)
}

pub(super) fn bind_plane(state: &StateDir, balancer_user: Option<u32>) -> anyhow::Result<UnixListener> {
    let path = state.balancer_path().join("plane.sock");
    clear_socket(&path)?;
    let listener = bind_unix(&path, PLANE_MODE)?;
    if let Some(id) = balancer_user {
        // Not through a link: the directory belongs to the balancer, which may be hostile.
        lchown(&path, Some(id), Some(id)).context("cannot hand the plane's socket to the balancer's user")?;
    }
    Ok(listener)
}

/// Removes the socket file of a daemon that is gone.
fn clear_socket(path: &Path) -> anyhow::Result<()> {
    let context = || format!("cannot inspect {}", path.display());
    let kind = match fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(context),
    };
    if !kind.is_socket() {
        return Err(StartError::NotASocket { path: path.to_owned() }.into());
    }
    match UnixStream::connect(path) {
        Ok(stream) => {
            // The process that listens: of a daemon that was killed, children may hold the socket for a moment.
            let owner = getsockopt(&stream, PeerCredentials).map(|owner| owner.pid());
            let owner_lives = owner.map_or(true, lives);
            Err(StartError::SocketInUse { path: path.to_owned(), owner_lives }.into())
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).with_context(|| format!("cannot replace {}", path.display()))
        }
        Err(error) => Err(error).with_context(context),
    }
}

fn bind_unix(path: &Path, mode: u32) -> anyhow::Result<UnixListener> {
    let context = || format!("cannot listen on {}", path.display());
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).with_context(context)?;
    fchmod(&socket, Mode::from_bits_truncate(mode)).with_context(context)?;
    socket.bind(&SockAddr::unix(path).with_context(context)?).with_context(context)?;
    socket.listen(UNIX_BACKLOG).with_context(context)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_socket_replaces_a_dead_one_and_refuses_a_live_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/ctl.sock");
        let live = bind_api(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let error = bind_api(&path).unwrap_err().downcast::<StartError>().unwrap();
        assert!(matches!(error, StartError::SocketInUse { .. }), "{error}");
        drop(live);
        bind_api(&path).unwrap();
    }

    #[test]
    fn file_in_place_of_the_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ctl.sock");
        fs::write(&path, "precious").unwrap();
        let error = bind_api(&path).unwrap_err().downcast::<StartError>().unwrap();
        assert!(matches!(error, StartError::NotASocket { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
