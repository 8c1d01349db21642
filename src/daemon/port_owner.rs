//! Which process listens on a port, as far as /proc shows.
//!
//! Deliberately absent: certainty. Another user's processes are visible to root only, and the owner may be gone by the
//! time it is named; the result is only for error messages.

use std::fs;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::clock::{Clock, RealClock};
use crate::model::Mono;

/// State `LISTEN` in /proc/net/tcp.
const LISTEN: &str = "0A";

/// Longest search through all processes: at run time the supervisor does nothing else meanwhile.
const SEARCH_MAX: Mono = Mono(200);

/// A process that holds a listening socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortOwner {
    pub pid: u32,
    /// The process's name, as the kernel knows it.
    pub command: String,
}

/// The process that listens on the port of this address.
pub(super) fn find(address: SocketAddr) -> Option<PortOwner> {
    let inodes: Vec<u64> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, address.port()))
        .collect();
    let clock = RealClock::new();
    let processes = fs::read_dir("/proc").ok()?.take_while(|_| clock.mono() < SEARCH_MAX);
    processes.filter_map(Result::ok).find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        holds(pid, &inodes).then(|| PortOwner {
            pid,
            command: fs::read_to_string(entry.path().join("comm")).unwrap_or_default().trim().to_owned(),
        })
    })
}

/// ` by process 7 (nginx)`, for an error message; empty if it is unknown.
pub(super) fn owner_suffix(owner: Option<&PortOwner>) -> String {
    owner.map(|owner| format!(" by process {} ({})", owner.pid, owner.command)).unwrap_or_default()
}

fn holds(pid: u32, inodes: &[u64]) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors.filter_map(Result::ok).filter_map(|entry| fs::read_link(entry.path()).ok()).any(|target| {
        let inode = target
            .to_str()
            .and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok());
        inode.is_some_and(|inode| inodes.contains(&inode))
    })
}

/// Inodes of the sockets in a table of /proc/net that listen on the port.
fn listening(table: &str, port: u16) -> Vec<u64> {
    table.lines().skip(1).filter_map(|line| listening_inode(line, port)).collect()
}

fn listening_inode(line: &str, port: u16) -> Option<u64> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let local = u16::from_str_radix(fields.get(1)?.rsplit(':').next()?, 16).ok()?;
    (local == port && *fields.get(3)? == LISTEN).then(|| fields.get(9)?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0000 100
   1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0000 20
   2: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4244 1 0000 100
";

    #[test]
    fn only_listeners_on_the_port_count() {
        assert_eq!(listening(TABLE, 8080), [4242]);
        assert_eq!(listening(TABLE, 80), [4244]);
        assert!(listening(TABLE, 54321).is_empty());
    }

    #[test]
    fn this_process_is_found_by_its_listener() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let owner = find(listener.local_addr().unwrap()).unwrap();
        assert_eq!(owner.pid, std::process::id());
        assert!(!owner.command.is_empty());
    }
}
