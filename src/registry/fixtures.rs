//! Services and endpoints for the tests of this module.

use jiff::Timestamp;

use crate::model::{
    Endpoint, EndpointState, EndpointVia, Epoch, Port, Protocol, RevisionNumber, Route, Service, TableName,
};
use crate::testing;

/// A service with ports `http` and `admin`, reached under these claims: `node/path`, or `*/path` for any host.
pub(super) fn service(name: &str, claims: &[&str]) -> Service {
    let port = |name: &str, port| Port { name: name.to_owned(), port, protocol: Protocol::Http };
    let route = |claim: &&str| {
        let (node, path) = claim.split_at(claim.find('/').unwrap());
        Route::to((node != "*").then(|| node.to_owned()), path)
    };
    let mut service = testing::service(name);
    service.spec.ports = vec![port("http", 80), port("admin", 81)];
    service.spec.routes = claims.iter().map(route).collect();
    service
}

/// An endpoint of a service; replica and container have the same name.
pub(super) fn endpoint(service: &str, container: &str, state: EndpointState) -> Endpoint {
    Endpoint {
        service: service.into(),
        replica: container.into(),
        revision: RevisionNumber(1),
        address: [10, 209, 0, 2].into(),
        ports: [("http".to_owned(), 80)].into(),
        via: EndpointVia::Direct,
        state,
        container: container.into(),
        started_at: Timestamp::UNIX_EPOCH,
    }
}

pub(super) fn table_name(revision: u64) -> TableName {
    TableName { store: "s".into(), epoch: Epoch(1), revision }
}
