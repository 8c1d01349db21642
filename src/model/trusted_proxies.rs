//! Peers whose forwarding headers are believed, and the client that such a peer names. Pure.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// The ranges of `ctl serve --trusted-proxies`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedProxies(Vec<IpNet>);

/// The client of a request that a trusted peer sent, as the peer's headers name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedClient {
    /// No header names one.
    Unnamed,
    /// The last address that is not trusted.
    Outside(IpAddr),
    /// All addresses are trusted; this is the first one, whose own client it is.
    Trusted(IpAddr),
    /// What comes before the trusted addresses is no address.
    Unreadable,
}

/// Why a text is no range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRange {
    #[error("expected an address or a range in CIDR notation, such as 10.0.0.0/8 or fd00::/8")]
    Syntax,
    /// Half of those who write 10.1.2.3/8 mean the host.
    #[error("{0} has bits set behind its prefix; write {network} for the range, or {address} for the one address", network = .0.trunc(), address = .0.addr())]
    HostBits(IpNet),
    /// Clients of IPv4 are compared by their IPv4 address.
    #[error("an IPv4 address in IPv6 form; write it as IPv4")]
    Mapped,
}

impl TrustedProxies {
    /// Trusts peers in any of these ranges.
    pub fn new(ranges: impl IntoIterator<Item = IpNet>) -> Self {
        Self(ranges.into_iter().collect())
    }

    /// Reads an address or a range of addresses.
    ///
    /// # Errors
    /// If it is neither, or ambiguous.
    pub fn parse_range(text: &str) -> Result<IpNet, BadRange> {
        let range = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse::<IpNet>().map_err(|_| BadRange::Syntax)?,
        };
        if let IpNet::V6(net) = range
            && net.prefix_len() >= MAPPED_PREFIX
            && net.addr().to_ipv4_mapped().is_some()
        {
            return Err(BadRange::Mapped);
        }
        if range.trunc() != range {
            return Err(BadRange::HostBits(range));
        }
        Ok(range)
    }

    /// The ranges, as they were given.
    pub fn ranges(&self) -> &[IpNet] {
        &self.0
    }

    /// Whether this peer's forwarding headers are believed. An IPv4 address must not be in IPv6 form.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(&peer))
    }

    /// A range that holds every address of its kind: with it any client can pretend to be another.
    pub fn of_everyone(&self) -> Option<&IpNet> {
        self.0.iter().find(|range| range.prefix_len() == 0)
    }

    /// The client of a request that a trusted peer sent: of the addresses that it passed, from the last back to the first, the
    /// first one that is not trusted.
    ///
    /// `forwarded_for` are the values of `X-Forwarded-For`, `forwarded` those of `Forwarded`, in the order of their lines; the
    /// second count only without a line of the first. Bytes, because a client may have written anything before the address
    /// that the proxy added.
    pub fn client<'a>(
        &self,
        forwarded_for: impl DoubleEndedIterator<Item = &'a [u8]>,
        forwarded: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> NamedClient {
        let mut lines = forwarded_for.rev().peekable();
        if lines.peek().is_some() {
            return self.first_untrusted(lines.flat_map(elements).map(address));
        }
        self.first_untrusted(forwarded.rev().flat_map(elements).map(forwarded_address))
    }

    fn first_untrusted(&self, hops: impl Iterator<Item = Option<IpAddr>>) -> NamedClient {
        let mut named = NamedClient::Unnamed;
        for hop in hops {
            named = match hop {
                None => return NamedClient::Unreadable,
                Some(address) if !self.trusts(address) => return NamedClient::Outside(address),
                Some(address) => NamedClient::Trusted(address),
            };
        }
        named
    }
}

impl NamedClient {
    /// The client that connections and requests are counted for; `None` if no one client is known.
    pub fn counted(self) -> Option<IpAddr> {
        match self {
            Self::Outside(client) => Some(client),
            Self::Unnamed | Self::Trusted(_) | Self::Unreadable => None,
        }
    }

    /// The client whose address a route may ask for; `None` if it cannot be known: then it must not pass for the peer, whose
    /// address may be an allowed one.
    pub fn checked(self, peer: IpAddr) -> Option<IpAddr> {
        match self {
            Self::Unnamed => Some(peer),
            Self::Outside(client) | Self::Trusted(client) => Some(client),
            Self::Unreadable => None,
        }
    }
}

/// `::ffff:0:0/96` holds the IPv4 addresses in IPv6 form.
const MAPPED_PREFIX: u8 = 96;

/// The elements of a list, from the last to the first.
fn elements(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.rsplit(|byte| *byte == b',')
}

/// An address as proxies write it: alone, with a port, or in brackets.
fn address(element: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(element).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = match bare.parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) => text.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(address.to_canonical())
}

/// The address after `for=` in an element of `Forwarded` (RFC 7239).
fn forwarded_address(element: &[u8]) -> Option<IpAddr> {
    let pairs = str::from_utf8(element).ok()?.split(';').filter_map(|pair| pair.split_once('='));
    let value = pairs.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?.1;
    address(value.trim().trim_matches('"').as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted(ranges: &[&str]) -> TrustedProxies {
        TrustedProxies::new(ranges.iter().map(|text| TrustedProxies::parse_range(text).unwrap()))
    }

    #[test]
    fn range_is_an_address_or_a_network_without_host_bits() {
        for (text, expected) in [
            ("10.0.0.0/8", Ok("10.0.0.0/8")),
            ("10.0.0.7", Ok("10.0.0.7/32")),
            ("fd00::/8", Ok("fd00::/8")),
            ("::1", Ok("::1/128")),
            ("0.0.0.0/0", Ok("0.0.0.0/0")),
            ("::/0", Ok("::/0")),
            (
                "10.1.2.3/8",
                Err(
                    "10.1.2.3/8 has bits set behind its prefix; write 10.0.0.0/8 for the range, or 10.1.2.3 for the one address",
                ),
            ),
            ("::ffff:10.0.0.0/104", Err("an IPv4 address in IPv6 form; write it as IPv4")),
            ("::ffff:10.0.0.1", Err("an IPv4 address in IPv6 form; write it as IPv4")),
        ] {
            let parsed = TrustedProxies::parse_range(text).map(|range| range.to_string());
            let parsed = parsed.map_err(|reason| reason.to_string());
            assert_eq!(parsed.as_deref().map_err(String::as_str), expected, "{text}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0/8", "proxy.lan", "10.0.0.0/", "10.0.0.0 /8", "*"] {
            assert_eq!(TrustedProxies::parse_range(text), Err(BadRange::Syntax), "{text:?}");
        }
    }

    #[test]
    fn range_of_everyone_is_found() {
        assert_eq!(trusted(&["10.0.0.0/8"]).of_everyone(), None);
        assert_eq!(
            trusted(&["10.0.0.0/8", "::/0"]).of_everyone().map(ToString::to_string),
            Some("::/0".into())
        );
    }

    #[test]
    fn client_is_the_last_address_that_is_not_trusted() {
        let proxies = trusted(&["10.0.0.0/8", "fd00::/8"]);
        let rows: [(&'static [&str], &'static [&str], Option<&str>); 18] = [
            (&["198.51.100.7"], &[], Some("198.51.100.7")),
            (&["6.6.6.6, 198.51.100.7"], &[], Some("198.51.100.7")),
            (&["6.6.6.6, 198.51.100.7, 10.0.0.1"], &[], Some("198.51.100.7")),
            (&["6.6.6.6", "198.51.100.7"], &[], Some("198.51.100.7")),
            (&["198.51.100.7", "10.0.0.1,fd00::2"], &[], Some("198.51.100.7")),
            (&["10.0.0.1"], &[], None),
            (&["198.51.100.7, unknown, 10.0.0.1"], &[], None),
            (&[""], &[], None),
            (&["198.51.100.7:4711"], &[], Some("198.51.100.7")),
            (&["[2001:db8::1]:80"], &[], Some("2001:db8::1")),
            (&["[2001:db8::1]"], &[], Some("2001:db8::1")),
            (&["::ffff:198.51.100.7"], &[], Some("198.51.100.7")),
            (&[], &["for=6.6.6.6, proto=https;For=\"[2001:db8::1]:80\", for=10.0.0.1"], Some("2001:db8::1")),
            (&[], &["for=_hidden"], None),
            (&["198.51.100.7"], &["for=6.6.6.6"], Some("198.51.100.7")),
            (&["\u{ff}, 198.51.100.7"], &[], Some("198.51.100.7")),
            (&["\u{ff}"], &["for=6.6.6.6"], None),
            (&["\u{ff}", "198.51.100.7, 10.0.0.1"], &[], Some("198.51.100.7")),
        ];
        for (forwarded_for, forwarded, expected) in rows {
            let bytes = |lines: &'static [&str]| lines.iter().map(|line| line.as_bytes());
            let client = proxies.client(bytes(forwarded_for), bytes(forwarded)).counted();
            assert_eq!(
                client.map(|address| address.to_string()).as_deref(),
                expected,
                "{forwarded_for:?} {forwarded:?}"
            );
        }
    }

    #[test]
    fn missing_trusted_and_unreadable_clients_are_told_apart() {
        let proxies = trusted(&["10.0.0.0/8"]);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        type Row = (&'static [&'static str], &'static [&'static str], NamedClient, Option<&'static str>);
        let rows: [Row; 9] = [
            (&[], &[], NamedClient::Unnamed, Some("10.9.9.9")),
            (&["10.0.0.1"], &[], NamedClient::Trusted(address("10.0.0.1")), Some("10.0.0.1")),
            (
                &["10.0.0.3, 10.0.0.2", "10.0.0.1"],
                &[],
                NamedClient::Trusted(address("10.0.0.3")),
                Some("10.0.0.3"),
            ),
            (
                &[],
                &["for=10.0.0.2, for=10.0.0.1"],
                NamedClient::Trusted(address("10.0.0.2")),
                Some("10.0.0.2"),
            ),
            (&["7.7.7.7, 10.0.0.1"], &[], NamedClient::Outside(address("7.7.7.7")), Some("7.7.7.7")),
            (&["10.0.0.5, unknown, 10.0.0.1"], &[], NamedClient::Unreadable, None),
            (&[""], &["for=10.0.0.1"], NamedClient::Unreadable, None),
            (&[], &["for=_hidden, for=10.0.0.1"], NamedClient::Unreadable, None),
            (&[], &["proto=https"], NamedClient::Unreadable, None),
        ];
        for (forwarded_for, forwarded, named, checked) in rows {
            let bytes = |lines: &'static [&str]| lines.iter().map(|line| line.as_bytes());
            let client = proxies.client(bytes(forwarded_for), bytes(forwarded));
            assert_eq!(client, named, "{forwarded_for:?} {forwarded:?}");
            assert_eq!(client.checked(address("10.9.9.9")), checked.map(address), "{client:?}");
        }
    }

    #[test]
    fn peer_is_trusted_by_range() {
        let proxies = trusted(&["10.0.0.0/8", "::1"]);
        for (peer, expected) in [("10.255.0.1", true), ("11.0.0.1", false), ("::1", true), ("::2", false)] {
            assert_eq!(proxies.trusts(peer.parse().unwrap()), expected, "{peer}");
        }
        assert!(!TrustedProxies::default().trusts([127, 0, 0, 1].into()));
    }
}
