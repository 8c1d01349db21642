//! CIDR notation, as far as the fake needs it.

use std::net::{IpAddr, Ipv4Addr};

/// First address and mask of an IPv4 subnet.
fn parse(subnet: &str) -> Option<(u32, u32)> {
    let (address, bits) = subnet.split_once('/')?;
    let address = u32::from(address.parse::<Ipv4Addr>().ok()?);
    let bits = bits.parse::<u32>().ok().filter(|bits| *bits <= 32)?;
    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
    Some((address & mask, mask))
}

/// Whether the subnet contains the address; false unless both are IPv4.
pub(super) fn contains(subnet: &str, address: IpAddr) -> bool {
    match (parse(subnet), address) {
        (Some((first, mask)), IpAddr::V4(v4)) => u32::from(v4) & mask == first,
        _ => false,
    }
}

/// Whether two subnets share an address.
pub(super) fn overlap(a: &str, b: &str) -> bool {
    match (parse(a), parse(b)) {
        (Some((first_a, mask_a)), Some((first_b, mask_b))) => {
            let mask = mask_a & mask_b;
            first_a & mask == first_b & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_subnets_compare() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(contains("10.209.3.0/24", ip("10.209.3.7")));
        assert!(!contains("10.209.3.0/24", ip("10.209.4.7")));
        assert!(!contains("10.209.3.0", ip("10.209.3.7")), "not a subnet");
        assert!(contains("0.0.0.0/0", ip("1.2.3.4")));
        assert!(overlap("10.209.0.0/16", "10.209.3.0/24"));
        assert!(!overlap("10.209.2.0/24", "10.209.3.0/24"));
    }
}
