//! The difference between two tables. Pure.

use std::collections::BTreeMap;

use super::message::TableDelta;
use crate::model::{RoutingTable, ServiceName, TableService};

/// What leads from one table to the other.
pub fn diff(from: &RoutingTable, to: &RoutingTable) -> TableDelta {
    let changed = |(name, service): (&ServiceName, &TableService)| {
        (from.services.get(name) != Some(service)).then(|| (name.clone(), Some(service.clone())))
    };
    let gone = from.services.keys().filter(|name| !to.services.contains_key(*name));
    let mut services: BTreeMap<ServiceName, Option<TableService>> =
        to.services.iter().filter_map(changed).collect();
    services.extend(gone.map(|name| (name.clone(), None)));
    TableDelta {
        base: from.name.clone(),
        name: to.name.clone(),
        listeners: (from.listeners != to.listeners).then(|| to.listeners.clone()),
        routes: (from.routes != to.routes).then(|| to.routes.clone()),
        services,
        certificates: (from.certificates != to.certificates).then(|| to.certificates.clone()),
    }
}

/// The table that a delta leads to; `None` where it starts from another one than `from`.
pub fn apply(from: &RoutingTable, delta: TableDelta) -> Option<RoutingTable> {
    let TableDelta { base, name, listeners, routes, services: changes, certificates } = delta;
    if base != from.name {
        return None;
    }
    let mut services = from.services.clone();
    for (name, change) in changes {
        match change {
            Some(service) => services.insert(name, service),
            None => services.remove(&name),
        };
    }
    Some(RoutingTable {
        name,
        listeners: listeners.unwrap_or_else(|| from.listeners.clone()),
        routes: routes.unwrap_or_else(|| from.routes.clone()),
        services,
        certificates: certificates.unwrap_or_else(|| from.certificates.clone()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::arbitrary::{routing_table, table_name};

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn delta_applied_to_its_base_gives_its_table(a in routing_table(1), b in routing_table(2)) {
            let json = serde_json::to_vec(&diff(&a, &b)).unwrap();
            let delta = serde_json::from_slice(&json).unwrap();
            prop_assert_eq!(apply(&a, delta), Some(b));
        }

        #[test]
        fn delta_of_equal_tables_is_empty(a in routing_table(1)) {
            let delta = diff(&a, &RoutingTable { name: table_name(2), ..a.clone() });
            let is_empty = delta.listeners.is_none() && delta.routes.is_none() && delta.services.is_empty();
            prop_assert!(is_empty && delta.certificates.is_none());
        }

        #[test]
        fn delta_to_another_base_is_refused(
            a in routing_table(1),
            b in routing_table(2),
            c in routing_table(3),
        ) {
            prop_assert_eq!(apply(&c, diff(&a, &b)), None);
        }
    }
}
