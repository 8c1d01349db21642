//! From a request to its route. Pure.
//!
//! A path is normalised once, and what is routed on is what is forwarded: what cannot be normalised so that every
//! upstream reads it the same way is refused.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use crate::model::{HostPattern, PathMatch, RouteCondition};

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

/// What conditions ask of a request.
pub(super) trait RequestAttributes {
    fn method(&self) -> &str;
    /// Whether a line of this header, named in lower case, has just this value.
    fn has_header(&self, name: &str, value: &str) -> bool;
    fn has_cookie(&self, name: &str, value: &str) -> bool;
}

/// Whether a request meets a condition.
pub(super) fn holds(condition: &RouteCondition, request: &dyn RequestAttributes) -> bool {
    match condition {
        RouteCondition::Method(method) => request.method() == method,
        RouteCondition::Header { name, value } => request.has_header(name, value),
        RouteCondition::Cookie { name, value } => request.has_cookie(name, value),
    }
}

/// A request as routes see it: host and path normalised.
#[derive(Clone, Copy)]
pub(super) struct RouteRequest<'a> {
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) attributes: &'a dyn RequestAttributes,
}

/// Why a set of routes cannot be served from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadRoute {
    /// Two lead to different places for the same host, path and conditions.
    #[error("two routes for `{0}`")]
    Twice(String),
    /// The path is not in the form that requests' paths are brought into.
    #[error("the path `{0}` of a route is not normal")]
    Path(String),
    /// The host is not in the form that requests' hosts are brought into.
    #[error("the host `{0}` of a route is not a host name in lower case")]
    Host(String),
    /// No request can meet it.
    #[error("a route's condition on the {0} has a name or value that no request has")]
    Condition(&'static str),
}

/// One host pattern of a route, with the rest of what it matches and where it leads.
#[derive(Debug)]
pub(super) struct RouteMatcher<T> {
    pub(super) host: HostPattern,
    pub(super) path: PathMatch,
    pub(super) conditions: BTreeSet<RouteCondition>,
    pub(super) to: T,
}

/// Routes by host, and for each host in the order in which they are tried.
#[derive(Debug)]
pub(super) struct Router<T> {
    exact: HashMap<String, Vec<RouteMatcher<T>>>,
    /// By what follows the first label.
    wildcard: HashMap<String, Vec<RouteMatcher<T>>>,
    any: Vec<RouteMatcher<T>>,
}

impl<T> Router<T> {
    pub(super) fn new(matchers: impl IntoIterator<Item = RouteMatcher<T>>) -> Result<Self, BadRoute> {
        let mut router = Self { exact: HashMap::new(), wildcard: HashMap::new(), any: Vec::new() };
        for matcher in matchers {
            check(&matcher)?;
            let of_host = match &matcher.host {
                HostPattern::Exact(host) => router.exact.entry(host.clone()).or_default(),
                HostPattern::Wildcard(parent) => router.wildcard.entry(parent.clone()).or_default(),
                HostPattern::Any => &mut router.any,
            };
            let matches_the_same = |other: &RouteMatcher<T>| {
                other.path == matcher.path && other.conditions == matcher.conditions
            };
            if of_host.iter().any(matches_the_same) {
                return Err(BadRoute::Twice(format!("{}{}", matcher.host, matcher.path.as_str())));
            }
            of_host.push(matcher);
        }
        let wildcards = router.wildcard.values_mut();
        for of_host in router.exact.values_mut().chain(wildcards).chain([&mut router.any]) {
            of_host.sort_by(|a, b| precedence(a).cmp(&precedence(b)));
        }
        Ok(router)
    }

    /// The route of a request: exact host before wildcard before any, then the longest path, then the most conditions;
    /// with the route's path.
    pub(super) fn find(&self, request: &RouteRequest<'_>) -> Option<(&str, &T)> {
        let parent = request.host.split_once('.').map(|(_, parent)| parent);
        let exact = self.exact.get(request.host);
        let wildcard = parent.and_then(|parent| self.wildcard.get(parent));
        let mut in_order = exact.into_iter().chain(wildcard).chain([&self.any]).flatten();
        let found = in_order.find(|matcher| matches(matcher, request))?;
        Some((found.path.as_str(), &found.to))
    }
}

/// Routes of one host are tried from the smallest to the largest: the longest path first, an exact one before a prefix, then
/// the most conditions. The rest only makes the order total.
fn precedence<T>(matcher: &RouteMatcher<T>) -> impl Ord + '_ {
    let RouteMatcher { path, conditions, .. } = matcher;
    (Reverse(path.as_str().len()), path, Reverse(conditions.len()), conditions)
}

fn matches<T>(matcher: &RouteMatcher<T>, request: &RouteRequest<'_>) -> bool {
    let is_path = match &matcher.path {
        PathMatch::Exact(path) => path == request.path,
        PathMatch::Prefix(prefix) => covers(prefix, request.path),
    };
    is_path && matcher.conditions.iter().all(|condition| holds(condition, request.attributes))
}

fn check<T>(matcher: &RouteMatcher<T>) -> Result<(), BadRoute> {
    let path = matcher.path.as_str();
    let is_normal = matches!(normalise(path), Ok(normal) if normal == path) && !path.contains(['?', '#']);
    let ends_in_slash = path.len() > 1 && path.ends_with('/');
    if !is_normal || (ends_in_slash && matches!(matcher.path, PathMatch::Prefix(_))) {
        return Err(BadRoute::Path(path.to_owned()));
    }
    let host = match &matcher.host {
        HostPattern::Exact(host) | HostPattern::Wildcard(host) => Some(host),
        HostPattern::Any => None,
    };
    if let Some(host) = host.filter(|h| host_of(h).ok().as_deref() != Some(h.as_str())) {
        return Err(BadRoute::Host(host.clone()));
    }
    matcher.conditions.iter().try_for_each(check_condition)
}

/// Whether a request could meet a condition.
pub(super) fn check_condition(condition: &RouteCondition) -> Result<(), BadRoute> {
    let (what, name, value) = match condition {
        RouteCondition::Method(method) => ("method", method, ""),
        RouteCondition::Header { name, value } => ("header", name, value.as_str()),
        RouteCondition::Cookie { name, value } => ("cookie", name, value.as_str()),
    };
    let has_upper = name.bytes().any(|b| b.is_ascii_uppercase());
    let is_name = !name.is_empty() && name.bytes().all(is_token_byte) && !(what == "header" && has_upper);
    let is_value = !value.bytes().any(|b| b.is_ascii_control()) && value.trim() == value;
    if is_name && is_value { Ok(()) } else { Err(BadRoute::Condition(what)) }
}

/// RFC 9110, 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
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

/// A GET without headers and cookies.
#[cfg(test)]
impl RequestAttributes for () {
    fn method(&self) -> &str {
        "GET"
    }

    fn has_header(&self, _: &str, _: &str) -> bool {
        false
    }

    fn has_cookie(&self, _: &str, _: &str) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::arbitrary::{condition, host_pattern, path_match};

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

    /// A request's attributes, spelled like conditions.
    struct Attributes(BTreeSet<RouteCondition>);

    impl RequestAttributes for Attributes {
        fn method(&self) -> &str {
            let mut methods = self.0.iter().filter_map(|condition| match condition {
                RouteCondition::Method(method) => Some(method.as_str()),
                _ => None,
            });
            methods.next().unwrap_or("GET")
        }

        fn has_header(&self, name: &str, value: &str) -> bool {
            self.0.contains(&RouteCondition::Header { name: name.to_owned(), value: value.to_owned() })
        }

        fn has_cookie(&self, name: &str, value: &str) -> bool {
            self.0.contains(&RouteCondition::Cookie { name: name.to_owned(), value: value.to_owned() })
        }
    }

    fn header(name: &str, value: &str) -> RouteCondition {
        RouteCondition::Header { name: name.to_owned(), value: value.to_owned() }
    }

    fn cookie(name: &str, value: &str) -> RouteCondition {
        RouteCondition::Cookie { name: name.to_owned(), value: value.to_owned() }
    }

    fn method(method: &str) -> RouteCondition {
        RouteCondition::Method(method.to_owned())
    }

    /// Where a request leads that has these attributes.
    fn find_with<T: Copy>(router: &Router<T>, host: &str, path: &str, has: &[RouteCondition]) -> Option<T> {
        let attributes = Attributes(has.iter().cloned().collect());
        router.find(&RouteRequest { host, path, attributes: &attributes }).map(|(_, to)| *to)
    }

    fn find<T: Copy>(router: &Router<T>, host: &str, path: &str) -> Option<T> {
        find_with(router, host, path, &[])
    }

    fn matcher<T>(host: &str, path: PathMatch, conditions: &[RouteCondition], to: T) -> RouteMatcher<T> {
        let host = host.parse().unwrap_or_else(|_| HostPattern::Exact(host.to_owned()));
        RouteMatcher { host, path, conditions: conditions.iter().cloned().collect(), to }
    }

    fn prefix(path: &str) -> PathMatch {
        PathMatch::Prefix(path.to_owned())
    }

    fn exact(path: &str) -> PathMatch {
        PathMatch::Exact(path.to_owned())
    }

    fn router() -> Router<u8> {
        Router::new([
            matcher("shop", prefix("/"), &[], 1),
            matcher("shop", prefix("/api"), &[], 2),
            matcher("shop", prefix("/api/users"), &[], 3),
            matcher("blog", prefix("/posts"), &[], 4),
            matcher("*", prefix("/posts"), &[], 5),
            matcher("*", prefix("/api"), &[], 6),
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
            assert_eq!(find(&router(), host, path), wanted, "{host}{path}");
        }
    }

    #[test]
    fn wildcard_host_covers_one_label_and_yields_to_the_exact_host() {
        let router = Router::new([
            matcher("a.shop.example", prefix("/only"), &[], 1),
            matcher("*.shop.example", prefix("/"), &[], 2),
            matcher("*", prefix("/any"), &[], 3),
        ])
        .unwrap();
        let rows = [
            ("a.shop.example", "/only", Some(1)),
            ("a.shop.example", "/", Some(2)),
            ("b.shop.example", "/any", Some(2)),
            ("shop.example", "/any", Some(3)),
            ("b.a.shop.example", "/any", Some(3)),
            ("b.a.shop.example", "/", None),
        ];
        for (host, path, wanted) in rows {
            assert_eq!(find(&router, host, path), wanted, "{host}{path}");
        }
    }

    #[test]
    fn exact_path_takes_only_itself_and_before_the_prefix() {
        let router = Router::new([
            matcher("*", prefix("/api"), &[], 1),
            matcher("*", exact("/api"), &[], 2),
            matcher("*", exact("/api/"), &[], 3),
        ])
        .unwrap();
        for (path, wanted) in [("/api", 2), ("/api/", 3), ("/api/x", 1)] {
            assert_eq!(find(&router, "h", path), Some(wanted), "{path}");
        }
    }

    #[test]
    fn most_conditions_win_on_the_same_path_but_not_over_a_longer_one() {
        let router = Router::new([
            matcher("*", prefix("/"), &[], 1),
            matcher("*", prefix("/"), &[header("x-beta", "1")], 2),
            matcher("*", prefix("/"), &[header("x-beta", "1"), method("POST")], 3),
            matcher("*", prefix("/api"), &[cookie("arm", "b")], 4),
        ])
        .unwrap();
        let beta = header("x-beta", "1");
        let arm = cookie("arm", "b");
        let rows = [
            ("/", vec![], 1),
            ("/", vec![beta.clone()], 2),
            ("/", vec![header("x-beta", "2")], 1),
            ("/", vec![method("POST")], 1),
            ("/", vec![method("POST"), beta.clone()], 3),
            ("/api", vec![beta.clone()], 2),
            ("/api", vec![beta, arm.clone()], 4),
            ("/apis", vec![arm], 1),
        ];
        for (path, has, wanted) in rows {
            assert_eq!(find_with(&router, "h", path, &has), Some(wanted), "{path} {has:?}");
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
        let build = |routes: &[(&str, PathMatch, &[RouteCondition])]| {
            let matchers = routes.iter().map(|(host, path, has)| matcher(host, path.clone(), has, ()));
            Router::new(matchers).err()
        };
        let beta = &[header("x-beta", "1")][..];
        assert_eq!(build(&[("*", prefix("/a"), &[]), ("h", prefix("/a"), &[])]), None);
        assert_eq!(build(&[("*", prefix("/a"), &[]), ("*", prefix("/a"), beta)]), None);
        assert_eq!(build(&[("*", prefix("/a"), &[]), ("*", exact("/a"), &[])]), None);
        let rows = [("*", prefix("/a"), "*/a"), ("h", prefix("/"), "h/"), ("*.h", exact("/"), "*.h/")];
        for (host, path, claim) in rows {
            for has in [&[], beta] {
                let twice = [(host, path.clone(), has), (host, path.clone(), has)];
                assert_eq!(build(&twice), Some(BadRoute::Twice(claim.to_owned())));
            }
        }
        for path in ["", "a", "/a/", "/a//b", "/../a", "/%41", "/a?b", "/%2f"] {
            assert_eq!(build(&[("*", prefix(path), &[])]), Some(BadRoute::Path(path.into())), "{path}");
        }
        for host in ["H", "h:80", "", "a b"] {
            assert_eq!(build(&[(host, prefix("/"), &[])]), Some(BadRoute::Host(host.into())), "{host}");
        }
    }

    #[test]
    fn conditions_that_no_request_can_meet_are_refused() {
        let rows = [
            (method(""), "method"),
            (method("GET "), "method"),
            (header("X-Beta", "1"), "header"),
            (header("x beta", "1"), "header"),
            (header("x-beta", "a\r\nb"), "header"),
            (header("x-beta", " 1"), "header"),
            (cookie("a=b", "1"), "cookie"),
        ];
        for (condition, what) in rows {
            assert_eq!(check_condition(&condition), Err(BadRoute::Condition(what)), "{condition:?}");
        }
        for condition in [method("PROPFIND"), header("x-beta", ""), cookie("Arm", "b")] {
            assert_eq!(check_condition(&condition), Ok(()), "{condition:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_routed_on_is_what_is_forwarded(path in "/([a-z/.;%]|%2e|%41|%2f|%25|api|users|\\.\\.){0,12}") {
            if let Ok(forwarded) = normalise(&path) {
                let again = normalise(&forwarded);
                prop_assert_eq!(again.as_deref(), Ok(forwarded.as_ref()));
                let router = router();
                prop_assert_eq!(find(&router, "shop", &forwarded), find(&router, "shop", &again.unwrap()));
                prop_assert!(!forwarded.contains("//") && !forwarded.split('/').any(|s| s == "." || s == ".."));
            }
        }

        #[test]
        fn nothing_makes_normalising_panic(path in ".{0,40}") {
            if let Ok(normal) = normalise(&path) {
                prop_assert!(normal.starts_with('/'));
            }
        }

        #[test]
        fn the_most_specific_route_that_matches_is_found_whatever_their_order(
            routes in prop::collection::btree_set(
                (host_pattern(), path_match(), prop::collection::btree_set(condition(), 0..3)), 0..12),
            host in prop::sample::select(vec!["x", "a.x", "b.x", "a.b.x", "c.b.x", "y", "a.a.b.x"]),
            path in prop::sample::select(vec!["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/abc"]),
            has in prop::collection::btree_set(condition(), 0..4),
            reverse: bool,
        ) {
            let attributes = Attributes(has);
            let request = RouteRequest { host, path, attributes: &attributes };
            let mut matchers: Vec<_> = routes
                .into_iter()
                .map(|(host, path, conditions)| {
                    let to = (host.clone(), path.clone(), conditions.clone());
                    RouteMatcher { host, path, conditions, to }
                })
                .collect();
            let takes_host = |pattern: &HostPattern| match pattern {
                HostPattern::Exact(exact) => exact == host,
                HostPattern::Wildcard(parent) => {
                    host.strip_suffix(parent.as_str()).and_then(|label| label.strip_suffix('.'))
                        .is_some_and(|label| !label.is_empty() && !label.contains('.'))
                }
                HostPattern::Any => true,
            };
            let rank = |(host, path, conditions): &(HostPattern, PathMatch, BTreeSet<RouteCondition>)| {
                let host = match host {
                    HostPattern::Exact(_) => 2,
                    HostPattern::Wildcard(_) => 1,
                    HostPattern::Any => 0,
                };
                (host, path.as_str().len(), matches!(path, PathMatch::Exact(_)), conditions.len())
            };
            let taking = matchers.iter().filter(|m| takes_host(&m.host) && matches(m, &request));
            let best = taking.map(|m| rank(&m.to)).max();
            if reverse {
                matchers.reverse();
            }
            let router = Router::new(matchers).unwrap();
            let found = router.find(&request);
            prop_assert_eq!(found.map(|(_, to)| rank(to)), best);
            if let Some((path, to)) = found {
                prop_assert_eq!(path, to.1.as_str());
            }
        }
    }
}
