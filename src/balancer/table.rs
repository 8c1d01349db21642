//! A routing table in the form that requests are served from, or the reason why it is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::failures::Failures;
use super::route::{BadRoute, Router};
use super::target::Target;
use crate::model::{Balance, EndpointId, Pool, RoutingTable, ServiceName};

/// Why a table cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadTable {
    #[error(transparent)]
    Route(#[from] BadRoute),
    #[error("a route leads to service `{0}`, which has no pool")]
    NoPool(ServiceName),
    #[error("endpoint {0} is listed twice")]
    Twice(EndpointId),
    #[error("a route of service `{0}` has a timeout of 0")]
    Timeout(ServiceName),
}

/// Where a route leads.
#[derive(Debug)]
pub(super) struct Rule {
    /// Index of the pool.
    pub(super) pool: usize,
    /// From the request's last byte to the response's headers.
    pub(super) timeout: Duration,
    pub(super) strip_prefix: bool,
}

/// The endpoints of a service that have the port a route asks for.
#[derive(Debug)]
pub(super) struct TargetPool {
    pub(super) balance: Balance,
    pub(super) targets: Vec<(Arc<Target>, SocketAddr)>,
    /// Requests of the service that failed.
    pub(super) failures: Failures,
}

/// What all threads share of a table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) router: Router<Rule>,
    pub(super) pools: Vec<TargetPool>,
}

/// Checks a table and brings it into serving form; `failures` gives the count of a service, `target` the counters of an
/// endpoint of it. Both are called only where the table is sound.
pub(super) fn compile(
    table: &RoutingTable,
    mut failures: impl FnMut(&ServiceName) -> Failures,
    mut target: impl FnMut(&EndpointId, &Failures) -> Arc<Target>,
) -> Result<Table, BadTable> {
    check_endpoints(table)?;
    let mut ports: BTreeMap<(&ServiceName, &str), usize> = BTreeMap::new();
    let mut sources: Vec<(&ServiceName, &Pool, &str)> = Vec::new();
    let mut rules = Vec::new();
    for route in &table.routes {
        let pool = table.pools.get(&route.service).ok_or_else(|| BadTable::NoPool(route.service.clone()))?;
        if route.timeout.0 == 0 {
            return Err(BadTable::Timeout(route.service.clone()));
        }
        let index = *ports.entry((&route.service, &route.port)).or_insert_with(|| {
            sources.push((&route.service, pool, &route.port));
            sources.len() - 1
        });
        let rule = Rule { pool: index, timeout: route.timeout.std(), strip_prefix: route.strip_prefix };
        rules.push((route.host.clone(), route.path.clone(), rule));
    }
    let router = Router::new(rules)?;
    let pools = sources.into_iter().map(|(service, pool, port)| {
        let failures = failures(service);
        target_pool(pool, port, failures, &mut target)
    });
    Ok(Table { router, pools: pools.collect() })
}

fn check_endpoints(table: &RoutingTable) -> Result<(), BadTable> {
    let mut seen = BTreeSet::new();
    for endpoint in table.pools.values().flat_map(|pool| &pool.endpoints) {
        if !seen.insert(&endpoint.id) {
            return Err(BadTable::Twice(endpoint.id.clone()));
        }
    }
    Ok(())
}

/// An endpoint of another revision may lack the port; it takes none of this route's requests.
fn target_pool(
    pool: &Pool,
    port: &str,
    failures: Failures,
    target: &mut impl FnMut(&EndpointId, &Failures) -> Arc<Target>,
) -> TargetPool {
    let with_port = pool.endpoints.iter().filter_map(|endpoint| {
        let port = endpoint.ports.get(port)?;
        Some((target(&endpoint.id, &failures), SocketAddr::new(endpoint.address, *port)))
    });
    TargetPool { balance: pool.balance, targets: with_port.collect(), failures }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Epoch, Millis, PoolEndpoint, RevisionNumber, RouteEntry, TableName};

    fn table() -> RoutingTable {
        let endpoint = |name: &str, port: &str| PoolEndpoint {
            id: EndpointId::new(&name.into(), jiff::Timestamp::UNIX_EPOCH),
            replica: name.into(),
            revision: RevisionNumber(1),
            address: [10, 0, 0, 1].into(),
            ports: [(port.to_owned(), 80)].into(),
        };
        let route = |path: &str, port: &str| RouteEntry {
            host: None,
            path: path.into(),
            port: port.into(),
            timeout: Millis::secs(1),
            strip_prefix: false,
            service: "s".into(),
        };
        let endpoints = vec![endpoint("a", "http"), endpoint("b", "admin")];
        let name = TableName { store: "s".into(), epoch: Epoch(1), revision: 1 };
        RoutingTable {
            name,
            routes: vec![route("/", "http"), route("/x", "http"), route("/admin", "admin")],
            pools: [("s".into(), Pool { balance: Balance::default(), endpoints })].into(),
        }
    }

    fn compiled(table: &RoutingTable) -> Result<Table, BadTable> {
        let target = |id: &EndpointId, failures: &Failures| {
            Arc::new(Target::new(id.clone(), 1, Arc::default(), failures.clone()))
        };
        compile(table, |_| Failures::default(), target)
    }

    #[test]
    fn pools_are_made_per_port_and_hold_who_has_it() {
        let compiled = compiled(&table()).unwrap();
        let pool = |path| compiled.router.find("h", path).map(|(_, rule)| rule.pool);
        assert_eq!((pool("/"), pool("/x"), pool("/admin")), (Some(0), Some(0), Some(1)));
        let sizes: Vec<usize> = compiled.pools.iter().map(|p| p.targets.len()).collect();
        assert_eq!(sizes, [1, 1]);
    }

    #[test]
    fn an_unsound_table_is_refused_before_anything_is_made() {
        type Spoil = fn(&mut RoutingTable);
        let rows: [(&str, Spoil); 5] = [
            ("two routes for `*/`", |t| t.routes.push(t.routes[0].clone())),
            ("the path `x` of a route is not normal", |t| t.routes[0].path = "x".into()),
            ("a route leads to service `gone`, which has no pool", |t| t.routes[0].service = "gone".into()),
            ("a route of service `s` has a timeout of 0", |t| t.routes[0].timeout = Millis(0)),
            ("endpoint a@0 is listed twice", |t| {
                let pool = t.pools.get_mut(&"s".into()).unwrap();
                pool.endpoints.push(pool.endpoints[0].clone());
            }),
        ];
        for (reason, spoil) in rows {
            let mut table = table();
            spoil(&mut table);
            let refused =
                compile(&table, |_| Failures::default(), |_, _| panic!("a target was made")).unwrap_err();
            assert_eq!(refused.to_string(), reason);
        }
    }
}
