//! Headers on their way through: those of a hop are removed, those about forwarding rewritten.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};

use super::codec::mimics_framing;
use super::forwarding::ForwardingPeer;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

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

/// Removes headers that some servers take for those that frame the body.
fn strip_mimics(headers: &mut HeaderMap) {
    let mimics: Vec<HeaderName> = headers.keys().filter(|name| mimics_framing(name)).cloned().collect();
    for name in mimics {
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
pub(super) fn for_endpoint(headers: &mut HeaderMap, peer: &ForwardingPeer, host: HeaderValue) {
    let takes_trailers = takes_trailers(headers);
    strip_hop_by_hop(headers);
    strip_mimics(headers);
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    // the balancer has sent the 100 Continue
    headers.remove(EXPECT);
    peer.rewrite(headers, &host);
    headers.insert(HOST, host);
}

pub(super) fn takes_trailers(headers: &HeaderMap) -> bool {
    let values = headers.get_all(TE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|text| text.split(',')).any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
}

/// Announces a body of unknown length: its chunks are written again.
pub(super) fn announce_body(headers: &mut HeaderMap) {
    if !headers.contains_key(CONTENT_LENGTH) {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
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
            let peer = ForwardingPeer::new([10, 0, 0, 1].into(), false);
            for_endpoint(&mut map, &peer, HeaderValue::from_static("h"));
            assert_eq!((map.contains_key(TE), map.contains_key(CONNECTION)), (is_kept, is_kept), "{te}");
        }
    }

    #[test]
    fn endpoint_gets_host_and_forwarding_headers_but_no_expectation() {
        let mut map = headers(&[("expect", "100-continue"), ("host", "other"), ("accept", "x")]);
        let peer = ForwardingPeer::new([10, 0, 0, 1].into(), false);
        for_endpoint(&mut map, &peer, HeaderValue::from_static("h"));
        let wanted = headers(&[
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "h"),
            ("host", "h"),
            ("accept", "x"),
        ]);
        assert_eq!(map, wanted);
    }
}
