//! The table of `ctl get routes`: routes, and TCP ports of the node; those that do not work first. Pure.

use std::collections::BTreeMap;

use coxswain::api::types::ServiceObject;
use coxswain::model::{RedirectAction, Route, TcpListen, sanitize};

use super::listing::widen;
use super::table::{MARK, TextTable};

/// A way in to a service, as a row of `ctl get routes`.
struct WayIn<'a> {
    claim: String,
    service: &'a ServiceObject,
    target: String,
    timeout: String,
    strips: &'static str,
    /// What it checks and changes.
    filters: String,
    /// Why its requests are not served; empty if they are.
    problem: String,
}

/// Routes and listened TCP ports that the services declare: those with a problem, then all others, by name.
pub(crate) fn routes(items: &[ServiceObject], wide: bool) -> TextTable {
    let owners = owners(items);
    let mut ways: Vec<WayIn<'_>> = items.iter().flat_map(|service| ways_in(service, &owners)).collect();
    ways.sort_by(|a, b| (a.problem.is_empty(), &a.claim).cmp(&(b.problem.is_empty(), &b.claim)));
    let row = |way: &WayIn<'_>| {
        let mark = if way.problem.is_empty() { "" } else { MARK };
        vec![
            sanitize(&way.claim),
            mark.to_owned(),
            way.service.metadata.name.to_string(),
            way.target.clone(),
            format!("{}/{}", way.service.status.available, way.service.status.wanted),
        ]
    };
    let mut table = TextTable {
        header: vec!["ROUTE", "", "SERVICE", "TARGET", "READY"],
        rows: ways.iter().map(row).collect(),
    };
    widen(&mut table, wide, "TIMEOUT", ways.iter().map(|way| way.timeout.clone()));
    widen(&mut table, wide, "STRIP PREFIX", ways.iter().map(|way| way.strips.to_owned()));
    widen(&mut table, wide, "FILTERS", ways.iter().map(|way| way.filters.clone()));
    widen(&mut table, true, "", ways.iter().map(|way| way.problem.clone()));
    table
}

/// The first service by name of each claim: that one is served, should the store ever hold two.
fn owners(items: &[ServiceObject]) -> BTreeMap<String, &str> {
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    for service in items {
        let name = service.metadata.name.as_str();
        for route in &service.spec.routes {
            let owner = owners.entry(route.claim()).or_insert(name);
            *owner = name.min(owner);
        }
    }
    owners
}

fn ways_in<'a>(
    service: &'a ServiceObject,
    owners: &'a BTreeMap<String, &str>,
) -> impl Iterator<Item = WayIn<'a>> {
    let routes = service.spec.routes.iter().map(move |route| of_route(service, route, owners));
    let listens = service.spec.listens().map(move |(listen, port)| WayIn {
        claim: TcpListen::to_string(listen),
        service,
        target: format!("{}:{}", port.name, port.port),
        timeout: "-".to_owned(),
        strips: "-",
        filters: "-".to_owned(),
        problem: unavailable(service).unwrap_or_default(),
    });
    routes.chain(listens)
}

fn of_route<'a>(service: &'a ServiceObject, route: &Route, owners: &BTreeMap<String, &str>) -> WayIn<'a> {
    let claim = route.claim();
    let port = service.spec.port(route.port.as_deref());
    let owner = owners.get(&claim).copied().filter(|owner| *owner != service.metadata.name.as_str());
    let problem = match (owner, &route.redirect, port) {
        (Some(owner), ..) => Some(format!("never taken: service {owner} has the same route")),
        _ if route.filters.maintenance => Some("in maintenance".to_owned()),
        (None, Some(_), _) => None,
        (None, None, None) => {
            Some(format!("the service has no port {}", route.port.as_deref().unwrap_or_default()))
        }
        (None, None, Some(_)) => unavailable(service),
    };
    let target = match (&route.redirect, port) {
        (Some(redirect), _) => redirect_text(redirect),
        (None, Some(port)) => format!("{}:{}", port.name, port.port),
        (None, None) => "-".to_owned(),
    };
    let timeout = if route.redirect.is_some() { "-".to_owned() } else { route.timeout.to_string() };
    WayIn {
        claim,
        service,
        target,
        timeout,
        strips: if route.strip_prefix { "yes" } else { "no" },
        filters: filters(route),
        problem: problem.unwrap_or_default(),
    }
}

/// Why no replica answers.
fn unavailable(service: &ServiceObject) -> Option<String> {
    let status = &service.status;
    match (status.available, status.wanted) {
        (0, 0) => Some("scaled to 0".to_owned()),
        (0, _) => Some("no ready replica".to_owned()),
        _ => None,
    }
}

/// `308 https://shop.acme.dev/new`, with `…` for what the request decides.
fn redirect_text(redirect: &RedirectAction) -> String {
    let RedirectAction { status, scheme, host, path } = redirect;
    let scheme = scheme.as_ref().map(|scheme| format!("{scheme}://")).unwrap_or_default();
    let host = host.as_deref().unwrap_or_default();
    let path = path.as_deref().unwrap_or("/…");
    format!("{status} {scheme}{host}{path}")
}

/// The keys of the route that check or change requests.
fn filters(route: &Route) -> String {
    let filters = &route.filters;
    let keys = [
        ("allow", !filters.allow.is_empty()),
        ("basicAuth", filters.basic_auth.is_some()),
        ("maxBodySize", filters.max_body_size.is_some()),
        ("errorPages", !filters.error_pages.is_empty()),
        ("requestHeaders", !filters.request_headers.is_empty()),
        ("responseHeaders", !filters.response_headers.is_empty()),
    ];
    let set: Vec<&str> = keys.into_iter().filter(|(_, is_set)| *is_set).map(|(key, _)| key).collect();
    super::listing::dash(set.join(","))
}
