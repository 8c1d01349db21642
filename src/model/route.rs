//! A route of a service. Pure.

use serde::{Deserialize, Serialize};

use std::collections::BTreeSet;

use super::{
    HostPattern, Hsts, Millis, PathMatch, RedirectAction, RouteCondition, RouteFilters, RouteMatch, RouteTls,
};

/// A host and path that lead to the service, or elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// Host name in lower case, also with `*` as its first label; `None` means any host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Path prefix, matched on whole segments; starts with `/`.
    #[serde(default = "root_path")]
    pub path: String,
    /// Whether only the path itself matches.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exact: bool,
    /// Further conditions on a request.
    #[serde(default, rename = "match", skip_serializing_if = "RouteMatch::is_empty")]
    pub matches: RouteMatch,
    /// Name of the port; without it the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// From the request's last byte to the response's headers.
    #[serde(default = "default_route_timeout")]
    pub timeout: Millis,
    /// Whether the prefix is taken off before the request is forwarded.
    #[serde(default)]
    pub strip_prefix: bool,
    /// How long a request waits for a replica while none is ready and some are wanted; 0: not at all.
    #[serde(default = "default_hold")]
    pub hold: Millis,
    /// The longest pause of a client that reads a response.
    #[serde(default = "default_idle_timeout")]
    pub idle_timeout: Millis,
    /// The longest pause of a client that sends a body.
    #[serde(default = "default_upload_timeout")]
    pub upload_timeout: Millis,
    /// Answers with another address instead of forwarding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<RedirectAction>,
    /// Who may send requests, how large, and what changes on the way.
    #[serde(flatten)]
    pub filters: RouteFilters,
    /// HTTPS for the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<RouteTls>,
    /// Whether a request without TLS is redirected, if there is `tls`.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub https_redirect: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hsts: Option<Hsts>,
}

const fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
const fn is_true(flag: &bool) -> bool {
    *flag
}

fn root_path() -> String {
    "/".to_owned()
}

const fn default_route_timeout() -> Millis {
    Millis::secs(30)
}

/// A replica that replaces one that had to stop first is there within seconds, after a restart of Docker within half a minute.
const fn default_hold() -> Millis {
    Millis::secs(30)
}

/// A player reads nothing while a film is paused.
const fn default_idle_timeout() -> Millis {
    Millis::secs(3600)
}

/// No program pauses an upload; a phone in a tunnel does.
const fn default_upload_timeout() -> Millis {
    Millis::secs(60)
}

impl Route {
    /// The longest `hold`: clients and the proxies before them wait no longer.
    pub const HOLD_MAX: Millis = Millis::secs(300);

    /// Any request of this host (or of any) under this path, with default settings.
    pub fn to(host: Option<String>, path: impl Into<String>) -> Self {
        Self {
            host,
            path: path.into(),
            exact: false,
            matches: RouteMatch::default(),
            port: None,
            timeout: default_route_timeout(),
            strip_prefix: false,
            hold: default_hold(),
            idle_timeout: default_idle_timeout(),
            upload_timeout: default_upload_timeout(),
            redirect: None,
            filters: RouteFilters::default(),
            tls: None,
            https_redirect: true,
            hsts: None,
        }
    }

    /// The hosts that it matches; `None` for a host that is no pattern, which checks refuse.
    pub fn hosts(&self) -> Option<HostPattern> {
        self.host.as_deref().map_or(Some(HostPattern::Any), |host| host.parse().ok())
    }

    /// The paths that it matches.
    pub fn path_match(&self) -> PathMatch {
        let path = self.path.clone();
        if self.exact { PathMatch::Exact(path) } else { PathMatch::Prefix(path) }
    }

    /// `host/path`, or `host/path exact`; `*` is any host. What two routes share that only their conditions tell apart.
    pub fn place(&self) -> String {
        let exact = if self.exact { " exact" } else { "" };
        format!("{}{}{exact}", self.host.as_deref().unwrap_or("*"), self.path)
    }

    /// Its place with its conditions: the claim key's text and what messages show. Paths have no spaces, so different routes
    /// have different claims.
    pub fn claim(&self) -> String {
        self.matches.conditions().iter().fold(self.place(), |claim, condition| format!("{claim} {condition}"))
    }

    /// Whether a request can match both, and nothing says which of them is more specific: they have the same place, equally
    /// many conditions, and no condition of one excludes one of the other.
    pub fn is_ambiguous_with(&self, other: &Self) -> bool {
        let conditions = self.matches.conditions();
        let others = other.matches.conditions();
        let is_apart = |one: &RouteCondition, others: &BTreeSet<RouteCondition>| {
            others.iter().any(|other| one.excludes(other))
        };
        self.place() == other.place()
            && conditions.len() == others.len()
            && !conditions.iter().any(|condition| is_apart(condition, &others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(json: serde_json::Value) -> Route {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn route_of_an_older_version_decodes_and_keeps_its_claim() {
        let old = route(serde_json::json!({"host": "shop.example", "path": "/a", "stripPrefix": true}));
        assert_eq!(old, Route { strip_prefix: true, ..Route::to(Some("shop.example".into()), "/a") });
        assert_eq!((old.claim().as_str(), Route::to(None, "/").claim().as_str()), ("shop.example/a", "*/"));
        let json = serde_json::to_value(&old).unwrap();
        let added = ["exact", "match", "redirect", "allow", "basicAuth", "requestHeaders", "maxBodySize"];
        assert!(added.iter().all(|key| json.get(key).is_none()), "{json}");
    }

    #[test]
    fn claim_names_exactness_and_conditions() {
        let route = route(serde_json::json!({
            "host": "*.shop.example", "path": "/a", "exact": true,
            "match": {"method": "POST", "header": {"X-Beta": "1"}},
        }));
        assert_eq!(route.claim(), "*.shop.example/a exact method=POST header.x-beta=\"1\"");
        assert_eq!(route.hosts(), Some(HostPattern::Wildcard("shop.example".into())));
        assert_eq!(route.path_match(), PathMatch::Exact("/a".into()));
    }

    #[test]
    fn routes_are_ambiguous_where_neither_is_more_specific_and_both_can_match() {
        let with = |path: &str, exact: bool, block: serde_json::Value| {
            route(serde_json::json!({"path": path, "exact": exact, "match": block}))
        };
        let a = || serde_json::json!({"header": {"a": "1"}});
        let rows = [
            (with("/", false, serde_json::json!({})), with("/", false, serde_json::json!({})), true),
            (with("/", false, a()), with("/", false, a()), true),
            (with("/", false, a()), with("/", false, serde_json::json!({"header": {"a": "2"}})), false),
            (with("/", false, a()), with("/", false, serde_json::json!({"cookie": {"b": "2"}})), true),
            (with("/", false, a()), with("/", false, serde_json::json!({})), false),
            (with("/", false, a()), with("/x", false, a()), false),
            (with("/x", true, a()), with("/x", false, a()), false),
            (
                with("/", false, serde_json::json!({"method": "GET", "header": {"a": "1"}})),
                with("/", false, serde_json::json!({"method": "POST", "cookie": {"b": "1"}})),
                false,
            ),
        ];
        for (one, other, ambiguous) in rows {
            assert_eq!(one.is_ambiguous_with(&other), ambiguous, "{} {}", one.claim(), other.claim());
            assert_eq!(other.is_ambiguous_with(&one), ambiguous);
        }
    }
}
