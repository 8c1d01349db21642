//! What the balancer would do with a request, and why. Pure.
//!
//! It asks the functions that the balancer asks, over the table that the balancers get, but for what only a balancer knows:
//! which endpoints it has ejected, and who of several takes a request.

use std::borrow::Cow;

use super::explained_route::{
    ExplainedEndpoint, ExplainedOutcome, ExplainedRequest, ExplainedRoute, RouteExplanation, RouteResult,
};
use crate::model::{
    ForwardAction, ListenerId, ListenerProtocol, RouteAction, RoutingTable, TableRoute, TableService,
    WeightedBackend,
};
use crate::routing::condition::{RequestAttributes, cookie_value, found, holds, query_value};
use crate::routing::explanation::{RouteVerdict, explain};
use crate::routing::normalise::{host_of, normalise};
use crate::routing::redirect::{https_location, location, may_require_https};
use crate::routing::router::{RouteMatcher, RouteMiss, RouteRequest, Router, strip};

impl ExplainedOutcome {
    fn own(status: u16, reason: impl ToString) -> Self {
        Self { status: Some(status), reason: Some(reason.to_string()), ..Self::default() }
    }
}

impl RequestAttributes for ExplainedRequest {
    fn method(&self) -> &str {
        &self.method
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        let mut lines = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        lines.next().map(|(_, value)| value.as_bytes())
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        let lines = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case("cookie"));
        cookie_value(lines.map(|(_, value)| value.as_str()), name)
    }

    fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        query_value(self.query.as_deref()?, name)
    }
}

/// Explains a request by a table; `None` before the first one.
pub(super) fn explain_request(table: Option<&RoutingTable>, request: &ExplainedRequest) -> RouteExplanation {
    let host = if request.authority.is_empty() { Ok(Cow::from("")) } else { host_of(&request.authority) };
    let path = normalise(&request.path);
    let mut explanation = RouteExplanation {
        host: host.as_deref().unwrap_or(&request.authority).to_owned(),
        path: path.as_deref().unwrap_or(&request.path).to_owned(),
        routes: Vec::new(),
        outcome: ExplainedOutcome::default(),
    };
    let refusal = match (&host, &path, request.method.as_str()) {
        (.., "TRACE" | "CONNECT") => {
            Some(ExplainedOutcome::own(405, format!("the balancer refuses {} requests", request.method)))
        }
        (Err(error), ..) | (_, Err(error), _) => Some(ExplainedOutcome::own(400, error)),
        _ => None,
    };
    let Some(table) = table else {
        let reason = "no routing table yet: Docker has not answered since the start of the daemon";
        explanation.outcome = refusal.unwrap_or_else(|| ExplainedOutcome::own(503, reason));
        return explanation;
    };
    let router = match (refusal, Router::of_listener(table, &ListenerId::public_http())) {
        (Some(refusal), _) => {
            explanation.outcome = refusal;
            return explanation;
        }
        (None, Err(error)) => {
            explanation.outcome = ExplainedOutcome::own(503, format!("no balancer takes the table: {error}"));
            return explanation;
        }
        (None, Ok(router)) => router,
    };
    let routed = RouteRequest { host: &explanation.host, path: &explanation.path, attributes: request };
    let explained = explain(&router, &routed);
    let taken = explained.iter().find(|(_, verdict)| *verdict == RouteVerdict::Taken);
    let outcome = match taken {
        Some((matcher, _)) => {
            let route = &table.routes[matcher.to];
            let secure = to_https(table, route, &explanation, request);
            secure.unwrap_or_else(|| outcome(table, route, &explanation.path, request))
        }
        None => ExplainedOutcome::own(404, "no service has a route for this host and path"),
    };
    let routes =
        explained.iter().map(|(matcher, verdict)| explained_route(table, matcher, *verdict, request));
    let routes = routes.collect();
    RouteExplanation { routes, outcome, ..explanation }
}

fn explained_route(
    table: &RoutingTable,
    matcher: &RouteMatcher<usize>,
    verdict: RouteVerdict<'_>,
    request: &ExplainedRequest,
) -> ExplainedRoute {
    let services = match &table.routes[matcher.to].action {
        RouteAction::Forward(forward) => forward.backends.iter().map(|b| b.service.clone()).collect(),
        RouteAction::Redirect(_) => Vec::new(),
    };
    let (result, reason) = match verdict {
        RouteVerdict::Taken => (RouteResult::Taken, String::new()),
        RouteVerdict::LessSpecific => (RouteResult::LessSpecific, "a more specific route matches".to_owned()),
        RouteVerdict::Missed(RouteMiss::Host) => (RouteResult::NotMatched, "another host".to_owned()),
        RouteVerdict::Missed(RouteMiss::Path) => (RouteResult::NotMatched, "another path".to_owned()),
        RouteVerdict::Missed(RouteMiss::Condition(condition)) => {
            let found = match found(condition, request) {
                Some(value) => format!("the request has {value:?}"),
                None => "the request has none".to_owned(),
            };
            (RouteResult::NotMatched, format!("{condition} does not hold: {found}"))
        }
    };
    ExplainedRoute { route: matcher.to_string(), services, result, reason }
}

/// The redirect to HTTPS, which comes before all that the route checks.
fn to_https(
    table: &RoutingTable,
    route: &TableRoute,
    explanation: &RouteExplanation,
    request: &ExplainedRequest,
) -> Option<ExplainedOutcome> {
    let RouteAction::Forward(ForwardAction { https, .. }) = &route.action else { return None };
    if request.https || !https.redirect || !may_require_https(&explanation.path) {
        return None;
    }
    let port = table.listeners.values().find_map(|listener| match listener.protocol {
        ListenerProtocol::Https { port } => Some(port),
        _ => None,
    })?;
    let query = request.query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{}{query}", explanation.path);
    Some(ExplainedOutcome {
        location: Some(https_location(&explanation.host, &target, port)),
        ..ExplainedOutcome::own(308, "the route serves this host over HTTPS")
    })
}

/// What the route does, in the order in which the balancer does it.
fn outcome(
    table: &RoutingTable,
    route: &TableRoute,
    path: &str,
    request: &ExplainedRequest,
) -> ExplainedOutcome {
    let filters = &route.filters;
    let mut notes = Vec::new();
    if !filters.allow.is_empty() {
        let ranges = filters.allow.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match request.client {
            Some(client) if !filters.allow.iter().any(|range| range.contains(&client)) => {
                return ExplainedOutcome::own(403, format!("{client} is not in {ranges}"));
            }
            Some(_) => {}
            None => notes.push(format!("other clients than {ranges} get 403; --from ADDRESS checks one")),
        }
    }
    if filters.maintenance {
        return ExplainedOutcome { notes, ..ExplainedOutcome::own(503, "the route is in maintenance") };
    }
    if let Some(auth) = &filters.basic_auth {
        let users = auth.users.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        if request.header("authorization").is_none() {
            return ExplainedOutcome {
                notes,
                ..ExplainedOutcome::own(401, format!("it needs the password of one of these users: {users}"))
            };
        }
        notes.push(format!(
            "a wrong password of one of these users gets 401, and is not checked here: {users}"
        ));
    }
    if let Some(most) = filters.max_body_size {
        notes.push(format!("a body longer than {most} gets 413"));
    }
    match &route.action {
        RouteAction::Redirect(redirect) => ExplainedOutcome {
            location: Some(location(
                redirect,
                &route.path,
                &request.authority,
                path,
                request.query.as_deref(),
            )),
            notes,
            ..ExplainedOutcome::own(redirect.status, "the route redirects")
        },
        RouteAction::Forward(forward) => forwarded(table, route, forward, path, request, notes),
    }
}

fn forwarded(
    table: &RoutingTable,
    route: &TableRoute,
    forward: &ForwardAction,
    path: &str,
    request: &ExplainedRequest,
    mut notes: Vec<String>,
) -> ExplainedOutcome {
    let Some(WeightedBackend { service: name, port, .. }) = forward.backends.iter().find(|b| b.weight > 0)
    else {
        return ExplainedOutcome::own(503, "the route has no backend");
    };
    let none = TableService::default();
    let service = table.services.get(name).unwrap_or(&none);
    let pinned =
        service.pins.iter().find(|pin| pin.conditions.iter().all(|condition| holds(condition, request)));
    let pinned = pinned.map(|pin| pin.revision);
    if let Some(revision) = pinned {
        notes.push(format!("the request is pinned to revision {revision}"));
    } else if !service.shares.is_empty() {
        let shares = service.shares.iter().map(|(revision, weight)| format!("{revision}: {weight}"));
        notes.push(format!("shares of revisions: {}", shares.collect::<Vec<_>>().join(", ")));
    }
    let takes = |endpoint: &&crate::model::TableEndpoint| match pinned {
        Some(revision) => endpoint.revision == revision,
        None => service.shares.is_empty() || service.shares.get(&endpoint.revision).is_some_and(|w| *w > 0),
    };
    let endpoints: Vec<ExplainedEndpoint> = service
        .endpoints
        .iter()
        .filter(takes)
        .filter_map(|endpoint| {
            let port = endpoint.ports.get(port)?;
            let name = endpoint.replica.as_ref().map_or_else(|| endpoint.id.to_string(), ToString::to_string);
            let address = std::net::SocketAddr::new(endpoint.address, *port).to_string();
            Some(ExplainedEndpoint { name, revision: endpoint.revision.0, address })
        })
        .collect();
    let stripped = if forward.strip_prefix { strip(route.path.as_str(), path) } else { path };
    let is_missing = endpoints.is_empty();
    if is_missing && forward.waits.hold.0 > 0 {
        notes.push(format!("a request waits {} for a replica before it gets that", forward.waits.hold));
    }
    ExplainedOutcome {
        status: is_missing.then_some(503),
        reason: is_missing.then(|| format!("no replica of {name} with port {port} is ready")),
        location: None,
        service: Some(name.clone()),
        port: Some(port.clone()),
        forwarded_path: Some(stripped.to_owned()),
        endpoints,
        notes,
    }
}

#[cfg(test)]
mod tests;
