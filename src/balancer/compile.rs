//! Checks a routing table and compiles it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::counters::CounterRegistry;
use super::route_gate::{BadEdit, RouteGate};
use super::table::{Backend, BackendEndpoint, CompiledTable, ForwardRule, UpstreamProtocol};
use crate::model::{
    EndpointId, HostPattern, Listener, ListenerId, ListenerProtocol, ListenerScope, PathMatch,
    RedirectAction, RevisionNumber, RevisionPin, RouteAction, RouteWaits, RoutingTable, ServiceName,
    TableRoute, TableService, TcpWaits, WeightedBackend,
};
use crate::routing::condition::{BadCondition, check_condition};
use crate::routing::router::{BadRoute, RouteMatcher, Router, matchers_of};

/// Why a table cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadTable {
    #[error("a pin of service `{service}` to revision {revision} pins no request: {problem}")]
    Pin { service: ServiceName, revision: RevisionNumber, problem: BadCondition },
    #[error(transparent)]
    Route(#[from] BadRoute),
    #[error("listener `{0}` is at the gateway of an app, where this balancer does not listen")]
    Gateway(ListenerId),
    #[error("a route is for listener `{0}`, which the table lacks")]
    NoListener(ListenerId),
    #[error("a route is for listener `{0}`, which serves TCP")]
    TcpRoute(ListenerId),
    #[error("listener `{0}` leads to service `{1}`, which the table lacks")]
    ListenerService(ListenerId, ServiceName),
    #[error("a route redirects with status {0}, which is no redirect")]
    Redirect(u16),
    #[error(transparent)]
    Edit(#[from] BadEdit),
    #[error("a route leads to service `{0}`, which the table lacks")]
    NoService(ServiceName),
    #[error("a route has no backend with a weight")]
    NoBackend,
    #[error("endpoint {endpoint} of service `{service}` is listed twice")]
    Twice { service: ServiceName, endpoint: EndpointId },
    #[error("a route of service `{0}` has a timeout of 0")]
    Timeout(ServiceName),
}

/// Checks a table and brings it into serving form. Counters are made only if the table is sound.
pub(super) fn compile(
    table: &RoutingTable,
    counters: &mut CounterRegistry,
) -> Result<CompiledTable, BadTable> {
    for (id, listener) in &table.listeners {
        check_listener(id, listener)?;
    }
    check_endpoints(table)?;
    check_pins(table)?;
    table.routes.iter().try_for_each(|route| check_action(table, route))?;
    let gates = table.routes.iter().map(RouteGate::new).collect::<Result<Vec<_>, _>>()?;
    let tcp = tcp_targets(table)?;
    let routers = routers(table, &tcp)?;
    let of_routes = table.routes.iter().flat_map(backends_of).map(port_of);
    let ports: BTreeSet<ServicePort<'_>> = of_routes.chain(tcp.iter().map(|target| target.to)).collect();
    let index: BTreeMap<ServicePort<'_>, usize> = ports.iter().copied().zip(0..).collect();
    let https_port = table.listeners.values().find_map(|listener| match listener.protocol {
        ListenerProtocol::Https { port } => Some(port),
        _ => None,
    });
    let rules =
        table.routes.iter().zip(gates).map(|(route, gate)| route_rule(route, gate, &index, https_port));
    let of_listeners = tcp.iter().map(|target| ForwardRule {
        backends: vec![(index[&target.to], 1)],
        // of a request's answer, which bytes do not have
        timeout: Duration::MAX,
        strip_prefix: false,
        waits: target.waits,
        gate: None,
        redirect_port: None,
        hsts: None,
    });
    let rules: Vec<ForwardRule> = rules.chain(of_listeners).collect();
    let backends = ports.into_iter().map(|(name, port)| backend(&table.services[name], name, port, counters));
    let redirects = rules.iter().any(|rule| rule.redirect_port.is_some());
    Ok(CompiledTable { routers, rules, backends: backends.collect(), tls: Arc::default(), redirects })
}

/// Each port that routes lead to makes a backend.
type ServicePort<'a> = (&'a ServiceName, &'a str);

fn port_of(backend: &WeightedBackend) -> ServicePort<'_> {
    (&backend.service, &backend.port)
}

/// The backends of a route: a redirect has none.
fn backends_of(route: &TableRoute) -> &[WeightedBackend] {
    match &route.action {
        RouteAction::Forward(forward) => &forward.backends,
        RouteAction::Redirect(_) => &[],
    }
}

fn route_rule(
    route: &TableRoute,
    gate: Option<RouteGate>,
    index: &BTreeMap<ServicePort<'_>, usize>,
    https_port: Option<u16>,
) -> ForwardRule {
    let backends = backends_of(route).iter().map(|b| (index[&port_of(b)], b.weight)).collect();
    let gate = gate.map(Arc::new);
    match &route.action {
        RouteAction::Forward(forward) => ForwardRule {
            backends,
            timeout: forward.timeout.std(),
            strip_prefix: forward.strip_prefix,
            waits: forward.waits,
            gate,
            redirect_port: https_port.filter(|_| forward.https.redirect),
            hsts: forward.https.hsts.as_ref().map(|hsts| hsts.as_str().into()),
        },
        RouteAction::Redirect(_) => ForwardRule {
            backends,
            timeout: Duration::MAX,
            strip_prefix: false,
            waits: RouteWaits::default(),
            gate,
            redirect_port: None,
            hsts: None,
        },
    }
}

/// Where the connections of a TCP listener go.
struct TcpTarget<'a> {
    listener: &'a ListenerId,
    to: ServicePort<'a>,
    waits: RouteWaits,
}

fn tcp_targets(table: &RoutingTable) -> Result<Vec<TcpTarget<'_>>, BadTable> {
    let mut targets = Vec::new();
    for (id, listener) in &table.listeners {
        let ListenerProtocol::Tcp { service, service_port, waits, .. } = &listener.protocol else { continue };
        if !table.services.contains_key(service) {
            return Err(BadTable::ListenerService(id.clone(), service.clone()));
        }
        if table.routes.iter().any(|route| route.listeners.contains(id)) {
            return Err(BadTable::TcpRoute(id.clone()));
        }
        let TcpWaits { hold, idle_timeout } = *waits;
        let waits = RouteWaits { hold, idle_timeout, upload_timeout: idle_timeout };
        targets.push(TcpTarget { listener: id, to: (service, service_port), waits });
    }
    Ok(targets)
}

fn check_listener(id: &ListenerId, listener: &Listener) -> Result<(), BadTable> {
    match listener.scope {
        ListenerScope::Gateway { .. } => Err(BadTable::Gateway(id.clone())),
        ListenerScope::Public => Ok(()),
    }
}

fn check_endpoints(table: &RoutingTable) -> Result<(), BadTable> {
    let mut seen = BTreeSet::new();
    for (name, service) in &table.services {
        if let Some(twice) = service.endpoints.iter().find(|endpoint| !seen.insert(&endpoint.id)) {
            return Err(BadTable::Twice { service: name.clone(), endpoint: twice.id.clone() });
        }
    }
    Ok(())
}

fn check_pins(table: &RoutingTable) -> Result<(), BadTable> {
    for (name, service) in &table.services {
        for RevisionPin { conditions, revision } in &service.pins {
            conditions.iter().try_for_each(check_condition).map_err(|problem| BadTable::Pin {
                service: name.clone(),
                revision: *revision,
                problem,
            })?;
        }
    }
    Ok(())
}

fn check_action(table: &RoutingTable, route: &TableRoute) -> Result<(), BadTable> {
    let forward = match &route.action {
        RouteAction::Forward(forward) => forward,
        RouteAction::Redirect(redirect) if RedirectAction::STATUSES.contains(&redirect.status) => {
            return Ok(());
        }
        RouteAction::Redirect(redirect) => return Err(BadTable::Redirect(redirect.status)),
    };
    for backend in &forward.backends {
        if forward.timeout.0 == 0 {
            return Err(BadTable::Timeout(backend.service.clone()));
        }
        if !table.services.contains_key(&backend.service) {
            return Err(BadTable::NoService(backend.service.clone()));
        }
    }
    if forward.backends.iter().all(|backend| backend.weight == 0) {
        return Err(BadTable::NoBackend);
    }
    Ok(())
}

/// The rules of TCP listeners follow those of the routes.
fn routers(
    table: &RoutingTable,
    tcp: &[TcpTarget<'_>],
) -> Result<BTreeMap<ListenerId, Router<usize>>, BadTable> {
    let is_unknown = |id: &&ListenerId| !table.listeners.contains_key(*id);
    if let Some(id) = table.routes.iter().flat_map(|route| &route.listeners).find(is_unknown) {
        return Err(BadTable::NoListener(id.clone()));
    }
    let router = |id: &ListenerId| {
        let of_listener = tcp.iter().enumerate().filter(|(_, target)| target.listener == id);
        let everything = of_listener.map(|(index, _)| everything(table.routes.len() + index));
        Ok((id.clone(), Router::new(matchers_of(table, id).chain(everything))?))
    };
    table.listeners.keys().map(router).collect()
}

/// What a TCP listener takes.
fn everything(to: usize) -> RouteMatcher<usize> {
    let path = PathMatch::Prefix("/".to_owned());
    RouteMatcher { host: HostPattern::Any, path, conditions: BTreeSet::new(), to }
}

/// An endpoint of another revision may lack the port; it takes none of this route's requests.
fn backend(
    service: &TableService,
    name: &ServiceName,
    port: &str,
    counters: &mut CounterRegistry,
) -> Backend {
    let of_service = counters.service(name);
    let with_port =
        service.endpoints.iter().filter_map(|endpoint| Some((endpoint, *endpoint.ports.get(port)?)));
    let weights: Vec<u32> = with_port.clone().map(|(endpoint, _)| endpoint.weight).collect();
    let are_alike = weights.iter().all(|weight| *weight == weights[0] && *weight > 0);
    let endpoints = with_port.map(|(endpoint, number)| BackendEndpoint {
        counters: counters.endpoint(&of_service, endpoint),
        address: SocketAddr::new(endpoint.address, number),
        via: endpoint.via,
        protocol: match endpoint.http2_ports.contains(port) {
            true => UpstreamProtocol::Http2,
            false => UpstreamProtocol::Http1,
        },
        revision: endpoint.revision,
    });
    let endpoints = endpoints.collect();
    let shares =
        service.shares.iter().map(|(number, weight)| (counters.revision(&of_service, *number), *weight));
    Backend {
        balance: service.balance,
        shares: shares.collect(),
        pins: service.pins.clone(),
        endpoints,
        weights: (!are_alike).then_some(weights),
        service: of_service,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        EndpointVia, ForwardAction, Millis, RouteCondition, RouteFilters, RouteHttps, TableEndpoint,
        arbitrary::table_name,
    };
    use crate::routing::router::RouteRequest;

    fn table() -> RoutingTable {
        let endpoint = |name: &str, port: &str| {
            let id = EndpointId::new(&name.into(), jiff::Timestamp::UNIX_EPOCH);
            let ports = [(port.to_owned(), 80)].into();
            TableEndpoint::managed(id, name.into(), RevisionNumber(1), [10, 0, 0, 1].into(), ports)
        };
        let route = |path: &str, port: &str| TableRoute {
            listeners: [ListenerId::public_http()].into(),
            hosts: [HostPattern::Any].into(),
            path: PathMatch::Prefix(path.into()),
            conditions: [].into(),
            action: RouteAction::Forward(ForwardAction {
                backends: vec![WeightedBackend { service: "s".into(), port: port.into(), weight: 1 }],
                timeout: Millis::secs(1),
                strip_prefix: false,
                waits: RouteWaits::default(),
                https: RouteHttps::default(),
            }),
            filters: RouteFilters::default(),
        };
        let endpoints = vec![endpoint("a", "http"), endpoint("b", "admin")];
        RoutingTable {
            listeners: [(ListenerId::public_http(), Listener::PUBLIC_HTTP)].into(),
            routes: vec![route("/", "http"), route("/x", "http"), route("/admin", "admin")],
            services: [("s".into(), TableService { endpoints, ..TableService::default() })].into(),
            ..RoutingTable::empty(table_name(1))
        }
    }

    fn tcp_listener(service: &str) -> Listener {
        let protocol = ListenerProtocol::Tcp {
            address: TcpWaits::EVERY_ADDRESS,
            port: 5432,
            service: service.into(),
            service_port: "db".into(),
            waits: TcpWaits { hold: Millis(1), idle_timeout: Millis(2) },
        };
        Listener { protocol, ..Listener::PUBLIC_HTTP }
    }

    fn forward(route: &mut TableRoute) -> &mut ForwardAction {
        match &mut route.action {
            RouteAction::Forward(forward) => forward,
            RouteAction::Redirect(_) => panic!("a redirect"),
        }
    }

    fn compiled(table: &RoutingTable) -> Result<CompiledTable, BadTable> {
        compile(table, &mut CounterRegistry::new(1))
    }

    fn rule_of<'a>(table: &'a CompiledTable, listener: &str, path: &str) -> Option<&'a ForwardRule> {
        let request = RouteRequest { host: "h", path, attributes: &() };
        table.find(&listener.into(), &request).map(|(_, rule)| rule)
    }

    #[test]
    fn backends_are_made_per_port_and_hold_the_endpoints_that_have_it() {
        let compiled = compiled(&table()).unwrap();
        let backends = |path| rule_of(&compiled, "http", path).map(|rule| rule.backends.clone());
        assert_eq!(backends("/"), Some(vec![(1, 1)]));
        assert_eq!(backends("/x"), Some(vec![(1, 1)]));
        assert_eq!(backends("/admin"), Some(vec![(0, 1)]));
        let sizes: Vec<usize> = compiled.backends.iter().map(|backend| backend.endpoints.len()).collect();
        assert_eq!(sizes, [1, 1]);
    }

    #[test]
    fn redirect_has_a_gate_and_no_backend_and_a_plain_route_has_no_gate() {
        let mut table = table();
        let redirect = RedirectAction { status: 308, scheme: None, host: Some("h".into()), path: None };
        table.routes[1].action = RouteAction::Redirect(redirect);
        let compiled = compiled(&table).unwrap();
        let rule = rule_of(&compiled, "http", "/x").unwrap();
        assert!(rule.backends.is_empty() && rule.gate.as_ref().is_some_and(|gate| gate.checks()));
        assert_eq!(rule_of(&compiled, "http", "/").map(|rule| rule.gate.is_none()), Some(true));
    }

    #[test]
    fn route_is_visible_only_on_its_listeners() {
        let mut table = table();
        table.listeners.insert("http-2".into(), Listener::PUBLIC_HTTP);
        table.routes[1].listeners = ["http-2".into()].into();
        let compiled = compiled(&table).unwrap();
        let is_found = |listener, path| rule_of(&compiled, listener, path).is_some();
        assert!(is_found("http", "/") && is_found("http-2", "/x"));
        assert!(!is_found("http-2", "/") && !is_found("https", "/"));
    }

    #[test]
    fn tcp_listener_leads_to_the_port_of_its_service() {
        let mut table = table();
        table.listeners.insert("tcp-5432".into(), tcp_listener("s"));
        let service = table.services.get_mut(&"s".into()).unwrap();
        service.endpoints[1].ports.insert("db".into(), 5432);
        let compiled = compiled(&table).unwrap();
        let rule = rule_of(&compiled, "tcp-5432", "/").unwrap();
        let backend = &compiled.backends[rule.backends[0].0];
        assert_eq!(
            rule.waits,
            RouteWaits { hold: Millis(1), idle_timeout: Millis(2), upload_timeout: Millis(2) }
        );
        assert_eq!(backend.endpoints.len(), 1, "the other one lacks the port");
        assert_eq!(backend.endpoints[0].address.port(), 5432);
        assert_eq!(rule_of(&compiled, "http", "/x").map(|rule| rule.backends.len()), Some(1));
    }

    #[test]
    fn backend_carries_what_the_choice_needs() {
        let mut table = table();
        let service = table.services.get_mut(&"s".into()).unwrap();
        service.shares = [(RevisionNumber(1), 9), (RevisionNumber(2), 1)].into();
        service.endpoints[0].weight = 3;
        service.endpoints[0].revision = RevisionNumber(2);
        service.endpoints[0].via = EndpointVia::DockerProxy;
        let shares = service.shares.clone();
        let compiled = compiled(&table).unwrap();
        let backend = &compiled.backends[1];
        let endpoint = &backend.endpoints[0];
        let compiled_shares = backend.shares.iter().map(|(revision, weight)| (revision.number, *weight));
        assert_eq!(compiled_shares.collect::<BTreeMap<_, _>>(), shares);
        assert_eq!(
            (endpoint.revision, &backend.weights),
            (RevisionNumber(2), &None),
            "one endpoint takes all"
        );
        assert_eq!((endpoint.via, endpoint.address), (EndpointVia::DockerProxy, ([10, 0, 0, 1], 80).into()));
    }

    #[test]
    fn unsound_table_is_refused_before_anything_is_made() {
        type Spoil = fn(&mut RoutingTable);
        let rows: [(&str, Spoil); 15] = [
            ("two routes for `*/`", |t| t.routes.push(t.routes[0].clone())),
            ("the path `x` of a route is not normal", |t| t.routes[0].path = PathMatch::Prefix("x".into())),
            (
                "route `*/` is never taken: its condition on the header has a name or value that no request has",
                |t| {
                    let condition = RouteCondition::Header { name: "X".into(), value: "1".into() };
                    t.routes[0].conditions = [condition].into();
                },
            ),
            (
                "a pin of service `s` to revision 1 pins no request: its condition on the method has a name or value that no request has",
                |t| {
                    let conditions = [RouteCondition::Method("G T".into())].into();
                    let pin = RevisionPin { conditions, revision: RevisionNumber(1) };
                    t.services.get_mut(&"s".into()).unwrap().pins.push(pin);
                },
            ),
            ("a route leads to service `gone`, which the table lacks", |t| {
                forward(&mut t.routes[0]).backends[0].service = "gone".into();
            }),
            ("a route of service `s` has a timeout of 0", |t| forward(&mut t.routes[0]).timeout = Millis(0)),
            ("a route has no backend with a weight", |t| forward(&mut t.routes[0]).backends[0].weight = 0),
            ("a route has no backend with a weight", |t| forward(&mut t.routes[0]).backends.clear()),
            ("endpoint a@0 of service `s` is listed twice", |t| {
                let service = t.services.get_mut(&"s".into()).unwrap();
                service.endpoints.push(service.endpoints[0].clone());
            }),
            ("a route is for listener `other`, which the table lacks", |t| {
                t.routes[0].listeners.insert("other".into());
            }),
            ("a route redirects with status 200, which is no redirect", |t| {
                let redirect = RedirectAction { status: 200, scheme: None, host: None, path: None };
                t.routes[0].action = RouteAction::Redirect(redirect);
            }),
            ("a route changes the header `a b`, whose name or value no message can have", |t| {
                t.routes[0].filters.request_headers.remove.push("a b".into());
            }),
            ("listener `tcp-5432` leads to service `gone`, which the table lacks", |t| {
                t.listeners.insert("tcp-5432".into(), tcp_listener("gone"));
            }),
            ("a route is for listener `tcp-5432`, which serves TCP", |t| {
                t.listeners.insert("tcp-5432".into(), tcp_listener("s"));
                t.routes[0].listeners.insert("tcp-5432".into());
            }),
            ("listener `gateway` is at the gateway of an app, where this balancer does not listen", |t| {
                let scope = ListenerScope::Gateway { app: "shop".into() };
                t.listeners.insert("gateway".into(), Listener { scope, ..Listener::PUBLIC_HTTP });
            }),
        ];
        for (reason, spoil) in rows {
            let mut table = table();
            spoil(&mut table);
            let mut counters = CounterRegistry::new(1);
            let refused = compile(&table, &mut counters).unwrap_err();
            assert_eq!(refused.to_string(), reason);
            assert!(counters.is_empty(), "{reason}");
        }
    }
}
