//! What a route does to a request besides choosing its endpoint, in the form that requests use. Routes that do nothing have no
//! gate, and their requests ask for none. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bytes::Bytes;
use http::StatusCode;
use http::header::{
    AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, InvalidHeaderName, InvalidHeaderValue,
};
use ipnet::IpNet;

use crate::model::{
    BasicAuth, ForwardAction, HeaderEdits, MemorySize, PathMatch, RedirectAction, RouteAction, TableRoute,
};

/// What a route checks and changes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RouteGate {
    pub(super) maintenance: bool,
    allow: Vec<IpNet>,
    pub(super) auth: Option<GateAuth>,
    pub(super) max_body: Option<MemorySize>,
    request: CompiledEdits,
    response: CompiledEdits,
    pub(super) redirect: Option<GateRedirect>,
    /// The prefix that is taken off the path.
    stripped: Option<HeaderValue>,
    pages: Vec<ErrorPage>,
}

/// The body of an own answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ErrorPage {
    status: StatusCode,
    pub(super) body: Bytes,
    pub(super) content_type: HeaderValue,
}

/// Who may pass.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GateAuth {
    /// The value of `WWW-Authenticate`.
    pub(super) challenge: HeaderValue,
    /// Hashes by user.
    pub(super) users: BTreeMap<String, String>,
    forward: bool,
}

/// Where a request is sent instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GateRedirect {
    pub(super) action: RedirectAction,
    pub(super) path: PathMatch,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct CompiledEdits {
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, HeaderValue)>,
    add: Vec<(HeaderName, HeaderValue)>,
}

/// A header that no message can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a route changes the header `{0}`, whose name or value no message can have")]
pub(super) struct BadEdit(String);

const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

impl RouteGate {
    /// The gate of a route; `None` if it has none.
    pub(super) fn new(route: &TableRoute) -> Result<Option<Self>, BadEdit> {
        let filters = &route.filters;
        let redirect = match &route.action {
            RouteAction::Redirect(action) => {
                Some(GateRedirect { action: action.clone(), path: route.path.clone() })
            }
            RouteAction::Forward(_) => None,
        };
        let gate = Self {
            maintenance: filters.maintenance,
            allow: filters.allow.clone(),
            auth: filters.basic_auth.as_ref().map(GateAuth::new).transpose()?,
            max_body: filters.max_body_size,
            request: CompiledEdits::new(&filters.request_headers)?,
            response: CompiledEdits::new(&filters.response_headers)?,
            redirect,
            stripped: stripped(route)?,
            pages: filters
                .error_pages
                .iter()
                .filter_map(|(status, text)| ErrorPage::new(status, text))
                .collect(),
        };
        let is_open = gate == Self::open();
        Ok((!is_open).then_some(gate))
    }

    fn open() -> Self {
        Self {
            maintenance: false,
            allow: Vec::new(),
            auth: None,
            max_body: None,
            request: CompiledEdits::default(),
            response: CompiledEdits::default(),
            redirect: None,
            stripped: None,
            pages: Vec::new(),
        }
    }

    /// Whether a request must be checked before an endpoint is picked for it, or the gate be known to it for its pages.
    pub(super) fn checks(&self) -> bool {
        let Self { maintenance, allow, auth, max_body, redirect, pages, .. } = self;
        let lets_all_pass = allow.is_empty() && auth.is_none() && max_body.is_none() && redirect.is_none();
        *maintenance || !lets_all_pass || !pages.is_empty()
    }

    /// The page of an own answer with this status.
    pub(super) fn page(&self, status: StatusCode) -> Option<&ErrorPage> {
        self.pages.iter().find(|page| page.status == status)
    }

    /// Whether this client may send requests. One whose address is not known is in no range.
    pub(super) fn allows(&self, client: Option<IpAddr>) -> bool {
        let is_in = |client: IpAddr| self.allow.iter().any(|range| range.contains(&client));
        self.allow.is_empty() || client.is_some_and(is_in)
    }

    /// Turns the headers of a request into those of the service, and returns those that it had: an attempt that fails is made
    /// again with them, since the route's conditions are on what the client sent. `None` if nothing changes.
    pub(super) fn edit_request(&self, headers: &mut HeaderMap) -> Option<HeaderMap> {
        let hides_password = self.auth.as_ref().is_some_and(|auth| !auth.forward);
        if !hides_password && self.stripped.is_none() && self.request == CompiledEdits::default() {
            return None;
        }
        let before = headers.clone();
        if hides_password {
            headers.remove(AUTHORIZATION);
        }
        if let Some(prefix) = &self.stripped {
            let joined = headers.get(FORWARDED_PREFIX).and_then(|outer| joined(outer, prefix));
            headers.insert(FORWARDED_PREFIX, joined.unwrap_or_else(|| prefix.clone()));
        }
        self.request.strip_lookalikes(headers);
        self.request.apply(headers);
        Some(before)
    }

    /// Removes from the trailers of a request what the route removes or sets: a service may merge them into the headers.
    pub(super) fn strip_request_trailers(&self, trailers: &mut HeaderMap) {
        self.request.strip_lookalikes(trailers);
        self.request.strip(trailers);
    }

    /// The same for what comes before and after the head of a response: interim heads and trailers.
    pub(super) fn strip_response(&self, headers: &mut HeaderMap) {
        self.response.strip(headers);
    }

    /// Changes the headers of a response.
    pub(super) fn edit_response(&self, headers: &mut HeaderMap) {
        self.response.apply(headers);
    }
}

/// A root prefix takes nothing off.
fn stripped(route: &TableRoute) -> Result<Option<HeaderValue>, BadEdit> {
    match &route.action {
        RouteAction::Forward(ForwardAction { strip_prefix: true, .. }) if route.path.as_str() != "/" => {
            let path = route.path.as_str();
            HeaderValue::from_str(path).map(Some).map_err(|_| BadEdit(FORWARDED_PREFIX.to_string()))
        }
        _ => Ok(None),
    }
}

/// The prefix that a trusted proxy took off before, with our own below it.
fn joined(outer: &HeaderValue, own: &HeaderValue) -> Option<HeaderValue> {
    let outer = outer.as_bytes().strip_suffix(b"/").unwrap_or(outer.as_bytes());
    HeaderValue::from_bytes(&[outer, own.as_bytes()].concat()).ok()
}

impl ErrorPage {
    /// `None` for what is no status; no table has one.
    fn new(status: &str, text: &str) -> Option<Self> {
        let is_html = text.trim_start().starts_with('<');
        let kind = if is_html { "text/html; charset=utf-8" } else { "text/plain; charset=utf-8" };
        let status = status.parse().ok()?;
        Some(Self { status, body: text.to_owned().into(), content_type: HeaderValue::from_static(kind) })
    }
}

impl GateAuth {
    fn new(auth: &BasicAuth) -> Result<Self, BadEdit> {
        let BasicAuth { realm, users, forward } = auth;
        let challenge = HeaderValue::from_str(&format!("Basic realm=\"{realm}\", charset=\"UTF-8\""))
            .map_err(|_| BadEdit("www-authenticate".to_owned()))?;
        Ok(Self { challenge, users: users.clone(), forward: *forward })
    }
}

impl CompiledEdits {
    fn new(edits: &HeaderEdits) -> Result<Self, BadEdit> {
        let HeaderEdits { remove, set, add } = edits;
        let line = |(name, value): (&String, &String)| {
            let bad = || BadEdit(name.clone());
            let name = name.parse().map_err(|_: InvalidHeaderName| bad())?;
            let value = value.parse().map_err(|_: InvalidHeaderValue| bad())?;
            Ok((name, value))
        };
        let name = |name: &String| name.parse().map_err(|_: InvalidHeaderName| BadEdit(name.clone()));
        Ok(Self {
            remove: remove.iter().map(name).collect::<Result<_, _>>()?,
            set: set.iter().map(line).collect::<Result<_, _>>()?,
            add: add.iter().map(line).collect::<Result<_, _>>()?,
        })
    }

    /// The names that no one but the route decides about.
    fn decided(&self) -> impl Iterator<Item = &HeaderName> {
        self.remove.iter().chain(self.set.iter().map(|(name, _)| name))
    }

    fn strip(&self, headers: &mut HeaderMap) {
        for name in self.decided() {
            headers.remove(name);
        }
    }

    /// Removes names that CGI and WSGI servers read as one that the route decides about: to them `_` is `-`.
    fn strip_lookalikes(&self, headers: &mut HeaderMap) {
        let is_decided = |name: &HeaderName| self.decided().any(|decided| reads_like(name, decided));
        let with_underscore = headers.keys().filter(|name| name.as_str().contains('_'));
        let lookalikes: Vec<HeaderName> = with_underscore.filter(|name| is_decided(name)).cloned().collect();
        for name in lookalikes {
            headers.remove(name);
        }
    }

    fn apply(&self, headers: &mut HeaderMap) {
        self.strip(headers);
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name, value.clone());
        }
    }
}

/// Whether two names are the same where `_` counts as `-`.
fn reads_like(name: &HeaderName, other: &HeaderName) -> bool {
    let bytes = |name: &HeaderName| name.as_str().replace('_', "-");
    bytes(name) == bytes(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HostPattern, ListenerId, Millis, RouteFilters, RouteHttps, RouteWaits};

    fn route(strip_prefix: bool, filters: serde_json::Value) -> TableRoute {
        let waits = RouteWaits::default();
        TableRoute {
            listeners: [ListenerId::public_http()].into(),
            hosts: [HostPattern::Any].into(),
            path: PathMatch::Prefix("/api".to_owned()),
            conditions: [].into(),
            action: RouteAction::Forward(ForwardAction {
                backends: Vec::new(),
                timeout: Millis(1),
                strip_prefix,
                waits,
                https: RouteHttps::default(),
            }),
            filters: serde_json::from_value::<RouteFilters>(filters).unwrap(),
        }
    }

    fn gate(strip_prefix: bool, filters: serde_json::Value) -> RouteGate {
        RouteGate::new(&route(strip_prefix, filters)).unwrap().unwrap()
    }

    fn headers(rows: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in rows {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn plain_route_has_no_gate() {
        assert_eq!(RouteGate::new(&route(false, serde_json::json!({}))), Ok(None));
        let only_edits = gate(false, serde_json::json!({"responseHeaders": {"remove": ["server"]}}));
        assert!(!only_edits.checks());
        assert_eq!(only_edits.edit_request(&mut HeaderMap::new()), None, "nothing changes");
        let bad = route(false, serde_json::json!({"requestHeaders": {"set": {"a b": "1"}}}));
        assert_eq!(RouteGate::new(&bad), Err(BadEdit("a b".to_owned())));
    }

    #[test]
    fn name_with_an_underscore_does_not_pass_by_an_edit() {
        let edits = serde_json::json!({"requestHeaders": {"remove": ["X-User"], "set": {"X-Role": "guest"}}});
        let gate = gate(false, edits);
        let mut map = headers(&[("x_user", "a"), ("x_role", "admin"), ("x_other", "b")]);
        gate.edit_request(&mut map);
        assert_eq!(map, headers(&[("x_other", "b"), ("x-role", "guest")]));
        let mut trailers = headers(&[("x_role", "admin"), ("x-sum", "1")]);
        gate.strip_request_trailers(&mut trailers);
        assert_eq!(trailers, headers(&[("x-sum", "1")]));
    }

    #[test]
    fn edits_remove_then_set_then_add() {
        let edits = serde_json::json!({"requestHeaders": {
            "remove": ["X-Gone", "x-again"], "set": {"X-Env": "prod"}, "add": {"x-again": "2", "accept": "b"},
        }});
        let sent =
            headers(&[("x-gone", "1"), ("x-env", "a"), ("x-env", "b"), ("x-again", "1"), ("accept", "a")]);
        let mut map = sent.clone();
        let before = gate(false, edits).edit_request(&mut map);
        assert_eq!(before, Some(sent));
        assert_eq!(map, headers(&[("x-env", "prod"), ("x-again", "2"), ("accept", "a"), ("accept", "b")]));
    }

    #[test]
    fn removed_and_set_names_are_dropped_from_trailers_and_interim_heads() {
        let edits =
            serde_json::json!({"remove": ["X-Gone"], "set": {"x-env": "prod"}, "add": {"x-more": "2"}});
        let gate =
            gate(false, serde_json::json!({"requestHeaders": edits, "responseHeaders": {"remove": ["a"]}}));
        let sent = headers(&[("x-gone", "1"), ("x-env", "a"), ("x-env", "b"), ("x-more", "1"), ("a", "1")]);
        let (mut trailers, mut interim) = (sent.clone(), sent.clone());
        gate.strip_request_trailers(&mut trailers);
        assert_eq!(trailers, headers(&[("x-more", "1"), ("a", "1")]));
        gate.strip_response(&mut interim);
        assert_eq!(interim.len(), sent.len() - 1);
        assert!(!interim.contains_key("a"));
    }

    #[test]
    fn stripped_prefix_is_named_below_that_of_a_trusted_proxy() {
        let rows: [(&[_], &str); 3] = [
            (&[], "/api"),
            (&[("x-forwarded-prefix", "/outer")], "/outer/api"),
            (&[("x-forwarded-prefix", "/outer/")], "/outer/api"),
        ];
        for (sent, wanted) in rows {
            let mut map = headers(sent);
            gate(true, serde_json::json!({})).edit_request(&mut map);
            assert_eq!(map, headers(&[("x-forwarded-prefix", wanted)]), "{sent:?}");
        }
    }

    #[test]
    fn password_is_hidden_from_the_service_unless_it_is_to_be_forwarded() {
        for forward in [false, true] {
            let auth = serde_json::json!({"basicAuth": {"users": {"a": "h"}, "forward": forward}});
            let gate = gate(false, auth);
            let mut map = headers(&[("authorization", "Basic x")]);
            gate.edit_request(&mut map);
            assert_eq!((map.contains_key(AUTHORIZATION), gate.checks()), (forward, true));
        }
    }

    #[test]
    fn pages_are_found_by_status_and_html_is_known_by_its_first_character() {
        let pages = serde_json::json!({"errorPages": {"503": " <h1>x</h1>", "502": "gone"}});
        let gate = gate(false, pages);
        assert!(gate.checks() && gate.page(StatusCode::NOT_FOUND).is_none());
        let kind = |status| gate.page(status).map(|page| page.content_type.clone());
        assert_eq!(kind(StatusCode::SERVICE_UNAVAILABLE).unwrap(), "text/html; charset=utf-8");
        assert_eq!(kind(StatusCode::BAD_GATEWAY).unwrap(), "text/plain; charset=utf-8");
    }

    #[test]
    fn clients_in_any_range_are_allowed() {
        let gate = gate(false, serde_json::json!({"allow": ["10.0.0.0/8", "fd00::/8"]}));
        for (client, allowed) in [("10.1.2.3", true), ("11.0.0.1", false), ("fd00::7", true), ("::1", false)]
        {
            assert_eq!(gate.allows(client.parse().ok()), allowed, "{client}");
        }
        assert!(!gate.allows(None), "an address that is not known");
    }
}
