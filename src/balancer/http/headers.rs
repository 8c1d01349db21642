//! Headers on their way through: hop-by-hop headers are removed, forwarding headers are set by the balancer alone.

use std::net::IpAddr;

use hyper::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Forwarding headers, which a client must not set. Servers that read `_` as `-` (CGI, WSGI) would get two values.
const FORWARDING: [HeaderName; 5] = [FORWARDED, FORWARDED_FOR, FORWARDED_PROTO, FORWARDED_HOST, REAL_IP];

/// Removed whether or not `Connection` names them. `Trailer` is not among them: trailers are forwarded.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Removes hop-by-hop headers, including those that `Connection` names.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        strip_named(headers);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// `Connection` cannot remove the headers that frame the body and that route.
fn strip_named(headers: &mut HeaderMap) {
    let values: Vec<HeaderValue> = headers.get_all(CONNECTION).iter().cloned().collect();
    for name in values.iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(',')) {
        match HeaderName::from_bytes(name.trim().as_bytes()) {
            Ok(name) if name != HOST && name != CONTENT_LENGTH => {
                headers.remove(name);
            }
            // not the name of a header: there is nothing to remove
            _ => {}
        }
    }
}

/// Turns a client's headers into those that the endpoint gets. An endpoint sends trailers only if `TE` asks for them, so that
/// is kept.
pub(super) fn for_endpoint(headers: &mut HeaderMap, client: &HeaderValue, host: HeaderValue) {
    let takes_trailers = takes_trailers(headers);
    strip_hop_by_hop(headers);
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    // the balancer has sent the 100 Continue
    headers.remove(EXPECT);
    strip_claims(headers);
    headers.insert(FORWARDED_FOR, client.clone());
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    headers.insert(FORWARDED_HOST, host.clone());
    headers.insert(HOST, host);
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    let values = headers.get_all(TE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|text| text.split(',')).any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
}

/// Removes forwarding headers that a client set, among headers or trailers.
pub(super) fn strip_claims(headers: &mut HeaderMap) {
    for name in &FORWARDING {
        headers.remove(name);
    }
    let is_claim = |name: &&HeaderName| {
        name.as_str().contains('_')
            && FORWARDING.iter().any(|claim| *claim == *name.as_str().replace('_', "-"))
    };
    let underscored: Vec<HeaderName> = headers.keys().filter(is_claim).cloned().collect();
    for name in underscored {
        headers.remove(name);
    }
}

/// Announces a body of unknown length: hyper would not send one with a GET.
pub(super) fn announce_body(headers: &mut HeaderMap) {
    if !headers.contains_key(CONTENT_LENGTH) {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// An address as a header's value.
pub(super) fn client_value(client: IpAddr) -> HeaderValue {
    HeaderValue::from_str(&client.to_string()).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(rows: &[(&'static str, &'static str)]) -> HeaderMap {
        let row = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut map = HeaderMap::new();
        rows.iter().map(row).for_each(|(name, value)| {
            map.append(name, value);
        });
        map
    }

    #[test]
    fn hop_by_hop_headers_are_removed() {
        let mut map = headers(&[
            ("connection", "close, X-Mine"),
            ("connection", "content-length,host, b@d"),
            ("x-mine", "1"),
            ("keep-alive", "1"),
            ("te", "trailers"),
            ("trailer", "x-sum"),
            ("upgrade", "websocket"),
            ("transfer-encoding", "chunked"),
            ("content-length", "3"),
            ("host", "h"),
            ("accept", "x"),
        ]);
        strip_hop_by_hop(&mut map);
        let kept = [("content-length", "3"), ("host", "h"), ("accept", "x"), ("trailer", "x-sum")];
        assert_eq!(map, headers(&kept));
    }

    #[test]
    fn te_trailers_is_kept_for_the_endpoint() {
        for (te, is_kept) in
            [("trailers", true), ("gzip, Trailers", true), ("gzip", false), ("trailers;q=x", false)]
        {
            let mut map = headers(&[("te", te), ("connection", "te")]);
            for_endpoint(&mut map, &client_value([10, 0, 0, 1].into()), HeaderValue::from_static("h"));
            assert_eq!((map.contains_key(TE), map.contains_key(CONNECTION)), (is_kept, is_kept), "{te}");
        }
    }

    #[test]
    fn forwarding_headers_of_a_client_are_replaced() {
        let mut map = headers(&[
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "7.7.7.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil"),
            ("forwarded", "for=6.6.6.6"),
            ("x_forwarded_for", "6.6.6.6"),
            ("x-forwarded_proto", "https"),
            ("x-real-ip", "6.6.6.6"),
            ("x_mine", "1"),
            ("expect", "100-continue"),
            ("host", "h"),
        ]);
        let client = client_value([10, 0, 0, 1].into());
        for_endpoint(&mut map, &client, HeaderValue::from_static("h"));
        let wanted = headers(&[
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "h"),
            ("x_mine", "1"),
            ("host", "h"),
        ]);
        assert_eq!(map, wanted);
    }
}
