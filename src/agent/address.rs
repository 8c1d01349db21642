//! Subnets of apps, and the addresses in them that containers get. Pure.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// Number of the first address that containers get; `.1` is the gateway.
const FIRST: u64 = 2;
/// Addresses that containers get: `.2` to `.247`; `.248/29` is Docker's, for containers that users attach.
pub(super) const RING: u64 = 246;
/// Prefix length of an app's network.
const APP_PREFIX: u8 = 24;

/// Why a text is not a subnet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an IPv4 subnet; write `10.209.0.0/16`")]
pub struct SubnetError(String);

/// An IPv4 subnet in CIDR notation; bits behind the prefix are dropped.
pub(super) fn parse(text: &str) -> Result<Ipv4Net, SubnetError> {
    text.parse::<Ipv4Net>().map(|subnet| subnet.trunc()).map_err(|_| SubnetError(text.to_owned()))
}

/// The address with this number in a subnet; one that is too high starts over.
fn numbered(subnet: Ipv4Net, number: u64) -> Ipv4Addr {
    let size = u64::from(u32::from(subnet.hostmask())) + 1;
    let offset = u32::try_from(number % size).unwrap_or(0);
    Ipv4Addr::from(u32::from(subnet.network()) | offset)
}

/// The gateway of an app's network.
pub(super) fn gateway(subnet: Ipv4Net) -> Ipv4Addr {
    numbered(subnet, 1)
}

/// The part of an app's network that Docker may hand out itself.
pub(super) fn docker_range(subnet: Ipv4Net) -> String {
    format!("{}/29", numbered(subnet, FIRST + RING))
}

/// The address at a place of the ring.
pub(super) fn at(subnet: Ipv4Net, place: u64) -> Ipv4Addr {
    numbered(subnet, FIRST + place % RING)
}

/// The first /24 of the pool that overlaps nothing in use. What is not an IPv4 subnet cannot be in the way.
pub(super) fn choose_subnet(pool: Ipv4Net, in_use: &[Ipv4Net]) -> Option<Ipv4Net> {
    // Of two subnets that overlap, one contains the other.
    let is_free =
        |subnet: &Ipv4Net| !in_use.iter().any(|used| used.contains(subnet) || subnet.contains(used));
    pool.subnets(APP_PREFIX).ok()?.find(is_free)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        parse(text).unwrap()
    }

    #[test]
    fn parse_drops_host_bits_and_rejects_non_subnets() {
        assert_eq!(net("10.209.3.7/24").to_string(), "10.209.3.0/24");
        for bad in ["", "10.209.0.0", "10.209.0.0/33", "10.209/16", "fd00::/8", "x/8"] {
            assert_eq!(parse(bad), Err(SubnetError(bad.to_owned())));
        }
    }

    #[test]
    fn apps_network_has_gateway_docker_range_and_ring() {
        let subnet = net("10.209.3.0/24");
        assert_eq!(gateway(subnet).to_string(), "10.209.3.1");
        assert_eq!(docker_range(subnet), "10.209.3.248/29");
        assert_eq!(at(subnet, 0).to_string(), "10.209.3.2");
        assert_eq!(at(subnet, RING - 1).to_string(), "10.209.3.247");
        assert_eq!(at(subnet, RING), at(subnet, 0));
    }

    #[test]
    fn choose_subnet_avoids_subnets_in_use() {
        let pool = net("10.209.0.0/16");
        let used = |texts: &[&str]| texts.iter().map(|t| net(t)).collect::<Vec<_>>();
        let rows = [
            (vec![], Some("10.209.0.0/24")),
            (vec!["10.209.0.0/24", "172.17.0.0/16"], Some("10.209.1.0/24")),
            (vec!["10.209.0.0/23", "10.209.2.128/25"], Some("10.209.3.0/24")),
            (vec!["10.0.0.0/8"], None),
        ];
        for (in_use, expected) in rows {
            let chosen = choose_subnet(pool, &used(&in_use)).map(|s| s.to_string());
            assert_eq!(chosen.as_deref(), expected, "{in_use:?}");
        }
        assert_eq!(choose_subnet(net("10.209.0.0/25"), &[]), None, "a pool smaller than a network");
    }
}
