//! Golden routing tables: what the table can say beyond what manifests can declare today, built and diffed.
#![allow(clippy::unwrap_used)]

use coxswain::model::{
    Balance, EndpointId, EndpointOrigin, EndpointVia, Epoch, ForwardAction, HostPattern, Listener,
    ListenerId, ListenerProtocol, ListenerScope, Millis, PathMatch, RedirectAction, RevisionNumber,
    RevisionPin, RouteAction, RouteCondition, RoutingTable, TableEndpoint, TableName, TableRoute,
    TableService, Traffic, WeightedBackend,
};
use coxswain::plane;

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
    RouteAction::Forward(ForwardAction { backends, timeout: Millis::secs(30), strip_prefix: false })
}

/// A route of the public listener for HTTP.
fn route(host: &str, path: PathMatch, action: RouteAction) -> TableRoute {
    TableRoute {
        listeners: [ListenerId::public_http()].into(),
        hosts: [host.parse::<HostPattern>().unwrap()].into(),
        path,
        conditions: [].into(),
        action,
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

fn service(endpoints: Vec<TableEndpoint>) -> TableService {
    TableService { endpoints, ..TableService::default() }
}

fn table(routes: Vec<TableRoute>, services: Vec<(&str, TableService)>) -> RoutingTable {
    RoutingTable {
        name: name(1),
        listeners: [(ListenerId::public_http(), Listener::PUBLIC_HTTP)].into(),
        routes,
        services: services.into_iter().map(|(name, service)| (name.into(), service)).collect(),
    }
}

#[test]
fn canary_split_pins_a_header_and_one_delta_changes_its_shares() {
    let [stable, canary] = [RevisionNumber(8), RevisionNumber(9)];
    let pin = RevisionPin { conditions: [header("x-canary", "1")].into(), revision: canary };
    let split = TableService {
        shares: [(stable, 9_500), (canary, 500)].into(),
        pins: vec![pin],
        ..service(vec![managed("new", 9), managed("old", 8)])
    };
    let promoted = TableService { shares: [(canary, Traffic::WHOLE)].into(), pins: vec![], ..split.clone() };
    let routes = vec![route("shop.example", prefix("/"), forward(vec![backend("users", 1)]))];
    let before = table(routes.clone(), vec![("users", split), ("web", service(vec![managed("w", 1)]))]);
    let mut after = RoutingTable { name: name(2), ..before.clone() };
    after.services.insert("users".into(), promoted);
    snapshot("canary_split", &before, &after);
}

#[test]
fn ab_route_splits_by_weight_and_header() {
    let conditions = [header("x-arm", "b"), RouteCondition::Method("GET".to_owned())].into();
    let arm_b =
        TableRoute { conditions, ..route("shop.example", prefix("/"), forward(vec![backend("b", 1)])) };
    let both = route("shop.example", prefix("/"), forward(vec![backend("a", 70), backend("b", 30)]));
    let www = RedirectAction { status: 308, scheme: None, host: Some("shop.example".to_owned()) };
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
    let tcp = ListenerProtocol::Tcp { port: 5432, service: "db".into(), service_port: "postgres".to_owned() };
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
    let address = "[fd00::7]:9000".parse().unwrap();
    let external = TableEndpoint {
        id: EndpointId::external(&"users".into(), address),
        replica: None,
        origin: EndpointOrigin::External,
        address: address.ip(),
        ports: [("http".to_owned(), address.port())].into(),
        weight: 3,
        ..managed("", 1)
    };
    let registered = TableEndpoint {
        id: EndpointId::registered("vm-1", 17),
        replica: None,
        origin: EndpointOrigin::Registered,
        ..managed("", 1)
    };
    let published = TableEndpoint { via: EndpointVia::DockerProxy, ..managed("c1", 1) };
    let all = TableService {
        balance: Balance::RoundRobin,
        ..service(vec![published, external.clone(), registered])
    };
    let routes = vec![route("*", prefix("/"), forward(vec![backend("users", 1)]))];
    let before = table(routes.clone(), vec![("users", all)]);
    let after = RoutingTable { name: name(2), ..table(routes, vec![("users", service(vec![external]))]) };
    snapshot("external_endpoint", &before, &after);
}

#[test]
fn unknown_protocol_is_refused_with_its_name() {
    let mut json = serde_json::to_value(table(vec![], vec![])).unwrap();
    json["listeners"]["http"]["protocol"] = "quic".into();
    let error = serde_json::from_value::<RoutingTable>(json).unwrap_err().to_string();
    assert!(error.contains("unknown variant `quic`"), "{error}");
}
