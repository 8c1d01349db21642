//! Makes the head of an HTTP/2 request one that can be forwarded in HTTP/1.1. Pure.
//!
//! The h2 crate has refused upper case, connection-specific headers and pseudo-headers that contradict each other (RFC 9113,
//! sections 8.2 and 8.3).

use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Uri, Version};

use crate::balancer::limits::METHOD_MAX_BYTES;

/// A request that is malformed: its stream is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum MalformedRequest {
    #[error(":authority and Host name different hosts")]
    Host,
    #[error("the method is longer than {METHOD_MAX_BYTES} bytes")]
    Method,
    #[error("content-length is not one number of decimal digits")]
    Length,
}

/// What is known of a request's body from its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AnnouncedBody {
    pub(super) length: Option<u64>,
    /// Whether the client waits for a word before it sends the body.
    pub(super) expects_continue: bool,
}

/// Rewrites the head in place. `has_body`: whether the stream has not ended with it.
pub(super) fn rewrite(head: &mut Parts, has_body: bool) -> Result<AnnouncedBody, MalformedRequest> {
    if head.method.as_str().len() > METHOD_MAX_BYTES {
        return Err(MalformedRequest::Method);
    }
    set_host(head)?;
    join_cookies(&mut head.headers);
    head.version = Version::HTTP_11;
    let length = length(&head.headers)?;
    // some servers answer 411 to a POST that says nothing of a body
    if !has_body && length.is_none() && means_body(&head.method) {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let expects_continue = has_body
        && head
            .headers
            .get(EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    Ok(AnnouncedBody { length, expects_continue })
}

/// `:authority` becomes the Host header, and the target is left in origin form (RFC 9113, section 8.3.1).
fn set_host(head: &mut Parts) -> Result<(), MalformedRequest> {
    let Some(authority) = head.uri.authority() else { return Ok(()) };
    let authority = HeaderValue::from_str(authority.as_str()).map_err(|_| MalformedRequest::Host)?;
    let mut hosts = head.headers.get_all(HOST).iter();
    if hosts.any(|host| !host.as_bytes().eq_ignore_ascii_case(authority.as_bytes())) {
        return Err(MalformedRequest::Host);
    }
    head.headers.insert(HOST, authority);
    // CONNECT has no path, and is answered as such
    if let Some(target) = head.uri.path_and_query() {
        head.uri = Uri::from(target.clone());
    }
    Ok(())
}

/// A client may send a cookie header for each pair, which HTTP/1.1 does not allow (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(COOKIE).iter();
    if crumbs.nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    // the parts are header values, and so is what is between them
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

/// The length of the body, if the client says one. Two lengths, or one that servers read differently, could end the body elsewhere
/// for a server than for the balancer.
fn length(headers: &HeaderMap) -> Result<Option<u64>, MalformedRequest> {
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let text = line.to_str().unwrap_or_default();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    match text.parse() {
        Ok(length) if is_plain && lines.next().is_none() => Ok(Some(length)),
        _ => Err(MalformedRequest::Length),
    }
}

/// Whether servers expect a body with this method (RFC 9110, section 8.6).
fn means_body(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri).version(Version::HTTP_2);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn authority_becomes_the_host_header() {
        let mut shop = head("GET", "http://Shop:8080/a?b=c", &[]);
        rewrite(&mut shop, false).unwrap();
        assert_eq!(
            (shop.uri.to_string(), shop.headers[HOST].to_str().unwrap()),
            ("/a?b=c".into(), "Shop:8080")
        );
        assert_eq!(shop.version, Version::HTTP_11);
        let mut same = head("GET", "http://shop/", &[("host", "SHOP")]);
        assert!(rewrite(&mut same, false).is_ok());
        let mut other = head("GET", "http://shop/", &[("host", "blog")]);
        assert_eq!(rewrite(&mut other, false), Err(MalformedRequest::Host));
        let mut header_alone = head("GET", "/", &[("host", "shop")]);
        rewrite(&mut header_alone, false).unwrap();
        assert_eq!(header_alone.headers[HOST], "shop");
    }

    #[test]
    fn cookie_crumbs_are_joined() {
        let mut crumbs = head("GET", "http://h/", &[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")]);
        rewrite(&mut crumbs, false).unwrap();
        assert_eq!(crumbs.headers.get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"]);
    }

    #[test]
    fn length_is_one_plain_number() {
        for (lengths, wanted) in [
            (&[][..], Ok(None)),
            (&["10"], Ok(Some(10))),
            (&["0"], Ok(Some(0))),
            (&["010"], Err(MalformedRequest::Length)),
            (&["+1"], Err(MalformedRequest::Length)),
            (&["1, 1"], Err(MalformedRequest::Length)),
            (&["1", "1"], Err(MalformedRequest::Length)),
        ] {
            let headers: Vec<(&str, &str)> =
                lengths.iter().map(|length| ("content-length", *length)).collect();
            let found = rewrite(&mut head("PUT", "http://h/", &headers), true);
            assert_eq!(found.map(|body| body.length), wanted, "{lengths:?}");
        }
    }

    #[test]
    fn post_without_a_body_says_so() {
        for (method, has_body, wanted) in
            [("POST", false, Some("0")), ("POST", true, None), ("GET", false, None), ("DELETE", false, None)]
        {
            let mut request = head(method, "http://h/", &[]);
            rewrite(&mut request, has_body).unwrap();
            let length = request.headers.get(CONTENT_LENGTH).map(|value| value.to_str().unwrap());
            assert_eq!(length, wanted, "{method} {has_body}");
        }
    }

    #[test]
    fn only_a_body_is_waited_for() {
        let expecting = |has_body| {
            let mut request = head("PUT", "http://h/", &[("expect", "100-Continue")]);
            rewrite(&mut request, has_body).unwrap().expects_continue
        };
        assert!(expecting(true) && !expecting(false));
    }
}
