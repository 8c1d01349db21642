//! CIDR notation, as far as the fake needs it.

use std::net::IpAddr;

use ipnet::IpNet;

/// Whether the subnet contains the address.
pub(super) fn contains(subnet: &str, address: IpAddr) -> bool {
    subnet.parse::<IpNet>().is_ok_and(|subnet| subnet.contains(&address))
}

/// Whether two subnets share an address.
pub(super) fn overlap(a: &str, b: &str) -> bool {
    match (a.parse::<IpNet>(), b.parse::<IpNet>()) {
        (Ok(a), Ok(b)) => a.contains(&b) || b.contains(&a),
        _ => false,
    }
}
