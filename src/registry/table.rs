//! From services and endpoints to a routing table. Pure.
//!
//! The same objects give the same table, in whatever order they come.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::model::{
    Endpoint, EndpointId, EndpointState, Pool, PoolEndpoint, RouteEntry, RoutingTable, Service, ServiceName,
    TableName,
};

/// The table that these services and endpoints make.
///
/// Every service with routes that is not deleted has a pool, an empty one where none of its endpoints is ready, so that
/// its requests are answered 503 and never 404. A service without routes has a pool as long as it has ready endpoints:
/// nothing is routed there, but the balancers' acknowledgements hold for them too. An endpoint is in one pool only.
pub fn build<'a>(
    name: TableName,
    services: impl IntoIterator<Item = &'a Service>,
    endpoints: impl IntoIterator<Item = &'a Endpoint>,
) -> RoutingTable {
    let live: BTreeMap<&ServiceName, &Service> =
        services.into_iter().filter(|s| s.deleted_at.is_none()).map(|s| (s.name(), s)).collect();
    let ready = ready_by_id(endpoints.into_iter().filter(|e| live.contains_key(&e.service)));

    let empty_pool = |service: &Service| Pool { balance: service.spec.balance, endpoints: Vec::new() };
    let mut pools: BTreeMap<ServiceName, Pool> = live
        .values()
        .filter(|s| !s.spec.routes.is_empty())
        .map(|s| (s.name().clone(), empty_pool(s)))
        .collect();
    for (id, endpoint) in ready {
        let Some(service) = live.get(&endpoint.service) else { continue };
        let pool = pools.entry(endpoint.service.clone()).or_insert_with(|| empty_pool(service));
        pool.endpoints.push(pool_endpoint(id, endpoint));
    }

    RoutingTable { name, routes: routes(live.values().copied()), pools }
}

/// Ready endpoints in the order of their ids. Of two records of one container the first by service and replica counts.
fn ready_by_id<'a>(endpoints: impl Iterator<Item = &'a Endpoint>) -> BTreeMap<EndpointId, &'a Endpoint> {
    let mut by_id: BTreeMap<EndpointId, &Endpoint> = BTreeMap::new();
    for endpoint in endpoints.filter(|e| e.state == EndpointState::Ready) {
        let kept = by_id.entry(endpoint.id()).or_insert(endpoint);
        if (&endpoint.service, &endpoint.replica) < (&kept.service, &kept.replica) {
            *kept = endpoint;
        }
    }
    by_id
}

fn pool_endpoint(id: EndpointId, endpoint: &Endpoint) -> PoolEndpoint {
    PoolEndpoint {
        id,
        replica: endpoint.replica.clone(),
        revision: endpoint.revision,
        address: endpoint.address,
        ports: endpoint.ports.clone(),
    }
}

/// All routes in the order in which they are tried: the first that matches a request is the right one. A host and path
/// leads to one service (claims in the store see to it); were there two, the first by name would have it.
fn routes<'a>(services: impl Iterator<Item = &'a Service>) -> Vec<RouteEntry> {
    let mut routes: Vec<RouteEntry> = services.flat_map(routes_of).collect();
    routes.sort_by(|a, b| order(a).cmp(&order(b)).then_with(|| a.service.cmp(&b.service)));
    routes.dedup_by(|later, earlier| order(later) == order(earlier));
    routes
}

/// Exact hosts before any host, then longest path first; the rest only makes the order total.
fn order(route: &RouteEntry) -> (bool, Reverse<usize>, Option<&str>, &str) {
    (route.host.is_none(), Reverse(route.path.len()), route.host.as_deref(), &route.path)
}

/// A service's routes with their ports by name. A route to a port that the service does not have is refused when the
/// service is applied, so there is none to leave out here.
fn routes_of(service: &Service) -> impl Iterator<Item = RouteEntry> + '_ {
    service.spec.routes.iter().filter_map(|route| {
        let port = service.spec.port(route.port.as_deref())?;
        Some(RouteEntry {
            host: route.host.clone(),
            path: route.path.clone(),
            port: port.name.clone(),
            timeout: route.timeout,
            strip_prefix: route.strip_prefix,
            service: service.name().clone(),
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::fixtures::{endpoint, service, table_name};
    use super::*;
    use crate::model::{Balance, EndpointState::*, Millis};

    fn build_one(services: &[Service], endpoints: &[Endpoint]) -> RoutingTable {
        build(table_name(1), services, endpoints)
    }

    /// `service: container container`, one line a pool.
    fn pools(table: &RoutingTable) -> Vec<String> {
        let line = |(name, pool): (&ServiceName, &Pool)| {
            let ids = pool.endpoints.iter().map(|e| format!(" {}", e.id));
            format!("{name}:{}", ids.collect::<String>())
        };
        table.pools.iter().map(line).collect()
    }

    #[test]
    fn routes_come_in_the_order_they_are_tried() {
        let services = [
            service("web", &["*/", "a.example/", "b.example/"]),
            service("api", &["a.example/api/v1", "*/api/v1/users"]),
            service("admin", &["a.example/api", "b.example/api"]),
        ];
        let table = build_one(&services, &[]);
        let spell = |r: &RouteEntry| format!("{}{} {}", r.host.as_deref().unwrap_or("*"), r.path, r.service);
        assert_eq!(
            table.routes.iter().map(spell).collect::<Vec<_>>(),
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
    fn a_route_says_all_that_the_spec_says() {
        let mut service = service("web", &["a.example/x", "*/y"]);
        service.spec.balance = Balance::RoundRobin;
        let route = &mut service.spec.routes[0];
        route.port = Some("admin".to_owned());
        route.timeout = Millis(7);
        route.strip_prefix = true;
        let table = build_one(&[service], &[]);
        let entry = |host: Option<&str>, path: &str, port: &str, timeout, strip_prefix| RouteEntry {
            host: host.map(str::to_owned),
            path: path.to_owned(),
            port: port.to_owned(),
            timeout,
            strip_prefix,
            service: "web".into(),
        };
        assert_eq!(table.name, table_name(1));
        assert_eq!(table.pools[&"web".into()].balance, Balance::RoundRobin);
        assert_eq!(
            table.routes,
            [
                entry(Some("a.example"), "/x", "admin", Millis(7), true),
                entry(None, "/y", "http", Millis::secs(30), false),
            ]
        );
    }

    #[test]
    fn pools_hold_what_is_ready_and_are_kept_empty() {
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
        assert_eq!(pools(&table), ["empty:", "web: c1@0 c3@0", "worker: c6@0"]);
        assert!(table.routes.iter().all(|r| r.service.as_str() != "deleted"));
    }

    #[test]
    fn a_container_recorded_twice_is_one_endpoint() {
        let mut other = endpoint("web", "c1", Ready);
        other.replica = "b".into();
        let services = [service("web", &["*/"]), service("api", &["*/api"])];
        let endpoints = [other, endpoint("web", "c1", Ready), endpoint("api", "c1", Ready)];
        assert_eq!(pools(&build_one(&services, &endpoints)), ["api: c1@0", "web:"]);
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
            Endpoint { replica: replica.as_str().into(), ..endpoint(&service, &container, state) }
        });
        prop::collection::vec(one, 0..12).prop_map(|endpoints| {
            // As in the store: one record per service and replica.
            let by_key = endpoints.into_iter().map(|e| ((e.service.clone(), e.replica.clone()), e));
            by_key.collect::<BTreeMap<_, _>>().into_values().collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn tables_are_sound(mut services in some_services(), mut endpoints in some_endpoints()) {
            let table = build_one(&services, &endpoints);
            let ids: Vec<&EndpointId> = table.pools.values().flat_map(|p| p.endpoints.iter().map(|e| &e.id)).collect();
            prop_assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "no endpoint twice");
            for pool in table.pools.values() {
                prop_assert!(pool.endpoints.is_sorted_by(|a, b| a.id < b.id));
            }
            prop_assert!(table.routes.is_sorted_by(|a, b| order(a) < order(b)), "each host and path once");
            prop_assert!(table.routes.iter().all(|r| table.pools.contains_key(&r.service)));
            let live = |name: &ServiceName| services.iter().any(|s| s.name() == name && s.deleted_at.is_none());
            prop_assert!(table.pools.keys().all(live));
            for endpoint in endpoints.iter().filter(|e| e.state == Ready && live(&e.service)) {
                prop_assert!(table.has_endpoint(&endpoint.id()));
            }
            services.reverse();
            endpoints.reverse();
            prop_assert_eq!(build_one(&services, &endpoints), table, "whatever the order");
        }
    }
}
