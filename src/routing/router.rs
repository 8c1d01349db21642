//! From a request to its route. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use super::condition::{BadCondition, RequestAttributes, check_condition, holds};
use super::normalise::{host_of, normalise};
use crate::model::{HostPattern, ListenerId, PathMatch, RouteCondition, RoutingTable};

/// A request as routes see it: host and path normalised.
#[derive(Clone, Copy)]
pub struct RouteRequest<'a> {
    pub host: &'a str,
    pub path: &'a str,
    pub attributes: &'a dyn RequestAttributes,
}

/// Why a set of routes cannot be served from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRoute {
    /// Two lead to different places for the same host, path and conditions.
    #[error("two routes for `{0}`")]
    Twice(String),
    /// The path is not in the form that requests' paths are brought into.
    #[error("the path `{0}` of a route is not normal")]
    Path(String),
    /// The host is not in the form that requests' hosts are brought into.
    #[error("the host `{0}` of a route is not a host name in lower case")]
    Host(String),
    #[error("route `{route}` is never taken: {problem}")]
    Condition { route: String, problem: BadCondition },
}

/// One host pattern of a route, with the rest of what it matches and where it leads.
#[derive(Debug)]
pub struct RouteMatcher<T> {
    pub host: HostPattern,
    pub path: PathMatch,
    pub conditions: BTreeSet<RouteCondition>,
    pub to: T,
}

/// Routes by host, and for each host in the order in which they are tried.
#[derive(Debug)]
pub struct Router<T> {
    exact: HashMap<String, Vec<RouteMatcher<T>>>,
    /// By what follows the first label.
    wildcard: HashMap<String, Vec<RouteMatcher<T>>>,
    any: Vec<RouteMatcher<T>>,
}

impl<T> Router<T> {
    /// A router of these routes, in whatever order they come.
    ///
    /// # Errors
    /// If two of them are the same, or one is never taken.
    pub fn new(matchers: impl IntoIterator<Item = RouteMatcher<T>>) -> Result<Self, BadRoute> {
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
                return Err(BadRoute::Twice(name_of(&matcher)));
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
    pub fn find(&self, request: &RouteRequest<'_>) -> Option<(&str, &T)> {
        let found = self.in_order(request.host).find(|matcher| matcher.miss(request).is_none())?;
        Some((found.path.as_str(), &found.to))
    }

    /// The routes that match a host, in the order in which they are tried.
    pub fn in_order(&self, host: &str) -> impl Iterator<Item = &RouteMatcher<T>> {
        let parent = host.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, parent)| parent);
        let exact = self.exact.get(host);
        let wildcard = parent.and_then(|parent| self.wildcard.get(parent));
        exact.into_iter().chain(wildcard).chain([&self.any]).flatten()
    }

    /// All routes, those of one host next to one another.
    pub fn all(&self) -> impl Iterator<Item = &RouteMatcher<T>> {
        let exact = self.exact.iter().collect::<BTreeMap<_, _>>();
        let wildcard = self.wildcard.iter().collect::<BTreeMap<_, _>>();
        exact.into_values().chain(wildcard.into_values()).chain([&self.any]).flatten()
    }
}

/// What of a route does not match a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteMiss<'a> {
    Host,
    Path,
    /// The first condition that does not hold.
    Condition(&'a RouteCondition),
}

impl<T> RouteMatcher<T> {
    /// Why it does not match a request of its host; `None` if it does.
    pub fn miss(&self, request: &RouteRequest<'_>) -> Option<RouteMiss<'_>> {
        let is_path = match &self.path {
            PathMatch::Exact(path) => path == request.path,
            PathMatch::Prefix(prefix) => covers(prefix, request.path),
        };
        if !is_path {
            return Some(RouteMiss::Path);
        }
        let mut conditions = self.conditions.iter();
        conditions.find(|condition| !holds(condition, request.attributes)).map(RouteMiss::Condition)
    }
}

impl Router<usize> {
    /// The router of a listener, to the indexes of the table's routes.
    ///
    /// # Errors
    /// If two of them are the same, or one is never taken.
    pub fn of_listener(table: &RoutingTable, listener: &ListenerId) -> Result<Self, BadRoute> {
        Self::new(matchers_of(table, listener))
    }
}

/// The routes of a listener, by host pattern, with their indexes in the table.
pub fn matchers_of<'a>(
    table: &'a RoutingTable,
    listener: &'a ListenerId,
) -> impl Iterator<Item = RouteMatcher<usize>> + 'a {
    let routes = table.routes.iter().enumerate().filter(|(_, route)| route.listeners.contains(listener));
    routes.flat_map(|(to, route)| {
        route.hosts.iter().map(move |host| RouteMatcher {
            host: host.clone(),
            path: route.path.clone(),
            conditions: route.conditions.clone(),
            to,
        })
    })
}

/// Routes of one host are tried from the smallest to the largest: the longest path first, an exact one before a prefix, then
/// the most conditions. The rest only makes the order total.
fn precedence<T>(matcher: &RouteMatcher<T>) -> impl Ord + '_ {
    let RouteMatcher { path, conditions, .. } = matcher;
    (Reverse(path.as_str().len()), path, Reverse(conditions.len()), conditions)
}

/// As [`Route::claim`](crate::model::Route::claim) names it.
impl<T> fmt::Display for RouteMatcher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = if matches!(self.path, PathMatch::Exact(_)) { " exact" } else { "" };
        write!(f, "{}{}{exact}", self.host, self.path.as_str())?;
        self.conditions.iter().try_for_each(|condition| write!(f, " {condition}"))
    }
}

/// Host and path of a route, for messages.
fn name_of<T>(matcher: &RouteMatcher<T>) -> String {
    format!("{}{}", matcher.host, matcher.path.as_str())
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
    let checked = matcher.conditions.iter().try_for_each(check_condition);
    checked.map_err(|problem| BadRoute::Condition { route: name_of(matcher), problem })
}

fn covers(prefix: &str, path: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => rest.is_empty() || rest.starts_with('/') || prefix == "/",
        None => false,
    }
}

/// What is left of a path without a prefix that covers it.
pub fn strip<'a>(prefix: &str, path: &'a str) -> &'a str {
    match path.strip_prefix(prefix) {
        _ if prefix == "/" => path,
        Some(rest) if rest.starts_with('/') => rest,
        Some("") => "/",
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::condition::samples::{cookie, header, method, query};
    use super::*;
    use crate::model::arbitrary::{condition, host_pattern, path_match};

    /// Where a request leads that has these attributes.
    fn find_with<T: Copy>(router: &Router<T>, host: &str, path: &str, has: &[RouteCondition]) -> Option<T> {
        let attributes: BTreeSet<RouteCondition> = has.iter().cloned().collect();
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
            matcher("shop", exact("/api/"), &[], 7),
            matcher("shop", exact("/api/users/%2F"), &[], 8),
            matcher("*.shop", exact("/api"), &[], 9),
        ])
        .unwrap()
    }

    #[test]
    fn exact_host_first_then_the_longest_prefix_of_whole_segments() {
        let rows = [
            ("shop", "/", Some(1)),
            ("shop", "/apis", Some(1)),
            ("shop", "/api", Some(2)),
            ("shop", "/api/", Some(7)),
            ("shop", "/api/x", Some(2)),
            ("shop", "/api/users", Some(3)),
            ("shop", "/api/users/%2F", Some(8)),
            ("shop", "/api/users/%2F/", Some(3)),
            ("a.shop", "/api", Some(9)),
            ("a.shop", "/api/x", Some(6)),
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
            matcher("*", prefix("/"), &[query("v", "2"), method("GET"), header("x-beta", "1")], 5),
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
            ("/", vec![query("v", "2"), header("x-beta", "1")], 5),
            ("/", vec![query("v", "1"), header("x-beta", "1")], 2),
        ];
        for (path, has, wanted) in rows {
            assert_eq!(find_with(&router, "h", path, &has), Some(wanted), "{path} {has:?}");
        }
    }

    #[test]
    fn strip_removes_prefix_of_path() {
        for (prefix, path, wanted) in [
            ("/api", "/api", "/"),
            ("/api", "/api/x", "/x"),
            ("/api", "/api/", "/"),
            ("/", "/x/y", "/x/y"),
            ("/", "//x", "//x"),
        ] {
            assert_eq!(strip(prefix, path), wanted, "{prefix} {path}");
        }
    }

    #[test]
    fn router_rejects_indistinguishable_routes() {
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
        for path in ["", "a", "/a/", "/a/./b", "/../a", "/%41", "/a?b", "/%2f"] {
            assert_eq!(build(&[("*", prefix(path), &[])]), Some(BadRoute::Path(path.into())), "{path}");
        }
        for host in ["H", "h:80", "", "a b"] {
            assert_eq!(build(&[(host, prefix("/"), &[])]), Some(BadRoute::Host(host.into())), "{host}");
        }
    }

    proptest! {
        #[test]
        fn normalised_path_routes_like_forwarded_path(path in "/([a-z/.;%]|%2e|%41|%2f|%25|api|users|\\.\\.){0,12}") {
            if let Ok(forwarded) = normalise(&path) {
                let again = normalise(&forwarded);
                prop_assert_eq!(again.as_deref(), Ok(forwarded.as_ref()));
                let router = router();
                for host in ["shop", "a.shop", "other"] {
                    let again = again.as_deref().unwrap();
                    prop_assert_eq!(find(&router, host, &forwarded), find(&router, host, again), "{}", host);
                }
                prop_assert!(!forwarded.split('/').any(|s| s == "." || s == ".."));
            }
        }

        #[test]
        fn stripped_path_is_what_follows_the_prefix(path in "/([a-z;]|%2F|api){0,4}(/([a-z;]|%2F|users){0,3}){0,3}") {
            for prefix in ["/", "/api", "/api/users"] {
                let stripped = strip(prefix, &path);
                prop_assert!(stripped.starts_with('/'));
                let is_whole = path == prefix || prefix == "/";
                match covers(prefix, &path) {
                    true if is_whole => prop_assert_eq!(stripped, if prefix == "/" { path.as_str() } else { "/" }),
                    true => prop_assert_eq!(format!("{prefix}{stripped}"), path.as_str()),
                    false => prop_assert_eq!(stripped, path.as_str()),
                }
                let normal = normalise(stripped);
                prop_assert_eq!(normal.as_deref(), Ok(stripped));
            }
        }

        #[test]
        fn router_finds_most_specific_route_in_any_order(
            routes in prop::collection::btree_set(
                (host_pattern(), path_match(), prop::collection::btree_set(condition(), 0..3)), 0..12),
            host in prop::sample::select(vec!["x", "a.x", "b.x", "a.b.x", "c.b.x", "y", "a.a.b.x"]),
            path in prop::sample::select(vec!["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/abc"]),
            has in prop::collection::btree_set(condition(), 0..4),
            reverse: bool,
        ) {
            let request = RouteRequest { host, path, attributes: &has };
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
            let taking = matchers.iter().filter(|m| takes_host(&m.host) && m.miss(&request).is_none());
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
