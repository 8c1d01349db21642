//! From a request's host and path to a route. Pure.
//!
//! A path is normalised once, and what is routed on is what is forwarded: what cannot be normalised so that every
//! upstream reads it the same way is refused.

use std::borrow::Cow;
use std::collections::HashMap;

/// Why a host or path is refused. The text is shown to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadTarget {
    /// No leading `/`: `*`, or the authority of a CONNECT.
    #[error("the request target is not a path")]
    NotAPath,
    /// `%` without two hex digits.
    #[error("the path has an invalid percent-encoding")]
    Percent,
    /// A slash, backslash or NUL that upstreams read in different ways.
    #[error("the path has a backslash, or an encoded slash, backslash or NUL")]
    Hidden,
    /// `..;x`, which some upstreams take for `..`.
    #[error("the path has a dot segment with parameters")]
    DotParameter,
    /// Not a host name or address with an optional port.
    #[error("the host is not a name or address with an optional port")]
    Host,
}

/// The path in the form that is routed on and forwarded: unreserved characters decoded, other encodings in upper case,
/// dot segments resolved, repeated slashes merged.
pub(super) fn normalise(path: &str) -> Result<Cow<'_, str>, BadTarget> {
    if !path.starts_with('/') {
        return Err(BadTarget::NotAPath);
    }
    let odd = path.bytes().any(|b| matches!(b, b'%' | b'\\')) || path.contains("//") || path.contains("/.");
    if !odd {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = decode_unreserved(path)?;
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_in_slash = false;
    for segment in decoded.split('/').skip(1) {
        ends_in_slash = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ if is_dots_with_parameter(segment) => return Err(BadTarget::DotParameter),
            _ => segments.push(segment),
        }
    }
    let mut normal = String::with_capacity(decoded.len());
    for segment in &segments {
        normal.push('/');
        normal.push_str(segment);
    }
    if ends_in_slash || normal.is_empty() {
        normal.push('/');
    }
    Ok(Cow::Owned(normal))
}

fn decode_unreserved(path: &str) -> Result<String, BadTarget> {
    let mut pieces = path.split('%');
    let mut decoded = String::with_capacity(path.len());
    decoded.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let digits = piece.get(..2).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = digits.and_then(|d| u8::from_str_radix(d, 16).ok()).ok_or(BadTarget::Percent)?;
        match byte {
            b'/' | b'\\' | 0 => return Err(BadTarget::Hidden),
            b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                decoded.push(char::from(byte));
            }
            _ => decoded.push_str(&format!("%{byte:02X}")),
        }
        decoded.push_str(&piece[2..]);
    }
    if decoded.contains('\\') { Err(BadTarget::Hidden) } else { Ok(decoded) }
}

fn is_dots_with_parameter(segment: &str) -> bool {
    segment.split_once(';').is_some_and(|(name, _)| matches!(name, "." | ".."))
}

/// The host of an authority in lower case, without port and without the dot that ends a full name.
pub(super) fn host_of(authority: &str) -> Result<Cow<'_, str>, BadTarget> {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            address.parse::<std::net::Ipv6Addr>().map_err(|_| BadTarget::Host)?;
            let end = address.len() + 2;
            (&authority[..end], port)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port_is_fine = port.strip_prefix(':').unwrap_or(port).bytes().all(|b| b.is_ascii_digit());
    let host_is_fine = host.starts_with('[') || (!host.is_empty() && host.bytes().all(is_host_byte));
    if !port_is_fine || !host_is_fine {
        return Err(BadTarget::Host);
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let has_upper = host.bytes().any(|b| b.is_ascii_uppercase());
    Ok(if has_upper { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) })
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

/// Why a set of routes cannot be served from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadRoute {
    /// Two lead to different places from the same host and path.
    #[error("two routes for `{0}`")]
    Twice(String),
    /// The path is not in the form that requests' paths are brought into.
    #[error("the path `{0}` of a route is not normal")]
    Path(String),
    /// The host is not in the form that requests' hosts are brought into.
    #[error("the host `{0}` of a route is not a host name in lower case")]
    Host(String),
}

/// Routes by host, then path prefix.
#[derive(Debug)]
pub(super) struct Router<T> {
    hosts: HashMap<String, Prefixes<T>>,
    any: Prefixes<T>,
}

/// Longest first, so that the first that fits is the one.
type Prefixes<T> = Vec<(String, T)>;

impl<T> Router<T> {
    /// From (host, path prefix, where it leads).
    pub(super) fn new(
        routes: impl IntoIterator<Item = (Option<String>, String, T)>,
    ) -> Result<Self, BadRoute> {
        let mut router = Self { hosts: HashMap::new(), any: Vec::new() };
        for (host, path, to) in routes {
            let is_normal = matches!(normalise(&path), Ok(normal) if normal == path);
            if !is_normal || (path.len() > 1 && path.ends_with('/')) || path.contains(['?', '#']) {
                return Err(BadRoute::Path(path));
            }
            if let Some(host) = host.as_ref().filter(|h| host_of(h).ok().as_deref() != Some(h.as_str())) {
                return Err(BadRoute::Host(host.clone()));
            }
            let claim = || format!("{}{path}", host.as_deref().unwrap_or("*"));
            let prefixes = match &host {
                Some(host) => router.hosts.entry(host.clone()).or_default(),
                None => &mut router.any,
            };
            if prefixes.iter().any(|(other, _)| *other == path) {
                return Err(BadRoute::Twice(claim()));
            }
            prefixes.push((path, to));
        }
        for prefixes in router.hosts.values_mut().chain([&mut router.any]) {
            prefixes.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        }
        Ok(router)
    }

    /// The route of a request: exact hosts before any host, then the longest prefix of whole segments; with the prefix.
    pub(super) fn find(&self, host: &str, path: &str) -> Option<(&str, &T)> {
        let fits = |(prefix, _): &&(String, T)| covers(prefix, path);
        let exact = self.hosts.get(host).and_then(|prefixes| prefixes.iter().find(fits));
        exact.or_else(|| self.any.iter().find(fits)).map(|(prefix, to)| (prefix.as_str(), to))
    }
}

fn covers(prefix: &str, path: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => rest.is_empty() || rest.starts_with('/') || prefix == "/",
        None => false,
    }
}

/// What is left of a path without a prefix that covers it.
pub(super) fn strip<'a>(prefix: &str, path: &'a str) -> &'a str {
    match path.strip_prefix(prefix) {
        Some(rest) if rest.starts_with('/') => rest,
        Some("") => "/",
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_normalised_or_refused() {
        let rows = [
            ("/", Ok("/")),
            ("/a/b", Ok("/a/b")),
            ("/a//b///c", Ok("/a/b/c")),
            ("//a", Ok("/a")),
            ("/a/./b/.", Ok("/a/b/")),
            ("/a/../b", Ok("/b")),
            ("/a/b/..", Ok("/a/")),
            ("/../../etc", Ok("/etc")),
            ("/public/%2e%2e/admin", Ok("/admin")),
            ("/public/.%2E/admin", Ok("/admin")),
            ("/%41%7e%2d", Ok("/A~-")),
            ("/a%3ab%20c", Ok("/a%3Ab%20c")),
            ("/%252e%252e/x", Ok("/%252e%252e/x")),
            ("/.hidden/..x", Ok("/.hidden/..x")),
            ("/a;p=1", Ok("/a;p=1")),
            ("/a/", Ok("/a/")),
            ("/ä/%c3%a4", Ok("/ä/%C3%A4")),
            ("*", Err(BadTarget::NotAPath)),
            ("", Err(BadTarget::NotAPath)),
            ("a", Err(BadTarget::NotAPath)),
            ("/%", Err(BadTarget::Percent)),
            ("/%4", Err(BadTarget::Percent)),
            ("/%zz", Err(BadTarget::Percent)),
            ("/%+1", Err(BadTarget::Percent)),
            ("/%4ä", Err(BadTarget::Percent)),
            ("/a%2fb", Err(BadTarget::Hidden)),
            ("/a%5Cb", Err(BadTarget::Hidden)),
            ("/a\\b", Err(BadTarget::Hidden)),
            ("/a%00", Err(BadTarget::Hidden)),
            ("/a/..;/b", Err(BadTarget::DotParameter)),
            ("/a/%2e;x=1/b", Err(BadTarget::DotParameter)),
            ("/a/%2e%2e;/b", Err(BadTarget::DotParameter)),
            ("/..;", Err(BadTarget::DotParameter)),
            ("/%2F", Err(BadTarget::Hidden)),
            ("/%2e%2e%2fadmin", Err(BadTarget::Hidden)),
            ("/..%5cadmin", Err(BadTarget::Hidden)),
            ("/.\\admin", Err(BadTarget::Hidden)),
            ("/a%", Err(BadTarget::Percent)),
            ("/%u002e", Err(BadTarget::Percent)),
            ("/a%25%32%66b", Ok("/a%252fb")),
            ("/a%2525", Ok("/a%2525")),
            ("/...", Ok("/...")),
            ("/%2e", Ok("/")),
            ("/%2e%2e", Ok("/")),
            ("/a/%2e%2e%2e/b", Ok("/a/.../b")),
            ("/a/;x/../b", Ok("/a/b")),
            ("/%c0%af%c0%ae", Ok("/%C0%AF%C0%AE")),
            ("/a%3fb%23c", Ok("/a%3Fb%23c")),
        ];
        for (path, wanted) in rows {
            assert_eq!(normalise(path).as_deref(), wanted.as_deref(), "{path}");
        }
    }

    #[test]
    fn hosts_lose_case_port_and_final_dot() {
        let rows = [
            ("shop.localhost", Some("shop.localhost")),
            ("SHOP.localhost:8080", Some("shop.localhost")),
            ("shop.localhost.", Some("shop.localhost")),
            ("127.0.0.1:80", Some("127.0.0.1")),
            ("[::1]:80", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("a_b:", Some("a_b")),
            ("", None),
            (":80", None),
            ("a:80:90", None),
            ("a:b", None),
            ("a b", None),
            ("user@a", None),
            ("a/b", None),
            ("[::1", None),
            ("[x]:1", None),
            ("[::1]x", None),
            ("ä", None),
        ];
        for (authority, wanted) in rows {
            assert_eq!(host_of(authority).ok().as_deref(), wanted, "{authority}");
        }
    }

    fn router() -> Router<u8> {
        let route = |host: Option<&str>, path: &str, n| (host.map(str::to_owned), path.to_owned(), n);
        Router::new([
            route(Some("shop"), "/", 1),
            route(Some("shop"), "/api", 2),
            route(Some("shop"), "/api/users", 3),
            route(Some("blog"), "/posts", 4),
            route(None, "/posts", 5),
            route(None, "/api", 6),
        ])
        .unwrap()
    }

    #[test]
    fn exact_host_first_then_the_longest_prefix_of_whole_segments() {
        let rows = [
            ("shop", "/", Some(1)),
            ("shop", "/apis", Some(1)),
            ("shop", "/api", Some(2)),
            ("shop", "/api/", Some(2)),
            ("shop", "/api/users", Some(3)),
            ("shop", "/api/users/7", Some(3)),
            ("shop", "/api/usersx", Some(2)),
            ("blog", "/posts/1", Some(4)),
            ("blog", "/api", Some(6)),
            ("other", "/posts", Some(5)),
            ("other", "/", None),
        ];
        for (host, path, wanted) in rows {
            assert_eq!(router().find(host, path).map(|(_, n)| *n), wanted, "{host}{path}");
        }
    }

    #[test]
    fn stripping_takes_the_prefix_off() {
        for (prefix, path, wanted) in
            [("/api", "/api", "/"), ("/api", "/api/x", "/x"), ("/api", "/api/", "/"), ("/", "/x/y", "/x/y")]
        {
            assert_eq!(strip(prefix, path), wanted, "{prefix} {path}");
        }
    }

    #[test]
    fn routes_that_no_request_could_tell_apart_are_refused() {
        let build = |routes: &[(Option<&str>, &str)]| {
            let owned = routes.iter().map(|(h, p)| (h.map(str::to_owned), (*p).to_owned(), ()));
            Router::new(owned).err()
        };
        assert_eq!(build(&[(None, "/a"), (Some("h"), "/a")]), None);
        assert_eq!(build(&[(None, "/a"), (None, "/a")]), Some(BadRoute::Twice("*/a".into())));
        assert_eq!(build(&[(Some("h"), "/"), (Some("h"), "/")]), Some(BadRoute::Twice("h/".into())));
        for path in ["", "a", "/a/", "/a//b", "/../a", "/%41", "/a?b", "/%2f"] {
            assert_eq!(build(&[(None, path)]), Some(BadRoute::Path(path.into())), "{path}");
        }
        for host in ["H", "h:80", "", "a b"] {
            assert_eq!(build(&[(Some(host), "/")]), Some(BadRoute::Host(host.into())), "{host}");
        }
    }

    proptest! {
        #[test]
        fn what_is_routed_on_is_what_is_forwarded(path in "/([a-z/.;%]|%2e|%41|%2f|%25|api|users|\\.\\.){0,12}") {
            if let Ok(forwarded) = normalise(&path) {
                let again = normalise(&forwarded);
                prop_assert_eq!(again.as_deref(), Ok(forwarded.as_ref()));
                let find = |p: &str| router().find("shop", p).map(|(_, n)| *n);
                prop_assert_eq!(find(&forwarded), find(&again.unwrap()));
                prop_assert!(!forwarded.contains("//") && !forwarded.split('/').any(|s| s == "." || s == ".."));
            }
        }

        #[test]
        fn nothing_makes_normalising_panic(path in ".{0,40}") {
            if let Ok(normal) = normalise(&path) {
                prop_assert!(normal.starts_with('/'));
            }
        }
    }
}
