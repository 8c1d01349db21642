//! Binds the TCP sockets that clients connect to.
//!
//! Invariants: one socket per balancer thread for each address, always, because a listening socket that no thread accepts
//! from swallows connections; an address in use is an error and never shared by accident.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};

use anyhow::bail;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait for a balancer thread, for each socket. The kernel cuts it to `net.core.somaxconn` (4096 by
/// default); it must hold what arrives while a dead balancer is replaced (200 ms), which is 20,000 connections a second.
const HTTP_BACKLOG: i32 = 4096;

/// An address with its sockets.
#[derive(Debug)]
pub(super) struct BoundAddress {
    /// As asked for; its port may be 0.
    pub(super) asked: SocketAddr,
    pub(super) address: SocketAddr,
    /// One for each balancer thread.
    pub(super) sockets: Vec<TcpListener>,
}

/// Binds a socket for each of the threads.
pub(super) fn bind_address(asked: SocketAddr, threads: usize) -> io::Result<BoundAddress> {
    let address = probe(asked)?;
    let sockets = (0..threads).map(|_| listen(address)).collect::<io::Result<_>>()?;
    Ok(BoundAddress { asked, address, sockets })
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
pub(super) fn share_socket(socket: &TcpListener, threads: usize) -> io::Result<BoundAddress> {
    let address = socket.local_addr()?;
    let sockets = (0..threads).map(|_| socket.try_clone()).collect::<io::Result<_>>()?;
    Ok(BoundAddress { asked: address, address, sockets })
}

/// Binds without `SO_REUSEPORT`, which fails if another program listens there, even one that would share the port; returns
/// the address with its port filled in.
fn probe(address: SocketAddr) -> io::Result<SocketAddr> {
    let socket = stream_socket(address)?;
    socket.bind(&address.into())?;
    socket.local_addr()?.as_socket().ok_or_else(|| ErrorKind::AddrNotAvailable.into())
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = stream_socket(address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(HTTP_BACKLOG)?;
    Ok(socket.into())
}

fn stream_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // connections of a daemon that just ended linger in TIME_WAIT and would block the address for a minute
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` on one port do not conflict
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bind_gives_each_thread_a_socket_on_same_port() {
        for asked in ["127.0.0.1:0", "[::1]:0"] {
            let bound = bind_address(asked.parse().unwrap(), 3).unwrap();
            assert_eq!(bound.sockets.len(), 3);
            assert_ne!(bound.address.port(), 0);
            assert!(bound.sockets.iter().all(|socket| socket.local_addr().unwrap() == bound.address));
        }
    }

    #[test]
    fn port_in_use_is_refused_even_if_the_other_program_would_share_it() {
        let other = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = bind_address(other.local_addr().unwrap(), 2).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    }

    #[test]
    fn activated_socket_is_shared_by_all_threads() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let shared = share_socket(&socket, 2).unwrap();
        let addresses: Vec<SocketAddr> =
            shared.sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        assert_eq!(addresses, [socket.local_addr().unwrap(); 2]);
    }
}
