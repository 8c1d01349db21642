//! Golden routing tables: what the table can say beyond what manifests can declare today, built and diffed.
//!
//! Shares, pins and endpoints of every origin are built from stored records. Weighted services and further
//! listeners are written out: nothing that is stored expresses them until their kinds come (`docs/adr/0007-one-structure.md`).
#![allow(clippy::unwrap_used)]

use coxswain::model::{
    Balance, Endpoint, EndpointId, EndpointOrigin, EndpointState, EndpointVia, Epoch, ForwardAction,
    HostPattern, Listener, ListenerId, ListenerProtocol, ListenerScope, Millis, PathMatch, Port, Protocol,
    RedirectAction, RevisionNumber, RevisionPin, Route, RouteAction, RouteCondition, RouteFilters,
    RouteHttps, RouteWaits, RoutingTable, Service, TableEndpoint, TableName, TableRoute, TableService,
    TcpWaits, Traffic, WeightedBackend,
};
use coxswain::plane;
use coxswain::registry::table::build;
use coxswain::testing;

/// The table, and what is sent to a balancer that has it for it to serve from `next`.
fn snapshot(name: &str, table: &RoutingTable, next: &RoutingTable) {
    let delta = plane::diff(table, next);
    insta::assert_json_snapshot!(name, serde_json::json!({ "table": table, "delta": delta }));
    assert_eq!(plane::apply(table, delta).as_ref(), Some(next));
    let read: RoutingTable = serde_json::from_slice(&serde_json::to_vec(table).unwrap()).unwrap();
    assert_eq!(read, *table);
}

fn name(revision: u64) -> TableName {
    TableName { store: "store".into(), epoch: Epoch(1), revision }
}

fn header(name: &str, value: &str) -> RouteCondition {
    RouteCondition::Header { name: name.to_owned(), value: value.to_owned() }
}

fn backend(service: &str, weight: u32) -> WeightedBackend {
    WeightedBackend { service: service.into(), port: "http".to_owned(), weight }
}

fn forward(backends: Vec<WeightedBackend>) -> RouteAction {
    RouteAction::Forward(ForwardAction {
        backends,
        timeout: Millis::secs(30),
        strip_prefix: false,
        waits: RouteWaits::default(),
        https: RouteHttps::default(),
    })
}

/// A route of the public listener for HTTP.
fn route(host: &str, path: PathMatch, action: RouteAction) -> TableRoute {
    TableRoute {
        listeners: [ListenerId::public_http()].into(),
        hosts: [host.parse::<HostPattern>().unwrap()].into(),
        path,
        conditions: [].into(),
        action,
        filters: RouteFilters::default(),
    }
}

fn prefix(path: &str) -> PathMatch {
    PathMatch::Prefix(path.to_owned())
}

fn managed(container: &str, revision: u64) -> TableEndpoint {
    let id = EndpointId::new(&container.into(), jiff::Timestamp::UNIX_EPOCH);
    let ports = [("http".to_owned(), 8080)].into();
    TableEndpoint::managed(id, container.into(), RevisionNumber(revision), [10, 209, 0, 2].into(), ports)
}

/// A service with one port and these routes.
fn declared(name: &str, routes: Vec<Route>) -> Service {
    let mut service = testing::service(name);
    service.spec.ports =
        vec![Port { name: "http".to_owned(), port: 8080, protocol: Protocol::Http, listen: None }];
    service.spec.routes = routes;
    service
}

/// A stored endpoint that is ready.
fn stored(service: &str, origin: EndpointOrigin, revision: u64) -> Endpoint {
    Endpoint {
        service: service.into(),
        origin,
        revision: RevisionNumber(revision),
        address: [10, 209, 0, 2].into(),
        ports: [("http".to_owned(), 8080)].into(),
        http2_ports: [].into(),
        via: EndpointVia::Direct,
        state: EndpointState::Ready,
        weight: Endpoint::WEIGHT,
    }
}

/// The origin of a container whose replica has the same name.
fn container(name: &str) -> EndpointOrigin {
    let started_at = jiff::Timestamp::UNIX_EPOCH;
    EndpointOrigin::Managed { replica: name.into(), container: name.into(), started_at }
}

fn service(endpoints: Vec<TableEndpoint>) -> TableService {
    TableService { endpoints, ..TableService::default() }
}

fn table(routes: Vec<TableRoute>, services: Vec<(&str, TableService)>) -> RoutingTable {
    RoutingTable {
        name: name(1),
        listeners: [(ListenerId::public_http(), Listener::PUBLIC_HTTP)].into(),
        routes,
        services: services.into_iter().map(|(name, service)| (name.into(), service)).collect(),
        certificates: [].into(),
    }
}

#[test]
fn canary_split_pins_a_header_and_one_delta_changes_its_shares() {
    let [stable, canary] = [RevisionNumber(8), RevisionNumber(9)];
    let services =
        [declared("users", vec![Route::to(Some("shop.example".to_owned()), "/")]), declared("web", vec![])];
    let endpoints = [
        stored("users", container("new"), 9),
        stored("users", container("old"), 8),
        stored("web", container("w"), 1),
    ];
    let pin = RevisionPin { conditions: [header("x-canary", "1")].into(), revision: canary };
    let split =
        Traffic { service: "users".into(), shares: [(stable, 9_500), (canary, 500)].into(), pins: vec![pin] };
    let promoted = Traffic { shares: [(canary, Traffic::WHOLE)].into(), pins: vec![], ..split.clone() };
    let before = build(name(1), &services, &endpoints, [&split]);
    let after = build(name(2), &services, &endpoints, [&promoted]);
    snapshot("canary_split", &before, &after);
}

#[test]
fn ab_route_splits_by_weight_and_header() {
    let conditions = [header("x-arm", "b"), RouteCondition::Method("GET".to_owned())].into();
    let arm_b =
        TableRoute { conditions, ..route("shop.example", prefix("/"), forward(vec![backend("b", 1)])) };
    let both = route("shop.example", prefix("/"), forward(vec![backend("a", 70), backend("b", 30)]));
    let www = RedirectAction { status: 308, scheme: None, host: Some("shop.example".to_owned()), path: None };
    let www = route("*.shop.example", prefix("/"), RouteAction::Redirect(www));
    let health = route("*", PathMatch::Exact("/healthz".to_owned()), forward(vec![backend("a", 1)]));
    let services = || vec![("a", service(vec![managed("a1", 1)])), ("b", service(vec![managed("b1", 4)]))];
    let before = table(vec![arm_b.clone(), both.clone(), www, health], services());
    let after = RoutingTable { name: name(2), ..table(vec![arm_b, both], services()) };
    snapshot("ab_route", &before, &after);
}

#[test]
fn tcp_listener_names_its_service() {
    let before = table(vec![], vec![("db", service(vec![managed("db1", 1)]))]);
    let mut after = RoutingTable { name: name(2), ..before.clone() };
    let tcp = ListenerProtocol::Tcp {
        address: TcpWaits::EVERY_ADDRESS,
        port: 5432,
        service: "db".into(),
        service_port: "postgres".to_owned(),
        waits: TcpWaits::default(),
    };
    after.listeners.insert("tcp-5432".into(), Listener { scope: ListenerScope::Public, protocol: tcp });
    after.listeners.insert(
        "gateway-shop".into(),
        Listener { scope: ListenerScope::Gateway { app: "shop".into() }, protocol: ListenerProtocol::Http },
    );
    snapshot("tcp_listener", &before, &after);
    let gone = RoutingTable { name: name(3), ..before };
    snapshot("tcp_listener_closed", &after, &gone);
}

#[test]
fn table_holds_external_and_registered_endpoints_next_to_managed_ones() {
    let mut users = declared("users", vec![Route::to(None, "/")]);
    users.spec.balance = Balance::RoundRobin;
    let external = Endpoint {
        address: "fd00::7".parse().unwrap(),
        ports: [("http".to_owned(), 9000)].into(),
        weight: 3,
        ..stored("users", EndpointOrigin::External, 1)
    };
    let origin = EndpointOrigin::Registered { instance: "vm-1".to_owned(), registration_revision: 17 };
    let registered = stored("users", origin, 1);
    let published = Endpoint { via: EndpointVia::DockerProxy, ..stored("users", container("c1"), 1) };
    let before = build(name(1), [&users], [&registered, &published, &external], []);
    let draining = |endpoint: Endpoint| Endpoint { state: EndpointState::Draining, ..endpoint };
    let after = build(name(2), [&users], [&draining(registered), &draining(published), &external], []);
    snapshot("external_endpoint", &before, &after);
}

#[test]
fn unknown_protocol_is_refused_with_its_name() {
    let mut json = serde_json::to_value(table(vec![], vec![])).unwrap();
    json["listeners"]["http"]["protocol"] = "quic".into();
    let error = serde_json::from_value::<RoutingTable>(json).unwrap_err().to_string();
    assert!(error.contains("unknown variant `quic`"), "{error}");
}
