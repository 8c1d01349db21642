//! The sockets that the supervisor binds at start and keeps open.
//!
//! Invariants: as many sockets for an address as balancer threads, always, because a listening socket that no thread
//! accepts from swallows connections; an address in use is an error at start and never shared by accident.
//! Deliberately absent: accepting.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, lchown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use anyhow::{Context, bail};
use nix::sys::stat::{Mode, fchmod};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::state_dir::{StateDir, make_directory};
use super::{ServeOptions, StartError, port_owner};

/// Connections that wait for a balancer thread, for each socket. The kernel cuts it to `net.core.somaxconn` (4096 by
/// default); it must hold what arrives while a dead balancer is replaced (200 ms), which is 20,000 connections a second.
const HTTP_BACKLOG: i32 = 4096;

/// Clients that wait while the controller restarts; far more than people and scripts on one host start at once.
const UNIX_BACKLOG: i32 = 128;
/// Owner and group: who is in the group commands the daemon.
const API_MODE: u32 = 0o660;
/// The balancer's user alone.
const PLANE_MODE: u32 = 0o600;

/// What the children are handed.
#[derive(Debug)]
pub(super) struct Listeners {
    /// For each balancer thread one socket for each address.
    pub(super) http: Vec<Vec<TcpListener>>,
    /// The API.
    pub(super) api: UnixListener,
    /// The balancer's way to the controller.
    pub(super) plane: UnixListener,
}

impl Listeners {
    /// Binds everything, or nothing is left bound.
    ///
    /// # Errors
    /// [`StartError`] for an address or socket that is taken or refused.
    pub(super) fn bind(
        options: &ServeOptions,
        activated: Option<TcpListener>,
        state: &StateDir,
        balancer_user: Option<u32>,
    ) -> anyhow::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let http = match activated {
            Some(socket) => share(&socket, threads).context("cannot share the activated socket")?,
            None => bind_http(&options.http, threads)?,
        };
        Ok(Self { http, api: bind_api(&options.socket)?, plane: bind_plane(state, balancer_user)? })
    }
}

/// The one socket of systemd's socket activation, if this process was started by it. Call before the first thread.
///
/// # Errors
/// More than one socket, or one that is not TCP.
pub(super) fn activated() -> anyhow::Result<Option<TcpListener>> {
    if std::env::var("LISTEN_PID").ok().as_deref() != Some(&std::process::id().to_string()) {
        return Ok(None);
    }
    let mut fds = listenfd::ListenFd::from_env();
    if fds.len() > 1 {
        bail!("socket activation with {} sockets is not supported; name one in the unit", fds.len());
    }
    Ok(fds.take_tcp_listener(0)?)
}

/// All threads accept from the one queue.
fn share(socket: &TcpListener, threads: usize) -> std::io::Result<Vec<Vec<TcpListener>>> {
    (0..threads).map(|_| Ok(vec![socket.try_clone()?])).collect()
}

fn bind_http(addresses: &[SocketAddr], threads: usize) -> anyhow::Result<Vec<Vec<TcpListener>>> {
    if addresses.is_empty() {
        bail!("there is no address to serve HTTP on");
    }
    let mut per_thread: Vec<Vec<TcpListener>> = (0..threads).map(|_| Vec::new()).collect();
    for (index, &asked) in addresses.iter().enumerate() {
        if addresses[..index].contains(&asked) {
            bail!("{asked} is given twice");
        }
        let address = probe(asked).map_err(|error| explain(asked, error))?;
        for listeners in &mut per_thread {
            listeners.push(listen(address).map_err(|error| explain(asked, error))?);
        }
        tracing::info!(%address, threads, "serving HTTP");
    }
    Ok(per_thread)
}

/// Binds without `SO_REUSEPORT`, so that anyone else's listener shows, also one that would share; gives the address with
/// its port filled in.
fn probe(address: SocketAddr) -> std::io::Result<SocketAddr> {
    let socket = stream_socket(address)?;
    socket.bind(&address.into())?;
    socket.local_addr()?.as_socket().ok_or_else(|| ErrorKind::AddrNotAvailable.into())
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = stream_socket(address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(HTTP_BACKLOG)?;
    Ok(socket.into())
}

fn stream_socket(address: SocketAddr) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a daemon that just ended linger in TIME_WAIT and would block the address for a minute.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` on one port do not conflict.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn explain(address: SocketAddr, error: std::io::Error) -> StartError {
    match error.kind() {
        ErrorKind::AddrInUse => StartError::AddressInUse { address, owner: port_owner::find(address) },
        _ => StartError::AddressRefused { address, source: error },
    }
}

fn bind_api(path: &Path) -> anyhow::Result<UnixListener> {
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

fn bind_plane(state: &StateDir, balancer_user: Option<u32>) -> anyhow::Result<UnixListener> {
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
        Ok(_) => Err(StartError::SocketInUse { path: path.to_owned() }.into()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).with_context(|| format!("cannot replace {}", path.display()))
        }
        Err(error) => Err(error).with_context(context),
    }
}

/// The socket has its mode before it has a name, so there is no moment in which others could connect.
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

    fn loopback() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn every_thread_has_its_socket_on_the_same_port() {
        let threads = bind_http(&[loopback(), loopback_v6()], 3).unwrap();
        assert_eq!(threads.len(), 3);
        for index in 0..2 {
            let first = threads[0][index].local_addr().unwrap();
            assert!(threads.iter().all(|listeners| listeners[index].local_addr().unwrap() == first));
        }
    }

    fn loopback_v6() -> SocketAddr {
        "[::1]:0".parse().unwrap()
    }

    #[test]
    fn a_port_in_use_names_port_and_owner_also_when_the_other_would_share() {
        let other = listen(loopback()).unwrap();
        let address = other.local_addr().unwrap();
        let error = bind_http(&[address], 2).unwrap_err().downcast::<StartError>().unwrap();
        assert_eq!(error.code(), "CTL-0503");
        let text = error.to_string();
        assert!(text.contains(&address.to_string()), "{text}");
        assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    }

    #[test]
    fn the_same_address_twice_is_refused() {
        let address = probe(loopback()).unwrap();
        assert!(bind_http(&[address, address], 1).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn the_api_socket_replaces_a_dead_one_and_refuses_a_live_one() {
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
    fn a_file_in_the_place_of_the_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ctl.sock");
        fs::write(&path, "precious").unwrap();
        let error = bind_api(&path).unwrap_err().downcast::<StartError>().unwrap();
        assert!(matches!(error, StartError::NotASocket { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn an_activated_socket_is_shared_by_all_threads() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let threads = share(&socket, 2).unwrap();
        assert_eq!(threads.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(threads[1][0].local_addr().unwrap(), socket.local_addr().unwrap());
    }
}
