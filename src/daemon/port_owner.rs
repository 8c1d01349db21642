//! The process that listens on a port, as far as `/proc` shows it.
//!
//! Deliberately absent: certainty. Only root sees other users' processes, and the owner may exit before it is named; the
//! result is for an error message only. Nor a bound on the time: reading the socket tables takes as long as they are, so that
//! no thread that watches others calls this.

use std::net::SocketAddr;

use procfs::net::TcpState;
use procfs::process::{FDTarget, Process};
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, RealClock};
use crate::model::Millis;

/// Longest search through all processes. Only an error message waits for it, and on a busy machine with thousands of processes
/// the search takes seconds.
const SEARCH_MAX: Millis = Millis::secs(5);

/// A process that holds a listening socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortOwner {
    pub pid: u32,
    /// Its name as the kernel knows it.
    pub command: String,
}

/// The process that listens on the port of this address.
pub(super) fn find(address: SocketAddr) -> Option<PortOwner> {
    let clock = RealClock::new();
    let start = clock.mono();
    find_while(address, || clock.mono().since(start) < SEARCH_MAX)
}

fn find_while(address: SocketAddr, is_in_time: impl Fn() -> bool) -> Option<PortOwner> {
    let tables = [procfs::net::tcp(), procfs::net::tcp6()];
    let inodes: Vec<u64> = tables
        .into_iter()
        .flat_map(Result::unwrap_or_default)
        .filter(|socket| socket.state == TcpState::Listen && socket.local_address.port() == address.port())
        .map(|socket| socket.inode)
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let mut processes = procfs::process::all_processes().ok()?.take_while(|_| is_in_time()).flatten();
    let owner = processes.find(|process| holds(process, &inodes))?;
    let command = owner.stat().map(|stat| stat.comm).unwrap_or_default();
    Some(PortOwner { pid: u32::try_from(owner.pid).ok()?, command })
}

/// ` by process 7 (nginx)`, for an error message; empty if it is unknown.
pub(super) fn owner_suffix(owner: Option<&PortOwner>) -> String {
    owner.map(|owner| format!(" by process {} ({})", owner.pid, owner.command)).unwrap_or_default()
}

fn holds(process: &Process, inodes: &[u64]) -> bool {
    let Ok(descriptors) = process.fd() else { return false };
    descriptors
        .flatten()
        .any(|descriptor| matches!(descriptor.target, FDTarget::Socket(inode) if inodes.contains(&inode)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn find_names_this_process_as_owner_of_its_listener() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let owner = find_while(address, || true).unwrap();
        assert_eq!(owner.pid, std::process::id());
        assert!(!owner.command.is_empty());
        assert_eq!(find_while(address, || false), None, "the search ends when its time is over");
    }

    #[test]
    fn find_ignores_sockets_that_do_not_listen() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(find_while(client.local_addr().unwrap(), || true), None);
    }
}
