//! The TCP sockets that listen in a container, from `/proc` of its process.
//!
//! The pid is the Engine's, which may run elsewhere, and the kernel may have given it to another process since: so the
//! process must have the container's mounts. Deliberately absent: containers of an Engine on another node.

use std::net::{IpAddr, Ipv4Addr};

use procfs::net::{TcpNetEntry, TcpState};
use procfs::process::Process;

use crate::model::{ContainerId, ListeningSocket};

/// Docker's own DNS server within each container.
const DOCKER_DNS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));

/// The sockets that listen in the network namespace of a container's process, each once, without Docker's own; `None` if
/// they cannot be read or the process is not the container's. Blocks.
pub(super) fn of_process(pid: i32, container: &ContainerId) -> Option<Vec<ListeningSocket>> {
    // All is read through one handle, which never changes to a later process of the same pid.
    let process = Process::new(pid).ok()?;
    let mounts = process.mountinfo().ok()?;
    if !mounts.into_iter().any(|mount| is_of(&mount.root, container)) {
        return None;
    }
    let tcp = process.tcp().ok()?;
    let tcp6 = process.tcp6().unwrap_or_default();
    Some(listeners(tcp.into_iter().chain(tcp6)))
}

/// Whether a mount is the container's: Docker mounts `resolv.conf` and its like from the container's own folder, which is
/// named after its id. A rootless Engine may have no control groups, so these cannot identify it.
fn is_of(mount_root: &str, container: &ContainerId) -> bool {
    !container.as_str().is_empty() && mount_root.contains(&format!("/containers/{container}/"))
}

fn listeners(sockets: impl Iterator<Item = TcpNetEntry>) -> Vec<ListeningSocket> {
    let mut found: Vec<ListeningSocket> = sockets
        .filter(|socket| socket.state == TcpState::Listen)
        .map(|socket| ListeningSocket {
            address: socket.local_address.ip().to_canonical(),
            port: socket.local_address.port(),
        })
        .filter(|socket| socket.address != DOCKER_DNS)
        .collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use procfs::FromReadSI;
    use procfs::net::TcpNetEntries;

    use super::*;

    const TCP: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 31 1 0 100 0 0 10 0
   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 32 1 0 100 0 0 10 0
   2: 0B00007F:A5C3 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 33 1 0 100 0 0 10 0
   3: 0500D10A:0BB8 0100D10A:C350 01 00000000:00000000 00:00000000 00000000     0        0 34 1 0 100 0 0 10 0
";
    const TCP6: &str = "  sl  local_address rem_address st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode
   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 0 0 0 41
   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 0 0 0 42
   2: 0000000000000000FFFF00000100007F:0051 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 0 0 0 43
";

    #[test]
    fn listeners_are_neither_connections_nor_dockers_own() {
        let texts = |table: &str| {
            let entries =
                TcpNetEntries::from_read(table.as_bytes(), procfs::current_system_info()).unwrap().0;
            listeners(entries.into_iter()).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(texts(TCP), ["3000", "127.0.0.1:8080"]);
        assert_eq!(texts(TCP6), ["127.0.0.1:81", "8080", "[::1]:80"]);
    }

    #[test]
    fn is_of_recognises_a_container_by_its_mounts() {
        let id = ContainerId::new("a2746faa40adc00a584da78045bcb8c2318001866354753893862af4940d945b");
        let other = "23ae09403b7c316cd6936bbb90194de27807937795b29319116b5275683d5f4c";
        for (root, own) in [
            (format!("/var/lib/docker/containers/{id}/resolv.conf"), true),
            (format!("/containers/{id}/resolv.conf"), true),
            (format!("/home/ann/.local/share/docker/containers/{id}/hosts"), true),
            (format!("/var/lib/docker/containers/{other}/resolv.conf"), false),
            ("/run/resolv.conf".to_owned(), false),
            ("/".to_owned(), false),
        ] {
            assert_eq!(is_of(&root, &id), own, "{root}");
        }
        assert!(!is_of("/containers//x", &ContainerId::new("")));
    }

    #[test]
    fn of_process_returns_nothing_of_a_process_that_is_not_the_containers() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(of_process(own, &ContainerId::new("a2746faa40ad")), None);
        assert_eq!(of_process(i32::MAX, &ContainerId::new("a2746faa40ad")), None);
    }
}
