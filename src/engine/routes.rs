//! The subnets that this machine has routes to: a VPN or LAN that an app's network would take over.
//!
//! Read from the main routing table, which has the subnet of every interface too.
//! Deliberately absent: tables of policy routing, and IPv6: apps' networks are IPv4.

use ipnet::Ipv4Net;
use procfs::net::RouteEntry;

/// Subnets of the main routing table in CIDR notation; none where it cannot be read.
pub(super) fn routed_subnets() -> Vec<String> {
    match procfs::net::route() {
        Ok(routes) => routes.iter().filter_map(subnet).map(|subnet| subnet.to_string()).collect(),
        Err(error) => {
            tracing::warn!(%error, "cannot read the routes of this machine; subnets are chosen without them");
            Vec::new()
        }
    }
}

/// A route to more addresses than this is a default route in parts, as a VPN adds for all traffic (`0.0.0.0/1` and
/// `128.0.0.0/1`): the subnets of others are more specific, and lose nothing to it.
const SHORTEST_PREFIX: u8 = 8;

/// The subnet of a route; `None` for a default route, which every subnet is part of.
fn subnet(route: &RouteEntry) -> Option<Ipv4Net> {
    let subnet = Ipv4Net::with_netmask(route.destination, route.mask).ok()?;
    (subnet.prefix_len() >= SHORTEST_PREFIX).then(|| subnet.trunc())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn route(destination: [u8; 4], mask: [u8; 4]) -> RouteEntry {
        RouteEntry {
            iface: "wg0".to_owned(),
            destination: destination.into(),
            gateway: Ipv4Addr::UNSPECIFIED,
            flags: 1,
            refcnt: 0,
            in_use: 0,
            metrics: 0,
            mask: mask.into(),
            mtu: 0,
            window: 0,
            irtt: 0,
        }
    }

    #[test]
    fn subnet_is_that_of_every_route_but_default_ones() {
        let text = |route: &RouteEntry| subnet(route).map(|subnet| subnet.to_string());
        assert_eq!(text(&route([10, 209, 0, 0], [255, 255, 255, 0])).as_deref(), Some("10.209.0.0/24"));
        assert_eq!(text(&route([10, 8, 0, 1], [255, 255, 255, 255])).as_deref(), Some("10.8.0.1/32"));
        assert_eq!(text(&route([10, 0, 0, 0], [255, 0, 0, 0])).as_deref(), Some("10.0.0.0/8"));
        assert_eq!(text(&route([0, 0, 0, 0], [0, 0, 0, 0])), None);
        assert_eq!(text(&route([128, 0, 0, 0], [128, 0, 0, 0])), None, "half of a VPN's default route");
    }
}
