//! The difference between two tables. Pure.

use std::collections::BTreeMap;

use super::message::TableDelta;
use crate::model::{Pool, RoutingTable, ServiceName};

/// What leads from one table to the other.
pub fn diff(from: &RoutingTable, to: &RoutingTable) -> TableDelta {
    let changed = |(name, pool): (&ServiceName, &Pool)| {
        (from.pools.get(name) != Some(pool)).then(|| (name.clone(), Some(pool.clone())))
    };
    let mut pools: BTreeMap<ServiceName, Option<Pool>> = to.pools.iter().filter_map(changed).collect();
    pools.extend(from.pools.keys().filter(|name| !to.pools.contains_key(*name)).map(|n| (n.clone(), None)));
    TableDelta {
        base: from.name.clone(),
        name: to.name.clone(),
        routes: (from.routes != to.routes).then(|| to.routes.clone()),
        pools,
    }
}

/// The table that a delta leads to; `None` where it starts from another one than `from`.
pub fn apply(from: &RoutingTable, delta: TableDelta) -> Option<RoutingTable> {
    let TableDelta { base, name, routes, pools: changes } = delta;
    if base != from.name {
        return None;
    }
    let mut pools = from.pools.clone();
    for (service, change) in changes {
        match change {
            Some(pool) => pools.insert(service, pool),
            None => pools.remove(&service),
        };
    }
    Some(RoutingTable { name, routes: routes.unwrap_or_else(|| from.routes.clone()), pools })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Balance, EndpointId, Epoch, Millis, PoolEndpoint, RouteEntry, TableName};

    fn pool() -> impl Strategy<Value = Pool> {
        let endpoint = (0..6u8, 0..3u16).prop_map(|(n, port)| PoolEndpoint {
            id: EndpointId::new(&format!("c{n}").as_str().into(), jiff::Timestamp::UNIX_EPOCH),
            replica: format!("r{n}").as_str().into(),
            revision: crate::model::RevisionNumber(1),
            address: [10, 209, 0, n].into(),
            ports: [("http".to_owned(), port)].into(),
        });
        let balance = prop_oneof![Just(Balance::LeastRequests), Just(Balance::RoundRobin)];
        (balance, prop::collection::vec(endpoint, 0..4))
            .prop_map(|(balance, endpoints)| Pool { balance, endpoints })
    }

    fn table(revision: u64) -> impl Strategy<Value = RoutingTable> {
        let service = (0..4u8).prop_map(|n| ServiceName::new(format!("s{n}")));
        let route = service.clone().prop_map(|service| RouteEntry {
            host: None,
            path: format!("/{service}"),
            port: "http".into(),
            timeout: Millis::secs(1),
            strip_prefix: false,
            service,
        });
        let name = TableName { store: "s".into(), epoch: Epoch(1), revision };
        (prop::collection::vec(route, 0..3), prop::collection::btree_map(service, pool(), 0..4))
            .prop_map(move |(routes, pools)| RoutingTable { name: name.clone(), routes, pools })
    }

    proptest! {
        #[test]
        fn a_delta_leads_to_its_table(a in table(1), b in table(2)) {
            prop_assert_eq!(apply(&a, diff(&a, &b)), Some(b));
        }

        #[test]
        fn a_delta_holds_only_what_changed(a in table(1)) {
            let delta = diff(&a, &a);
            prop_assert!(delta.routes.is_none() && delta.pools.is_empty());
        }

        #[test]
        fn another_base_does_not_fit(a in table(1), b in table(2), c in table(3)) {
            prop_assert_eq!(apply(&c, diff(&a, &b)), None);
        }
    }
}
