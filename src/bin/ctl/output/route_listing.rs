//! The table of `ctl get routes`: hosts and paths, and TCP ports of the node. Pure.

use std::collections::BTreeMap;

use coxswain::api::types::ServiceObject;
use coxswain::model::Port;

use super::listing::widen;
use super::table::TextTable;

/// A way in to a service, as a row of `ctl get routes`.
struct WayIn<'a> {
    service: &'a ServiceObject,
    port: Option<&'a Port>,
    timeout: String,
    strips: &'static str,
}

/// Routes and listened TCP ports of a service, by what clients connect to.
fn ways_in(service: &ServiceObject) -> impl Iterator<Item = (String, WayIn<'_>)> {
    let routes = service.spec.routes.iter().map(move |route| {
        let port = service.spec.port(route.port.as_deref());
        let strips = if route.strip_prefix { "yes" } else { "no" };
        (route.claim(), WayIn { service, port, timeout: route.timeout.to_string(), strips })
    });
    let listens = service.spec.listens().map(move |(listen, port)| {
        (listen.to_string(), WayIn { service, port: Some(port), timeout: "-".to_owned(), strips: "-" })
    });
    routes.chain(listens)
}

/// Routes and listened TCP ports that the services declare, sorted.
pub(crate) fn routes(items: &[ServiceObject], wide: bool) -> TextTable {
    let by_claim: BTreeMap<String, WayIn<'_>> = items.iter().flat_map(ways_in).collect();
    let row = |(claim, WayIn { service, port, .. }): (&String, &WayIn<'_>)| {
        vec![
            claim.clone(),
            service.metadata.name.to_string(),
            port.map_or_else(|| "-".to_owned(), |port| format!("{}:{}", port.name, port.port)),
            format!("{}/{}", service.status.available, service.status.wanted),
        ]
    };
    let mut table = TextTable {
        header: vec!["ROUTE", "SERVICE", "PORT", "READY"],
        rows: by_claim.iter().map(row).collect(),
    };
    widen(&mut table, wide, "TIMEOUT", by_claim.values().map(|way| way.timeout.clone()));
    widen(&mut table, wide, "STRIP PREFIX", by_claim.values().map(|way| way.strips.to_owned()));
    table
}
