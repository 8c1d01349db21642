//! Random routing tables for property tests.

use proptest::prelude::*;

use super::{
    Balance, EndpointId, EndpointVia, Epoch, ForwardAction, HostPattern, Listener, ListenerId,
    ListenerProtocol, ListenerScope, Millis, OriginName, PathMatch, PrivateKeyPem, RedirectAction,
    RevisionNumber, RevisionPin, RouteAction, RouteCondition, RouteFilters, RouteHttps, RouteWaits,
    RoutingTable, ServiceName, TableEndpoint, TableName, TableRoute, TableService, TcpWaits, TlsCertificate,
    WeightedBackend,
};

pub(crate) fn table_name(revision: u64) -> TableName {
    TableName { store: "s".into(), epoch: Epoch(1), revision }
}

fn service_name() -> impl Strategy<Value = ServiceName> {
    (0..4u8).prop_map(|n| ServiceName::new(format!("s{n}")))
}

fn revision() -> impl Strategy<Value = RevisionNumber> {
    (1..4u64).prop_map(RevisionNumber)
}

fn listener_id() -> impl Strategy<Value = ListenerId> {
    prop::sample::select(vec!["http", "https", "tcp-5432", "gateway-shop"]).prop_map(ListenerId::from)
}

fn listener() -> impl Strategy<Value = Listener> {
    let scope =
        prop_oneof![Just(ListenerScope::Public), Just(ListenerScope::Gateway { app: "shop".into() }),];
    let tcp = service_name().prop_map(|service| ListenerProtocol::Tcp {
        address: TcpWaits::EVERY_ADDRESS,
        port: 5432,
        service,
        service_port: "db".to_owned(),
        waits: TcpWaits::default(),
    });
    let protocol =
        prop_oneof![Just(ListenerProtocol::Http), Just(ListenerProtocol::Https { port: 443 }), tcp];
    (scope, protocol).prop_map(|(scope, protocol)| Listener { scope, protocol })
}

pub(crate) fn host_pattern() -> impl Strategy<Value = HostPattern> {
    let texts = vec!["a.x", "b.x", "x", "a.b.x", "*.x", "*.b.x", "*"];
    prop::sample::select(texts).prop_map(|text| text.parse().unwrap())
}

pub(crate) fn path_match() -> impl Strategy<Value = PathMatch> {
    let path = prop::sample::select(vec!["/", "/a", "/a/b", "/ab"]).prop_map(str::to_owned);
    prop_oneof![path.clone().prop_map(PathMatch::Exact), path.prop_map(PathMatch::Prefix)]
}

pub(crate) fn condition() -> impl Strategy<Value = RouteCondition> {
    let text = || prop::sample::select(vec!["a", "b"]).prop_map(str::to_owned);
    prop_oneof![
        prop::sample::select(vec!["GET", "POST"])
            .prop_map(|method| RouteCondition::Method(method.to_owned())),
        (text(), text()).prop_map(|(name, value)| RouteCondition::Header { name, value }),
        (text(), text()).prop_map(|(name, value)| RouteCondition::Cookie { name, value }),
        (text(), text()).prop_map(|(name, value)| RouteCondition::Query { name, value }),
    ]
}

fn action() -> impl Strategy<Value = RouteAction> {
    let backend = (service_name(), 0..3u32).prop_map(|(service, weight)| WeightedBackend {
        service,
        port: "http".to_owned(),
        weight,
    });
    let forward =
        (prop::collection::vec(backend, 1..3), any::<bool>()).prop_map(|(backends, strip_prefix)| {
            let waits = RouteWaits { hold: Millis(u64::from(strip_prefix)), ..RouteWaits::default() };
            let https = RouteHttps { redirect: strip_prefix, hsts: None };
            let timeout = Millis::secs(1);
            RouteAction::Forward(ForwardAction { backends, timeout, strip_prefix, waits, https })
        });
    let redirect = RouteAction::Redirect(RedirectAction {
        status: 308,
        scheme: Some("https".to_owned()),
        host: None,
        path: None,
    });
    prop_oneof![forward, Just(redirect)]
}

fn route() -> impl Strategy<Value = TableRoute> {
    let listeners = prop::collection::btree_set(listener_id(), 1..3);
    let hosts = prop::collection::btree_set(host_pattern(), 1..3);
    let conditions = prop::collection::btree_set(condition(), 0..3);
    (listeners, hosts, path_match(), conditions, action()).prop_map(
        |(listeners, hosts, path, conditions, action)| TableRoute {
            listeners,
            hosts,
            path,
            conditions,
            action,
            filters: RouteFilters::default(),
        },
    )
}

fn endpoint() -> impl Strategy<Value = TableEndpoint> {
    let origin =
        prop::sample::select(vec![OriginName::Managed, OriginName::Registered, OriginName::External]);
    let via = prop_oneof![Just(EndpointVia::Direct), Just(EndpointVia::DockerProxy)];
    (0..6u8, revision(), origin, via, 0..3u32).prop_map(|(n, revision, origin, via, weight)| {
        let id = match origin {
            OriginName::Managed => {
                EndpointId::new(&format!("c{n}").as_str().into(), jiff::Timestamp::UNIX_EPOCH)
            }
            OriginName::Registered => EndpointId::registered(&format!("i{n}"), 7),
            OriginName::External => EndpointId::external(&"s0".into(), ([10, 0, 0, n], 80).into()),
        };
        let is_managed = origin == OriginName::Managed;
        TableEndpoint {
            id,
            replica: is_managed.then(|| format!("r{n}").as_str().into()),
            revision,
            origin,
            address: [10, 209, 0, n].into(),
            ports: [("http".to_owned(), 80)].into(),
            http2_ports: if n % 2 == 0 { [].into() } else { ["http".to_owned()].into() },
            via,
            weight,
        }
    })
}

fn service() -> impl Strategy<Value = TableService> {
    let balance = prop_oneof![Just(Balance::LeastRequests), Just(Balance::RoundRobin)];
    let shares = prop::collection::btree_map(revision(), 0..100u32, 0..3);
    let pin = (prop::collection::btree_set(condition(), 1..3), revision())
        .prop_map(|(conditions, revision)| RevisionPin { conditions, revision });
    let endpoints = prop::collection::vec(endpoint(), 0..4);
    (balance, shares, prop::collection::vec(pin, 0..2), endpoints)
        .prop_map(|(balance, shares, pins, endpoints)| TableService { balance, shares, pins, endpoints })
}

fn certificate() -> impl Strategy<Value = TlsCertificate> {
    (0..3u8).prop_map(|n| TlsCertificate {
        chain: format!("chain {n}").into(),
        key: PrivateKeyPem::new(format!("key {n}")),
    })
}

/// Any table that can be written down, sound or not.
pub(crate) fn routing_table(revision: u64) -> impl Strategy<Value = RoutingTable> {
    let listeners = prop::collection::btree_map(listener_id(), listener(), 0..3);
    let routes = prop::collection::vec(route(), 0..3);
    let services = prop::collection::btree_map(service_name(), service(), 0..4);
    let certificates = prop::collection::btree_map(host_pattern(), certificate(), 0..3);
    (listeners, routes, services, certificates).prop_map(
        move |(listeners, routes, services, certificates)| RoutingTable {
            name: table_name(revision),
            listeners,
            routes,
            services,
            certificates,
        },
    )
}
