//! Host and path of a request.

use std::borrow::Cow;

use http::header::{COOKIE, HOST, HeaderValue};
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme};
use http::{Method, Uri, Version};

use super::local_reply::LocalReply;
use crate::balancer::limits::URI_MAX_BYTES;
use crate::routing::condition::{RequestAttributes, cookie_value, query_value};
use crate::routing::normalise::{self, BadTarget};
use crate::routing::redirect::https_location;
use crate::routing::router::{self, RouteRequest};

/// Host and path, in the form that is routed on and forwarded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestTarget {
    /// For the Host header: as the client wrote it.
    pub(super) authority: HeaderValue,
    /// Lower case, without port.
    pub(super) host: String,
    /// The target in origin form: normalised path, and query as the client wrote it; or `*`.
    origin: Uri,
}

/// The target of an OPTIONS request about the server as a whole.
const ASTERISK: &str = "*";

impl RequestAttributes for Parts {
    fn method(&self) -> &str {
        self.method.as_str()
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.get(name).map(HeaderValue::as_bytes)
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        let lines = self.headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        cookie_value(lines, name)
    }

    fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        query_value(self.uri.query()?, name)
    }
}

impl RequestTarget {
    pub(super) fn parse(head: &Parts) -> Result<Self, LocalReply> {
        if head.method == Method::CONNECT {
            return Err(LocalReply::Connect);
        }
        // it would show a client the headers that a proxy adds
        if head.method == Method::TRACE {
            return Err(LocalReply::Trace);
        }
        let uri = &head.uri;
        if uri.scheme().is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
            return Err(LocalReply::Scheme);
        }
        let query_length = uri.query().map_or(0, str::len);
        if uri.path().len() + query_length > URI_MAX_BYTES {
            return Err(LocalReply::TooLong);
        }
        let from_header = host_header(head)?;
        // an authority in the request line takes precedence over the header, which is required even so
        let authority = match uri.authority() {
            Some(authority) => HeaderValue::from_str(authority.as_str())
                .map_err(|_| LocalReply::BadTarget(BadTarget::Host))?,
            None => from_header,
        };
        let text = authority.to_str().map_err(|_| LocalReply::BadTarget(BadTarget::Host))?;
        let host = if text.is_empty() { String::new() } else { normalise::host_of(text)?.into_owned() };
        if head.method == Method::OPTIONS && uri.path() == ASTERISK {
            return Ok(Self { host, origin: uri.clone(), authority });
        }
        let path = normalise::normalise(uri.path())?;
        let is_origin = uri.authority().is_none() && path == uri.path();
        let origin = if is_origin { uri.clone() } else { origin_form(&path, uri.query())? };
        Ok(Self { host, origin, authority })
    }

    /// The request, for the router.
    pub(super) fn route_request<'a>(&'a self, head: &'a Parts) -> RouteRequest<'a> {
        RouteRequest { host: &self.host, path: self.path(), attributes: head }
    }

    /// The path that is routed on: the one that is forwarded.
    pub(super) fn path(&self) -> &str {
        match self.origin.path() {
            ASTERISK => "/",
            path => path,
        }
    }

    /// The query, as the client wrote it.
    pub(super) fn query(&self) -> Option<&str> {
        self.origin.query()
    }

    /// The same target over HTTPS at this port.
    pub(super) fn https_location(&self, port: u16) -> String {
        let target = self.origin.path_and_query().map_or("/", PathAndQuery::as_str);
        let target = if target == ASTERISK { "/" } else { target };
        https_location(&self.host, target, port)
    }

    /// The target to forward, without the first `strip` bytes of the path.
    pub(super) fn forwarded(&self, strip: Option<usize>) -> Result<Uri, LocalReply> {
        let strip = strip.filter(|_| self.origin.path() != ASTERISK);
        match strip.and_then(|length| self.path().get(..length)) {
            Some(prefix) => origin_form(router::strip(prefix, self.path()), self.origin.query()),
            None => Ok(self.origin.clone()),
        }
    }
}

/// HTTP/1.0 does not require one; such a request goes to a route for every host.
fn host_header(head: &Parts) -> Result<HeaderValue, LocalReply> {
    let mut hosts = head.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next(), head.version) {
        (Some(host), None, Version::HTTP_10) => Ok(host.clone()),
        (Some(host), None, _) if !host.is_empty() => Ok(host.clone()),
        (Some(_), None, _) => Err(LocalReply::BadTarget(BadTarget::Host)),
        (None, _, Version::HTTP_10) => Ok(HeaderValue::from_static("")),
        _ => Err(LocalReply::Host),
    }
}

fn origin_form(path: &str, query: Option<&str>) -> Result<Uri, LocalReply> {
    let text = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let target = PathAndQuery::try_from(text).map_err(|_| LocalReply::BadTarget(BadTarget::NotAPath))?;
    Ok(Uri::from(target))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn target(method: &str, uri: &str, hosts: &[&str]) -> Result<(String, String, String), LocalReply> {
        let mut request = Request::builder().method(method).uri(uri);
        for host in hosts {
            request = request.header("host", *host);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let target = RequestTarget::parse(&head)?;
        let authority = target.authority.to_str().unwrap().to_owned();
        Ok((target.host.clone(), target.forwarded(None)?.to_string(), authority))
    }

    #[test]
    fn attributes_are_the_first_header_line_cookie_and_parameter() {
        let request = Request::builder()
            .method("POST")
            .uri("/a?v=1&v=2")
            .header("x-beta", "0")
            .header("x-beta", "1")
            .header("cookie", "a=1; arm=b")
            .header("cookie", "arm=c");
        let (head, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(RequestAttributes::method(&head), "POST");
        assert_eq!((head.header("x-beta"), head.header("y")), (Some(&b"0"[..]), None));
        assert_eq!((head.cookie("arm"), head.cookie("b")), (Some("b"), None));
        assert_eq!((head.query("v").as_deref(), head.query("w")), (Some("1"), None));
    }

    #[test]
    fn request_target_is_parsed_in_every_form() {
        let ok = |h: &str, u: &str, a: &str| Ok((h.to_owned(), u.to_owned(), a.to_owned()));
        let long = format!("/{}", "x".repeat(URI_MAX_BYTES));
        let rows = [
            ("GET", "/a?b=/../c", &["Shop:80"][..], ok("shop", "/a?b=/../c", "Shop:80")),
            ("GET", "/a/../b?q", &["h"], ok("h", "/b?q", "h")),
            ("GET", "http://Other:8080/a/%2e/b?q", &["h"], ok("other", "/a/b?q", "Other:8080")),
            ("GET", "http://other", &["h"], ok("other", "/", "other")),
            ("GET", "/", &[], Err(LocalReply::Host)),
            ("GET", "http://other/", &[], Err(LocalReply::Host)),
            ("GET", "/", &["a", "a"], Err(LocalReply::Host)),
            ("GET", "/", &[""], Err(LocalReply::BadTarget(BadTarget::Host))),
            ("GET", "/", &["a/b"], Err(LocalReply::BadTarget(BadTarget::Host))),
            ("GET", "http://user@h/", &["h"], Err(LocalReply::BadTarget(BadTarget::Host))),
            ("GET", "/a%2fb//c;d", &["h"], ok("h", "/a%2Fb//c;d", "h")),
            ("OPTIONS", "*", &["h"], ok("h", "*", "h")),
            ("GET", "*", &["h"], Err(LocalReply::BadTarget(BadTarget::NotAPath))),
            ("CONNECT", "h:443", &["h"], Err(LocalReply::Connect)),
            ("TRACE", "/", &["h"], Err(LocalReply::Trace)),
            ("GET", "ftp://h/", &["h"], Err(LocalReply::Scheme)),
            ("GET", "HTTPS://h/", &["h"], ok("h", "/", "h")),
            ("GET", &long, &["h"], Err(LocalReply::TooLong)),
        ];
        for (method, uri, hosts, expected) in rows {
            assert_eq!(target(method, uri, hosts), expected, "{method} {uri} {hosts:?}");
        }
    }

    #[test]
    fn request_target_needs_no_host_in_http_1_0() {
        for (host, wanted) in
            [(None, Some("")), (Some(""), Some("")), (Some("h"), Some("h")), (Some("a/b"), None)]
        {
            let mut request = Request::get("/").version(Version::HTTP_10);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            let target = RequestTarget::parse(&head).ok();
            assert_eq!(target.map(|target| target.host).as_deref(), wanted, "{host:?}");
        }
    }

    #[test]
    fn prefix_is_stripped_from_the_path_only() {
        let (head, ()) = Request::get("/api/api?x=/api").header("host", "h").body(()).unwrap().into_parts();
        let target = RequestTarget::parse(&head).unwrap();
        assert_eq!(target.forwarded(Some(4)).unwrap().to_string(), "/api?x=/api");
        assert_eq!(target.forwarded(Some(8)).unwrap().to_string(), "/?x=/api");
    }
}
