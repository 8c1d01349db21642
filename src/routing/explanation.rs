//! Why a request takes the route that it takes. Pure.

use super::router::{RouteMatcher, RouteMiss, RouteRequest, Router};

/// What becomes of a route when a request is routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteVerdict<'a> {
    /// It takes the request.
    Taken,
    /// It matches, and a more specific one takes the request.
    LessSpecific,
    /// It does not match.
    Missed(RouteMiss<'a>),
}

/// Every route with its verdict: those of the request's host in the order in which they are tried, then all others.
pub fn explain<'a, T>(
    router: &'a Router<T>,
    request: &RouteRequest<'_>,
) -> Vec<(&'a RouteMatcher<T>, RouteVerdict<'a>)> {
    let mut is_taken = false;
    let mut explained = Vec::new();
    for matcher in router.in_order(request.host) {
        let verdict = match matcher.miss(request) {
            Some(miss) => RouteVerdict::Missed(miss),
            None if is_taken => RouteVerdict::LessSpecific,
            None => {
                is_taken = true;
                RouteVerdict::Taken
            }
        };
        explained.push((matcher, verdict));
    }
    let is_of_host =
        |matcher: &RouteMatcher<T>| explained.iter().any(|(known, _)| std::ptr::eq(*known, matcher));
    let others: Vec<&RouteMatcher<T>> = router.all().filter(|matcher| !is_of_host(matcher)).collect();
    explained.extend(others.into_iter().map(|matcher| (matcher, RouteVerdict::Missed(RouteMiss::Host))));
    explained
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::condition::samples::{header, query};
    use super::*;
    use crate::model::arbitrary::{condition, host_pattern, path_match};
    use crate::model::{HostPattern, PathMatch, RouteCondition};

    type Place = (HostPattern, PathMatch, BTreeSet<RouteCondition>);

    fn router(places: impl IntoIterator<Item = Place>) -> Router<Place> {
        Router::new(places.into_iter().map(|to| {
            let (host, path, conditions) = to.clone();
            RouteMatcher { host, path, conditions, to }
        }))
        .unwrap()
    }

    #[test]
    fn explanation_names_what_each_route_lacks() {
        let place = |host: &str, path: &str, conditions: &[RouteCondition]| -> Place {
            let conditions = conditions.iter().cloned().collect();
            (host.parse().unwrap(), PathMatch::Prefix(path.to_owned()), conditions)
        };
        let router = router([
            place("*", "/", &[]),
            place("a.x", "/", &[]),
            place("a.x", "/api", &[header("beta", "1"), query("v", "2")]),
            place("a.x", "/api", &[query("v", "2")]),
            place("a.x", "/apis", &[]),
            place("b.x", "/", &[]),
            place("*.x", "/api", &[]),
        ]);
        let has: BTreeSet<RouteCondition> = [query("v", "2")].into();
        let request = RouteRequest { host: "a.x", path: "/api/1", attributes: &has };
        let beta = header("beta", "1");
        let texts: Vec<String> = explain(&router, &request)
            .into_iter()
            .map(|(matcher, verdict)| format!("{}{} {verdict:?}", matcher.host, matcher.path.as_str()))
            .collect();
        let missed = format!("a.x/api {:?}", RouteVerdict::Missed(RouteMiss::Condition(&beta)));
        assert_eq!(
            texts,
            [
                "a.x/apis Missed(Path)",
                missed.as_str(),
                "a.x/api Taken",
                "a.x/ LessSpecific",
                "*.x/api LessSpecific",
                "*/ LessSpecific",
                "b.x/ Missed(Host)",
            ]
        );
    }

    proptest! {
        #[test]
        fn explained_route_is_the_one_that_is_found(
            places in prop::collection::btree_set(
                (host_pattern(), path_match(), prop::collection::btree_set(condition(), 0..3)), 0..12),
            host in prop::sample::select(vec!["x", "a.x", "b.x", "a.b.x", "y", "x."]),
            path in prop::sample::select(vec!["/", "/a", "/a/", "/a/b", "/ab"]),
            has in prop::collection::btree_set(condition(), 0..4),
        ) {
            let count = places.len();
            let router = router(places);
            let request = RouteRequest { host, path, attributes: &has };
            let explained = explain(&router, &request);
            prop_assert_eq!(explained.len(), count);
            let taken: Vec<&Place> =
                explained.iter().filter(|(_, v)| *v == RouteVerdict::Taken).map(|(m, _)| &m.to).collect();
            let found: Vec<&Place> = router.find(&request).into_iter().map(|(_, to)| to).collect();
            prop_assert_eq!(taken, found);
        }
    }
}
