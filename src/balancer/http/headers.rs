//! Headers on their way through: those of a hop are removed, those about forwarding rewritten.

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    COOKIE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, MAX_FORWARDS, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

use http::Version;
use http::request::Parts;

use super::codec::{has_option, mimics_framing};
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

/// Framing, routing, authentication, and how to read the body.
const NOT_IN_TRAILERS: [HeaderName; 12] = [
    CONTENT_LENGTH,
    HOST,
    TRAILER,
    AUTHORIZATION,
    COOKIE,
    SET_COOKIE,
    CONTENT_TYPE,
    CONTENT_ENCODING,
    CONTENT_RANGE,
    CACHE_CONTROL,
    MAX_FORWARDS,
    EXPECT,
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

/// Removes fields that mean something only before the body (RFC 9110, section 6.5.1): a reader that merges trailers into the headers
/// would take them for those.
pub(super) fn strip_from_trailers(trailers: &mut HeaderMap) {
    strip_hop_by_hop(trailers);
    strip_mimics(trailers);
    for name in NOT_IN_TRAILERS {
        trailers.remove(name);
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

/// The protocol that a request asks to switch to, if there is one.
///
/// A switch to HTTP/2 is ignored, as a server may: the balancer could not see the requests that follow.
pub(super) fn requested_upgrade(head: &Parts) -> Option<HeaderValue> {
    let connection = &head.headers;
    if head.version != Version::HTTP_11
        || has_option(connection, "close")
        || !has_option(connection, "upgrade")
    {
        return None;
    }
    let mut protocols = head.headers.get_all(UPGRADE).iter();
    let protocol = protocols.next().filter(|_| protocols.next().is_none())?;
    let text = protocol.to_str().ok()?;
    let is_http = text.split(',').any(|name| name.trim().to_ascii_lowercase().starts_with("h2c"));
    (!is_http && !text.is_empty()).then(|| protocol.clone())
}

/// Asks an endpoint to switch to a protocol, or a client that it has switched.
pub(super) fn announce_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    let connection = if headers.contains_key(TE) { "upgrade, te" } else { "upgrade" };
    headers.insert(CONNECTION, HeaderValue::from_static(connection));
    headers.insert(UPGRADE, protocol);
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

/// Whether a request is a call of gRPC.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
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
            let peer = ForwardingPeer::new([10, 0, 0, 1].into(), false, None);
            for_endpoint(&mut map, &peer, HeaderValue::from_static("h"));
            assert_eq!((map.contains_key(TE), map.contains_key(CONNECTION)), (is_kept, is_kept), "{te}");
        }
    }

    #[test]
    fn endpoint_gets_host_and_forwarding_headers_but_no_expectation() {
        let mut map = headers(&[("expect", "100-continue"), ("host", "other"), ("accept", "x")]);
        let peer = ForwardingPeer::new([10, 0, 0, 1].into(), false, None);
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
