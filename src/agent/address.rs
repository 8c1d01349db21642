//! Subnets of apps, and the addresses in them that containers get. Pure.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Host number of the first address that containers get; `.1` is the gateway.
const FIRST: u64 = 2;
/// Addresses that containers get: `.2` to `.247`; `.248/29` is Docker's, for containers that users attach.
pub(super) const RING: u64 = 246;
/// Prefix length of an app's network.
const APP_PREFIX: u8 = 24;

/// An IPv4 subnet in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subnet {
    base: u32,
    prefix: u8,
}

/// Why a text is not a subnet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an IPv4 subnet; write `10.209.0.0/16`")]
pub struct SubnetError(String);

impl Subnet {
    /// Addresses in it.
    fn size(self) -> u64 {
        1 << (32 - u32::from(self.prefix))
    }

    fn overlaps(self, other: Subnet) -> bool {
        let shorter = self.prefix.min(other.prefix);
        let mask = mask(shorter);
        self.base & mask == other.base & mask
    }

    /// The address with this number in it.
    pub(super) fn node(self, number: u64) -> Ipv4Addr {
        let offset = u32::try_from(number % self.size()).unwrap_or(0);
        Ipv4Addr::from(self.base | offset)
    }

    /// The gateway of an app's network.
    pub(super) fn gateway(self) -> Ipv4Addr {
        self.node(1)
    }

    /// The part of an app's network that Docker may hand out itself.
    pub(super) fn ip_range(self) -> String {
        format!("{}/29", self.node(FIRST + RING))
    }

    /// The address at a place of the ring.
    pub(super) fn at(self, place: u64) -> Ipv4Addr {
        self.node(FIRST + place % RING)
    }

    fn apps_networks(self) -> impl Iterator<Item = Subnet> {
        let count = if self.prefix <= APP_PREFIX { 1u32 << (APP_PREFIX - self.prefix) } else { 0 };
        (0..count).map(move |i| Subnet { base: self.base + (i << (32 - APP_PREFIX)), prefix: APP_PREFIX })
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        let parse = || {
            let (base, prefix) = text.split_once('/')?;
            let (base, prefix) = (base.parse::<Ipv4Addr>().ok()?, prefix.parse::<u8>().ok()?);
            (prefix <= 32).then(|| Subnet { base: u32::from(base) & mask(prefix), prefix })
        };
        parse().ok_or_else(|| SubnetError(text.to_owned()))
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

impl Serialize for Subnet {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Subnet {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

/// The first /24 of the pool that overlaps nothing in use. What is not an IPv4 subnet cannot be in the way.
pub(super) fn choose_subnet(pool: Subnet, in_use: &[Subnet]) -> Option<Subnet> {
    pool.apps_networks().find(|candidate| !in_use.iter().any(|used| used.overlaps(*candidate)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn subnet_prints_what_it_parses() {
        for text in ["10.209.0.0/16", "10.209.3.0/24", "0.0.0.0/0", "1.2.3.4/32"] {
            assert_eq!(net(text).to_string(), text);
        }
        assert_eq!(net("10.209.3.7/24").to_string(), "10.209.3.0/24");
        for bad in ["", "10.209.0.0", "10.209.0.0/33", "10.209/16", "fd00::/8", "x/8"] {
            assert!(bad.parse::<Subnet>().is_err(), "{bad}");
        }
    }

    #[test]
    fn apps_network_has_gateway_docker_range_and_ring() {
        let subnet = net("10.209.3.0/24");
        assert_eq!(subnet.gateway().to_string(), "10.209.3.1");
        assert_eq!(subnet.ip_range(), "10.209.3.248/29");
        assert_eq!(subnet.at(0).to_string(), "10.209.3.2");
        assert_eq!(subnet.at(RING - 1).to_string(), "10.209.3.247");
        assert_eq!(subnet.at(RING), subnet.at(0));
    }

    #[test]
    fn choose_subnet_avoids_what_is_in_use() {
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
