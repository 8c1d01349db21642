//! From services, endpoints and traffic records to a routing table. Pure.
//!
//! The same objects give the same table, in whatever order they come.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::https;
use crate::model::{
    Endpoint, EndpointId, EndpointState, ForwardAction, HostPattern, Listener, ListenerId, ListenerProtocol,
    ListenerScope, Millis, OriginName, Port, Route, RouteAction, RouteWaits, RoutingTable, Service,
    ServiceName, TableEndpoint, TableName, TableRoute, TableService, TcpListen, Traffic, WeightedBackend,
};

/// The table that these objects make.
///
/// Every service with routes or listened ports that is not deleted has an entry, one without endpoints where none is ready, so that its
/// requests are answered 503 and never 404. A service without them has an entry as long as it has ready endpoints:
/// nothing is routed there, but the balancers' acknowledgements hold for them too. An endpoint is in one service only.
pub fn build<'a>(
    name: TableName,
    services: impl IntoIterator<Item = &'a Service>,
    endpoints: impl IntoIterator<Item = &'a Endpoint>,
    traffic: impl IntoIterator<Item = &'a Traffic>,
) -> RoutingTable {
    let live: BTreeMap<&ServiceName, &Service> =
        services.into_iter().filter(|s| s.deleted_at.is_none()).map(|s| (s.name(), s)).collect();
    let traffic: BTreeMap<&ServiceName, &Traffic> =
        traffic.into_iter().map(|record| (&record.service, record)).collect();
    let ready = ready_by_id(endpoints.into_iter().filter(|e| live.contains_key(&e.service)));

    let without_endpoints = |service: &Service| table_service(service, traffic.get(service.name()).copied());
    let mut services: BTreeMap<ServiceName, TableService> = live
        .values()
        .filter(|s| s.spec.is_routed())
        .map(|s| (s.name().clone(), without_endpoints(s)))
        .collect();
    for (id, endpoint) in ready {
        let Some(service) = live.get(&endpoint.service) else { continue };
        let entry = services.entry(endpoint.service.clone()).or_insert_with(|| without_endpoints(service));
        entry.endpoints.push(table_endpoint(id, endpoint));
    }

    let mut listeners = tcp_listeners(live.values().copied());
    listeners.insert(ListenerId::public_http(), Listener::PUBLIC_HTTP);
    let routes = routes(live.values().copied());
    RoutingTable { listeners, routes, services, ..RoutingTable::empty(name) }
}

/// Ready endpoints in the order of their ids. Of two records of one id the first by service and name counts.
fn ready_by_id<'a>(endpoints: impl Iterator<Item = &'a Endpoint>) -> BTreeMap<EndpointId, &'a Endpoint> {
    let mut by_id: BTreeMap<EndpointId, &Endpoint> = BTreeMap::new();
    for endpoint in endpoints.filter(|e| e.state == EndpointState::Ready) {
        let kept = by_id.entry(endpoint.id()).or_insert(endpoint);
        if (&endpoint.service, endpoint.name()) < (&kept.service, kept.name()) {
            *kept = endpoint;
        }
    }
    by_id
}

fn table_service(service: &Service, traffic: Option<&Traffic>) -> TableService {
    TableService {
        balance: service.spec.balance,
        shares: traffic.map(|record| record.shares.clone()).unwrap_or_default(),
        pins: traffic.map(|record| record.pins.clone()).unwrap_or_default(),
        endpoints: Vec::new(),
    }
}

fn table_endpoint(id: EndpointId, endpoint: &Endpoint) -> TableEndpoint {
    TableEndpoint {
        id,
        replica: endpoint.replica().cloned(),
        revision: endpoint.revision,
        origin: OriginName::from(&endpoint.origin),
        address: endpoint.address,
        ports: endpoint.ports.clone(),
        http2_ports: endpoint.http2_ports.clone(),
        via: endpoint.via,
        weight: endpoint.weight,
    }
}

/// The listeners that these services declare. A port has one owner (claims in the store see to it); were there two, the first by
/// name would have it.
pub fn tcp_listeners<'a>(services: impl IntoIterator<Item = &'a Service>) -> BTreeMap<ListenerId, Listener> {
    let mut by_port: BTreeMap<u16, (&TcpListen, &Port, &Service)> = BTreeMap::new();
    let live = services.into_iter().filter(|service| service.deleted_at.is_none());
    for service in live {
        for (listen, port) in service.spec.listens() {
            let owner = by_port.entry(listen.port).or_insert((listen, port, service));
            if service.name() < owner.2.name() {
                *owner = (listen, port, service);
            }
        }
    }
    by_port.into_values().map(|(listen, port, service)| tcp_listener(listen, port, service)).collect()
}

fn tcp_listener(listen: &TcpListen, port: &Port, service: &Service) -> (ListenerId, Listener) {
    let mut waits = listen.waits();
    if service.spec.replica_count() == 0 {
        // no replica is on its way
        waits.hold = Millis(0);
    }
    let protocol = ListenerProtocol::Tcp {
        address: listen.address,
        port: listen.port,
        service: service.name().clone(),
        service_port: port.name.clone(),
        waits,
    };
    (listen.listener(), Listener { scope: ListenerScope::Public, protocol })
}

/// All routes in the order of their precedence: exact hosts before wildcards before any host, then longest path first, then
/// most conditions. Equal routes lead to one service (claims in the store see to it); were there two, the first by name would
/// have it.
fn routes<'a>(services: impl Iterator<Item = &'a Service>) -> Vec<TableRoute> {
    let mut claims: Vec<(&Route, &Service)> =
        services.flat_map(|service| service.spec.routes.iter().map(move |route| (route, service))).collect();
    claims.sort_by_cached_key(|(route, service)| (order(route), service.name().clone()));
    claims.dedup_by(|(later, _), (earlier, _)| order(later) == order(earlier));
    claims.into_iter().filter_map(|(route, service)| table_route(route, service)).collect()
}

/// Host, path and claim only make the order total.
fn order(route: &Route) -> impl Ord {
    let kind = match route.hosts() {
        Some(HostPattern::Exact(_)) => 0,
        Some(HostPattern::Wildcard(_)) => 1,
        Some(HostPattern::Any) | None => 2,
    };
    let conditions = route.matches.conditions().len();
    let precedence = (kind, Reverse(route.path.len()), route.host.clone(), route.path.clone());
    (precedence, Reverse(route.exact), Reverse(conditions), route.claim())
}

/// `None` for a route whose host is no pattern, or to a port that the service lacks: it is refused when the service is
/// applied, so there is none.
fn table_route(route: &Route, service: &Service) -> Option<TableRoute> {
    let action = match &route.redirect {
        Some(redirect) => RouteAction::Redirect(redirect.clone()),
        None => RouteAction::Forward(forward_action(route, service)?),
    };
    Some(TableRoute {
        listeners: [ListenerId::public_http()].into(),
        hosts: [route.hosts()?].into(),
        path: route.path_match(),
        conditions: route.matches.conditions(),
        action,
        filters: route.filters.clone(),
    })
}

fn forward_action(route: &Route, service: &Service) -> Option<ForwardAction> {
    let port = service.spec.port(route.port.as_deref())?;
    let backend =
        WeightedBackend { service: service.name().clone(), port: port.name.clone(), weight: BACKEND_WEIGHT };
    let mut waits = RouteWaits::of(route);
    if service.spec.replica_count() == 0 {
        // no replica is on its way
        waits.hold = Millis(0);
    }
    Some(ForwardAction {
        backends: vec![backend],
        timeout: route.timeout,
        strip_prefix: route.strip_prefix,
        waits,
        https: https::of_route(route),
    })
}

/// The only backend of a route takes all of its requests.
const BACKEND_WEIGHT: u32 = 1;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::fixtures::{endpoint, managed, service, table_name};
    use super::*;
    use crate::model::{
        Balance, EndpointState::*, EndpointVia, Millis, PathMatch, RevisionNumber, RevisionPin,
        RouteCondition, RouteFilters, RouteHttps, TcpWaits,
    };

    fn build_one(services: &[Service], endpoints: &[Endpoint]) -> RoutingTable {
        build(table_name(1), services, endpoints, &[])
    }

    /// `service: container container`.
    fn endpoints_by_service(table: &RoutingTable) -> Vec<String> {
        let line = |(name, service): (&ServiceName, &TableService)| {
            let ids = service.endpoints.iter().map(|e| format!(" {}", e.id));
            format!("{name}:{}", ids.collect::<String>())
        };
        table.services.iter().map(line).collect()
    }

    fn forward(route: &TableRoute) -> &ForwardAction {
        match &route.action {
            RouteAction::Forward(forward) => forward,
            RouteAction::Redirect(_) => panic!("no service declares a redirect"),
        }
    }

    /// `host/path service`.
    fn route_text(route: &TableRoute) -> String {
        let hosts: Vec<String> = route.hosts.iter().map(ToString::to_string).collect();
        let backends: Vec<&str> = forward(route).backends.iter().map(|b| b.service.as_str()).collect();
        format!("{}{} {}", hosts.join(","), route.path.as_str(), backends.join(","))
    }

    #[test]
    fn routes_sort_by_host_then_longest_path() {
        let services = [
            service("web", &["*/", "a.example/", "b.example/"]),
            service("api", &["a.example/api/v1", "*/api/v1/users"]),
            service("admin", &["a.example/api", "b.example/api"]),
        ];
        let table = build_one(&services, &[]);
        assert_eq!(
            table.routes.iter().map(route_text).collect::<Vec<_>>(),
            [
                "a.example/api/v1 api",
                "a.example/api admin",
                "b.example/api admin",
                "a.example/ web",
                "b.example/ web",
                "*/api/v1/users api",
                "*/ web",
            ]
        );
    }

    #[test]
    fn route_carries_port_timeout_and_prefix_of_the_spec() {
        let mut service = service("web", &["a.example/x", "*/y"]);
        service.spec.balance = Balance::RoundRobin;
        let route = &mut service.spec.routes[0];
        route.port = Some("admin".to_owned());
        route.timeout = Millis(7);
        route.strip_prefix = true;
        route.hold = Millis(11);
        route.idle_timeout = Millis(12);
        route.upload_timeout = Millis(13);
        let table = build_one(&[service], &[]);
        let own = RouteWaits { hold: Millis(11), idle_timeout: Millis(12), upload_timeout: Millis(13) };
        let entry = |host: HostPattern, path: &str, port: &str, (timeout, strip_prefix, waits)| TableRoute {
            listeners: [ListenerId::public_http()].into(),
            hosts: [host].into(),
            path: PathMatch::Prefix(path.to_owned()),
            conditions: [].into(),
            action: RouteAction::Forward(ForwardAction {
                backends: vec![WeightedBackend { service: "web".into(), port: port.to_owned(), weight: 1 }],
                timeout,
                strip_prefix,
                waits,
                https: RouteHttps::default(),
            }),
            filters: RouteFilters::default(),
        };
        assert_eq!(table.name, table_name(1));
        assert_eq!(table.listeners, [("http".into(), Listener::PUBLIC_HTTP)].into());
        assert_eq!(table.services[&"web".into()].balance, Balance::RoundRobin);
        assert_eq!(
            table.routes,
            [
                entry(HostPattern::Exact("a.example".to_owned()), "/x", "admin", (Millis(7), true, own)),
                entry(HostPattern::Any, "/y", "http", (Millis::secs(30), false, RouteWaits::default())),
            ]
        );
    }

    #[test]
    fn routes_with_conditions_wildcards_and_redirects_keep_all_of_it() {
        let mut web = service("web", &["*/"]);
        web.spec.routes = serde_json::from_value(serde_json::json!([
            {"host": "*.a.example", "path": "/x"},
            {"host": "b.a.example", "path": "/x", "match": {"method": "GET"}},
            {"host": "b.a.example", "path": "/x", "match": {"method": "POST", "header": {"X-Beta": "1"}}},
            {"host": "b.a.example", "path": "/x", "exact": true},
            {"host": "www.a.example", "redirect": {"host": "a.example"}, "allow": ["10.0.0.0/8"]},
        ]))
        .unwrap();
        let table = build_one(std::slice::from_ref(&web), &[]);
        let texts: Vec<String> = table
            .routes
            .iter()
            .map(|route| {
                let hosts: Vec<String> = route.hosts.iter().map(ToString::to_string).collect();
                format!("{} {:?} {}", hosts.join(","), route.path, route.conditions.len())
            })
            .collect();
        assert_eq!(
            texts,
            [
                "b.a.example Exact(\"/x\") 0",
                "b.a.example Prefix(\"/x\") 2",
                "b.a.example Prefix(\"/x\") 1",
                "www.a.example Prefix(\"/\") 0",
                "*.a.example Prefix(\"/x\") 0",
            ]
        );
        assert!(matches!(&table.routes[3].action, RouteAction::Redirect(redirect) if redirect.status == 302));
        assert_eq!(table.routes[3].filters, web.spec.routes[4].filters);
    }

    #[test]
    fn service_without_wanted_replicas_holds_no_request() {
        let mut stopped = service("web", &["*/"]);
        stopped.spec.replicas = Some(0);
        let holds = |service: &Service| {
            let table = build_one(std::slice::from_ref(service), &[]);
            forward(&table.routes[0]).waits.hold
        };
        assert_eq!((holds(&service("web", &["*/"])), holds(&stopped)), (Millis::secs(30), Millis(0)));
    }

    #[test]
    fn listened_port_makes_a_listener_that_names_its_service() {
        let mut db = service("db", &[]);
        let listen = TcpListen { hold: Millis(1), idle_timeout: Millis(2), ..TcpListen::on(5432) };
        db.spec.ports[1].listen = Some(listen);
        let mut second = service("z-db", &[]);
        second.spec.ports[0].listen =
            Some(TcpListen { address: [127, 0, 0, 1].into(), ..TcpListen::on(5432) });
        let mut stopped = service("stopped", &[]);
        stopped.spec.replicas = Some(0);
        stopped.spec.ports[0].listen =
            Some(TcpListen { address: [127, 0, 0, 1].into(), ..TcpListen::on(6379) });
        let mut deleted = service("deleted", &[]);
        deleted.spec.ports[0].listen = Some(TcpListen::on(9));
        deleted.deleted_at = Some(jiff::Timestamp::UNIX_EPOCH);
        let table = build_one(&[second, db, stopped, deleted], &[]);
        let ids: Vec<&str> = table.listeners.keys().map(ListenerId::as_str).collect();
        assert_eq!(ids, ["http", "tcp-5432", "tcp-6379-127-0-0-1"]);
        let protocol = |id: &str| table.listeners[&id.into()].protocol.clone();
        let tcp = |address: [u8; 4], port, service: &str, service_port: &str, waits| ListenerProtocol::Tcp {
            address: address.into(),
            port,
            service: service.into(),
            service_port: service_port.to_owned(),
            waits,
        };
        let own = TcpWaits { hold: Millis(1), idle_timeout: Millis(2) };
        assert_eq!(protocol("tcp-5432"), tcp([0, 0, 0, 0], 5432, "db", "admin", own));
        let no_hold = TcpWaits { hold: Millis(0), ..TcpWaits::default() };
        assert_eq!(protocol("tcp-6379-127-0-0-1"), tcp([127, 0, 0, 1], 6379, "stopped", "http", no_hold));
        assert_eq!(endpoints_by_service(&table), ["db:", "stopped:", "z-db:"], "without endpoints, held");
    }

    #[test]
    fn traffic_record_sets_shares_and_pins_of_its_service() {
        let shares = [(RevisionNumber(1), 9_000), (RevisionNumber(2), 1_000)];
        let beta = RouteCondition::Header { name: "x-beta".to_owned(), value: "1".to_owned() };
        let pin = RevisionPin { conditions: [beta].into(), revision: RevisionNumber(2) };
        let record = |service: &str| Traffic {
            service: service.into(),
            shares: shares.into(),
            pins: vec![pin.clone()],
        };
        let services = [service("web", &["*/"]), service("api", &["*/api"])];
        let endpoints = [Endpoint { via: EndpointVia::DockerProxy, ..endpoint("web", "c1", Ready) }];
        let records = [record("web"), record("deleted")];
        let table = build(table_name(1), &services, &endpoints, &records);
        let web = &table.services[&"web".into()];
        assert_eq!((&web.shares, &web.pins), (&shares.into(), &vec![pin.clone()]));
        assert_eq!(web.endpoints[0].via, EndpointVia::DockerProxy);
        let api = &table.services[&"api".into()];
        assert!(api.shares.is_empty() && api.pins.is_empty(), "no record: all endpoints count alike");
        assert_eq!(table.services.len(), 2);
    }

    #[test]
    fn services_hold_ready_endpoints_and_routed_ones_stay_when_empty() {
        let mut deleted = service("deleted", &["*/deleted"]);
        deleted.deleted_at = Some(jiff::Timestamp::UNIX_EPOCH);
        let services = [
            service("web", &["*/"]),
            service("empty", &["*/e"]),
            service("worker", &[]),
            service("idle", &[]),
            deleted,
        ];
        let endpoints = [
            endpoint("web", "c3", Ready),
            endpoint("web", "c1", Ready),
            endpoint("web", "c2", Draining),
            endpoint("web", "c4", Unready),
            endpoint("empty", "c5", Unready),
            endpoint("worker", "c6", Ready),
            endpoint("idle", "c7", Unready),
            endpoint("deleted", "c8", Ready),
            endpoint("unknown", "c9", Ready),
        ];
        let table = build_one(&services, &endpoints);
        assert_eq!(endpoints_by_service(&table), ["empty:", "web: c1@0 c3@0", "worker: c6@0"]);
        assert!(!table.routes.iter().map(route_text).any(|route| route.contains("deleted")));
    }

    #[test]
    fn duplicate_container_record_yields_one_endpoint() {
        let mut other = endpoint("web", "c1", Ready);
        other.origin = managed("b", "c1");
        let services = [service("web", &["*/"]), service("api", &["*/api"])];
        let endpoints = [other, endpoint("web", "c1", Ready), endpoint("api", "c1", Ready)];
        assert_eq!(endpoints_by_service(&build_one(&services, &endpoints)), ["api: c1@0", "web:"]);
    }

    fn some_services() -> impl Strategy<Value = Vec<Service>> {
        let claims = prop::sample::subsequence(vec!["*/", "*/x", "h/", "h/x"], 0..4);
        prop::collection::btree_map("[a-d]", (claims, any::<bool>()), 0..4).prop_map(|services| {
            let one = |(name, (claims, deleted)): (String, (Vec<&str>, bool))| {
                let mut service = service(&name, &claims);
                service.deleted_at = deleted.then_some(jiff::Timestamp::UNIX_EPOCH);
                service
            };
            services.into_iter().map(one).collect()
        })
    }

    fn some_endpoints() -> impl Strategy<Value = Vec<Endpoint>> {
        let state = prop::sample::select(vec![Ready, Draining, Unready]);
        let one = ("[a-e]", "[c-f][0-2]", "[r-t]", state).prop_map(|(service, container, replica, state)| {
            Endpoint { origin: managed(&replica, &container), ..endpoint(&service, &container, state) }
        });
        prop::collection::vec(one, 0..12).prop_map(|endpoints| {
            // As in the store: one record per service and replica.
            let by_key = endpoints.into_iter().map(|e| ((e.service.clone(), e.replica().cloned()), e));
            by_key.collect::<BTreeMap<_, _>>().into_values().collect()
        })
    }

    fn some_traffic() -> impl Strategy<Value = Vec<Traffic>> {
        let records = prop::collection::btree_map("[a-e]", 0..10_000u32, 0..4);
        records.prop_map(|records| {
            let one = |(name, weight): (String, u32)| Traffic {
                shares: [(RevisionNumber(1), weight)].into(),
                ..Traffic::even(name.as_str().into())
            };
            records.into_iter().map(one).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn tables_are_sound_and_do_not_depend_on_the_order_of_objects(
            mut services in some_services(),
            mut endpoints in some_endpoints(),
            mut traffic in some_traffic(),
        ) {
            let table = build(table_name(1), &services, &endpoints, &traffic);
            let ids: Vec<&EndpointId> = table.endpoints().map(|e| &e.id).collect();
            prop_assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "no endpoint twice");
            for service in table.services.values() {
                prop_assert!(service.endpoints.is_sorted_by(|a, b| a.id < b.id));
            }
            let claims: Vec<String> = table.routes.iter().map(|r| route_text(r).split(' ').next().unwrap().to_owned()).collect();
            prop_assert_eq!(claims.iter().collect::<BTreeSet<_>>().len(), claims.len(), "each host and path once");
            let backends = || table.routes.iter().flat_map(|r| &forward(r).backends);
            prop_assert!(backends().all(|b| table.services.contains_key(&b.service)));
            let live = |name: &ServiceName| services.iter().any(|s| s.name() == name && s.deleted_at.is_none());
            prop_assert!(table.services.keys().all(live));
            for endpoint in endpoints.iter().filter(|e| e.state == Ready && live(&e.service)) {
                prop_assert!(table.has_endpoint(&endpoint.id()));
            }
            services.reverse();
            endpoints.reverse();
            traffic.reverse();
            prop_assert_eq!(build(table_name(1), &services, &endpoints, &traffic), table);
        }
    }
}
