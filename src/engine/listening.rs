//! What listens in a network namespace, from the text of `/proc/<pid>/net/tcp` and `tcp6`, and whether it is a
//! container's, from that of `/proc/<pid>/mountinfo`. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::{ContainerId, ListeningSocket};

/// The state of a socket that listens.
const LISTEN: &str = "0A";
/// Docker's own DNS server within each container.
const DOCKER_DNS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));

/// Whether a process with these mounts runs in the container: Docker mounts `resolv.conf` and its like from the container's
/// own folder, which is named after its id. Control groups do not tell: a rootless Engine may have none.
pub(super) fn is_of(mounts: &str, container: &ContainerId) -> bool {
    !container.as_str().is_empty() && mounts.contains(&format!("/containers/{container}/"))
}

/// The sockets that listen, without Docker's own, each once. Lines that are not understood are left out.
pub(super) fn listeners(table: &str) -> Vec<ListeningSocket> {
    let mut found: Vec<ListeningSocket> = table.lines().skip(1).filter_map(listener).collect();
    found.retain(|listener| listener.address != DOCKER_DNS);
    found.sort();
    found.dedup();
    found
}

/// `0: 0100007F:1F90 00000000:0000 0A …`
fn listener(line: &str) -> Option<ListeningSocket> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (address, port) = fields.next()?.split_once(':')?;
    let state = fields.nth(1)?;
    let listens = state == LISTEN;
    Some(ListeningSocket { address: ip(address)?, port: u16::from_str_radix(port, 16).ok()? })
        .filter(|_| listens)
}

/// Each group of eight digits is a word of the address as the machine keeps it, whose bytes are the network's.
fn ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for (index, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(index * 8)?);
            }
            let address = Ipv6Addr::from(bytes);
            Some(address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 31 1 0 100 0 0 10 0
   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 32 1 0 100 0 0 10 0
   2: 0B00007F:A5C3 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 33 1 0 100 0 0 10 0
   3: 0500D10A:0BB8 0100D10A:C350 01 00000000:00000000 00:00000000 00000000     0        0 34 1 0 100 0 0 10 0
";
    const TCP6: &str = "  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000
   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000
   2: 0000000000000000FFFF00000100007F:0051 00000000000000000000000000000000:0000 0A 00000000:00000000
";

    #[test]
    fn tables_of_the_kernel_are_read() {
        let texts = |table| listeners(table).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(texts(TCP), ["3000", "127.0.0.1:8080"], "neither Docker's own nor a connection");
        assert_eq!(texts(TCP6), ["127.0.0.1:81", "8080", "[::1]:80"]);
    }

    #[test]
    fn another_process_is_told_by_its_mounts() {
        let id = ContainerId::new("a2746faa40adc00a584da78045bcb8c2318001866354753893862af4940d945b");
        let other = "23ae09403b7c316cd6936bbb90194de27807937795b29319116b5275683d5f4c";
        let mounted = |folder: &str| {
            format!(
                "22 1 8:1 / / rw - ext4 /dev/a rw\n580 570 254:0 {folder} /etc/resolv.conf rw - ext4 /dev/a rw\n"
            )
        };
        for (mounts, own) in [
            (mounted(&format!("/var/lib/docker/containers/{id}/resolv.conf")), true),
            (mounted(&format!("/containers/{id}/resolv.conf")), true),
            (mounted(&format!("/home/ann/.local/share/docker/containers/{id}/hosts")), true),
            (mounted(&format!("/var/lib/docker/containers/{other}/resolv.conf")), false),
            (mounted("/run/resolv.conf"), false),
            (String::new(), false),
        ] {
            assert_eq!(is_of(&mounts, &id), own, "{mounts}");
        }
        assert!(!is_of("/containers//x", &ContainerId::new("")));
    }

    #[test]
    fn what_is_no_table_has_no_listeners() {
        for text in [
            "",
            "x",
            "head\n",
            "head\n 0:",
            "head\n 0: zz:1 x 0A",
            "head\n 0: 0100007F:1F90 x",
            "h\n 0: ü:1 x 0A",
        ] {
            assert_eq!(listeners(text), [], "{text}");
        }
    }
}
