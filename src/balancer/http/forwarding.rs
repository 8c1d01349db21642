//! Headers that say who sent a request and how: set by the balancer alone, or extended if a trusted proxy sent them.

use std::net::IpAddr;

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};

use crate::balancer::tls::TlsPeer;

pub(super) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// How the names of these headers begin, which a client must not set. Servers that read `_` as `-` (CGI, WSGI) would get two
/// values.
const PREFIXES: [&str; 4] = ["forwarded", "x-forwarded", ORIGINAL, "x-real-ip"];
/// No proxy is relied on to remove these, with which some frameworks replace the path: a client could pass by a route.
const ORIGINAL: &str = "x-original-";

/// The other end of a client connection.
pub(super) struct ForwardingPeer {
    /// Its address, for X-Forwarded-For.
    address: HeaderValue,
    pub(super) ip: IpAddr,
    pub(super) is_trusted: bool,
    /// For X-Forwarded-Proto.
    scheme: HeaderValue,
    /// `None` without TLS.
    pub(super) tls: Option<TlsPeer>,
}

impl ForwardingPeer {
    pub(super) fn new(address: IpAddr, is_trusted: bool, tls: Option<TlsPeer>) -> Self {
        let text = HeaderValue::from_str(&address.to_string());
        Self {
            address: text.unwrap_or_else(|_| HeaderValue::from_static("unknown")),
            ip: address,
            is_trusted,
            scheme: HeaderValue::from_static(if tls.is_some() { "https" } else { "http" }),
            tls,
        }
    }

    /// Whether the client's own connection is encrypted: this one, or that to the trusted proxy which says so.
    pub(super) fn is_encrypted(&self, headers: &HeaderMap) -> bool {
        let says_so = || headers.get(FORWARDED_PROTO).is_some_and(|scheme| scheme == "https");
        self.tls.is_some() || (self.is_trusted && says_so())
    }

    /// Turns the forwarding headers of a request into those that the endpoint gets.
    pub(super) fn rewrite(&self, headers: &mut HeaderMap, host: &HeaderValue) {
        if self.is_trusted {
            self.extend(headers, host);
            return;
        }
        strip_claims(headers);
        headers.insert(FORWARDED_FOR, self.address.clone());
        headers.insert(FORWARDED_PROTO, self.scheme.clone());
        headers.insert(FORWARDED_HOST, host.clone());
    }

    /// Adds this hop to what the proxy said.
    fn extend(&self, headers: &mut HeaderMap, host: &HeaderValue) {
        strip(headers, |name| is_claim(name) && (name.contains('_') || name.starts_with(ORIGINAL)));
        extend_list(headers, &FORWARDED_FOR, self.address.as_bytes());
        if headers.contains_key(FORWARDED) {
            extend_list(headers, &FORWARDED, &forwarded_element(self.address.as_bytes()));
        }
        headers.entry(FORWARDED_PROTO).or_insert_with(|| self.scheme.clone());
        headers.entry(FORWARDED_HOST).or_insert_with(|| host.clone());
    }
}

/// Removes forwarding headers that a client set, among headers or trailers.
pub(super) fn strip_claims(headers: &mut HeaderMap) {
    strip(headers, is_claim);
}

fn strip(headers: &mut HeaderMap, is_stripped: impl Fn(&str) -> bool) {
    let stripped = headers.keys().filter(|name| is_stripped(name.as_str()));
    // most requests have none, and an empty list is not allocated
    let stripped: Vec<HeaderName> = stripped.cloned().collect();
    for name in stripped {
        headers.remove(name);
    }
}

fn is_claim(name: &str) -> bool {
    matches!(name.as_bytes().first(), Some(b'f' | b'x')) && PREFIXES.iter().any(|p| begins_with(name, p))
}

/// `_` counts as `-`.
fn begins_with(name: &str, prefix: &str) -> bool {
    let is_same =
        |(in_name, in_prefix): (u8, u8)| in_name == in_prefix || (in_name, in_prefix) == (b'_', b'-');
    name.len() >= prefix.len() && name.bytes().zip(prefix.bytes()).all(is_same)
}

/// Appends to a list, on one line: many servers read only the first.
fn extend_list(headers: &mut HeaderMap, name: &HeaderName, element: &[u8]) {
    let mut list: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    list.push(element);
    if let Ok(value) = HeaderValue::from_bytes(&list.join(&b", "[..])) {
        headers.insert(name, value);
    }
}

/// RFC 7239: an IPv6 address has brackets and quotes.
fn forwarded_element(address: &[u8]) -> Vec<u8> {
    match address.contains(&b':') {
        true => [&b"for=\"["[..], address, b"]\""].concat(),
        false => [&b"for="[..], address].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rows<'a> = &'a [(&'static str, &'static str)];

    fn headers(rows: Rows<'_>) -> HeaderMap {
        let rows =
            rows.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut map = HeaderMap::new();
        for (name, value) in rows {
            map.append(name, value);
        }
        map
    }

    fn rewritten(peer: &str, is_trusted: bool, rows: Rows<'_>) -> HeaderMap {
        let mut map = headers(rows);
        let peer = ForwardingPeer::new(peer.parse().unwrap(), is_trusted, None);
        peer.rewrite(&mut map, &HeaderValue::from_static("h"));
        map
    }

    #[test]
    fn forwarding_headers_of_a_client_are_replaced() {
        let map = rewritten(
            "10.0.0.1",
            false,
            &[
                ("x-forwarded-for", "6.6.6.6"),
                ("x-forwarded-for", "7.7.7.7"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "evil"),
                ("x-forwarded-port", "443"),
                ("x-forwarded-prefix", "/admin"),
                ("x-forwarded", "for=6.6.6.6"),
                ("forwarded", "for=6.6.6.6"),
                ("x_forwarded_for", "6.6.6.6"),
                ("x-forwarded_proto", "https"),
                ("x-real-ip", "6.6.6.6"),
                ("x-original-url", "/admin"),
                ("x_original_host", "evil"),
                ("x_mine", "1"),
                ("x-origin", "1"),
                ("from", "me"),
            ],
        );
        let wanted = headers(&[
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "h"),
            ("x_mine", "1"),
            ("x-origin", "1"),
            ("from", "me"),
        ]);
        assert_eq!(map, wanted);
    }

    #[test]
    fn forwarding_headers_of_a_trusted_proxy_are_extended() {
        let rows: [(&str, Rows<'_>, Rows<'_>); 3] = [
            (
                "10.0.0.1",
                &[],
                &[("x-forwarded-for", "10.0.0.1"), ("x-forwarded-proto", "http"), ("x-forwarded-host", "h")],
            ),
            (
                "10.0.0.1",
                &[
                    ("x-forwarded-for", "6.6.6.6"),
                    ("x-forwarded-for", "7.7.7.7"),
                    ("x_forwarded_for", "8.8.8.8"),
                    ("x-forwarded-proto", "https"),
                    ("x-forwarded-host", "shop"),
                    ("x-forwarded-port", "443"),
                    ("x-real-ip", "7.7.7.7"),
                    ("x-original-url", "/admin"),
                    ("forwarded", "for=7.7.7.7;proto=https"),
                ],
                &[
                    ("x-forwarded-for", "6.6.6.6, 7.7.7.7, 10.0.0.1"),
                    ("x-forwarded-proto", "https"),
                    ("x-forwarded-host", "shop"),
                    ("x-forwarded-port", "443"),
                    ("x-real-ip", "7.7.7.7"),
                    ("forwarded", "for=7.7.7.7;proto=https, for=10.0.0.1"),
                ],
            ),
            (
                "fd00::2",
                &[("forwarded", "for=7.7.7.7")],
                &[
                    ("x-forwarded-for", "fd00::2"),
                    ("x-forwarded-proto", "http"),
                    ("x-forwarded-host", "h"),
                    ("forwarded", "for=7.7.7.7, for=\"[fd00::2]\""),
                ],
            ),
        ];
        for (peer, sent, wanted) in rows {
            assert_eq!(rewritten(peer, true, sent), headers(wanted), "{peer} {sent:?}");
        }
    }
}
