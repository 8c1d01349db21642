//! Services, endpoints and a registry over a store, for the tests of this module.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use super::Registry;
use crate::clock::RealClock;
use crate::model::{
    BalancerReport, BalancerReports, Endpoint, EndpointId, EndpointOrigin, EndpointState, EndpointVia, Epoch,
    Port, Protocol, RevisionNumber, Route, RoutingTable, Service, TableName, key,
};
use crate::store::{EmbeddedStore, Op, Store, Txn};
use crate::testing;

/// A service with ports `http` and `admin`, reached under these claims: `host/path`, or `*/path` for any host.
pub(super) fn service(name: &str, claims: &[&str]) -> Service {
    let port =
        |name: &str, port| Port { name: name.to_owned(), port, protocol: Protocol::Http, listen: None };
    let route = |claim: &&str| {
        let (host, path) = claim.split_at(claim.find('/').unwrap());
        Route::to((host != "*").then(|| host.to_owned()), path)
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
        origin: managed(container, container),
        revision: RevisionNumber(1),
        address: [10, 209, 0, 2].into(),
        ports: [("http".to_owned(), 80)].into(),
        http2_ports: [].into(),
        via: EndpointVia::Direct,
        state,
        weight: Endpoint::WEIGHT,
    }
}

/// The origin of a container's first start.
pub(super) fn managed(replica: &str, container: &str) -> EndpointOrigin {
    EndpointOrigin::Managed {
        replica: replica.into(),
        container: container.into(),
        started_at: Timestamp::UNIX_EPOCH,
    }
}

pub(super) fn table_name(revision: u64) -> TableName {
    TableName { store: "s".into(), epoch: Epoch(1), revision }
}

pub(super) struct World {
    pub(super) store: Arc<EmbeddedStore>,
    pub(super) registry: Arc<Registry>,
    pub(super) reports: watch::Sender<BalancerReports>,
}

impl World {
    pub(super) fn new() -> Self {
        let store = Arc::new(EmbeddedStore::in_memory(Arc::new(RealClock::new())).unwrap());
        let (reports, receiver) = watch::channel(testing::reports(None));
        let registry = Arc::new(Registry::new(store.clone(), receiver));
        Self { store, registry, reports }
    }

    /// With a service `web` that has these ready endpoints, and published.
    pub(super) async fn serving(containers: &[&str]) -> Self {
        let world = Self::new();
        world.write(vec![Op::put(key::service(&"web".into()), &service("web", &["*/"]))]).await;
        world
            .write(
                containers.iter().map(|c| Registry::put(&endpoint("web", c, EndpointState::Ready))).collect(),
            )
            .await;
        world.registry.open().await.unwrap();
        world
    }

    pub(super) async fn write(&self, ops: Vec<Op>) {
        self.store.txn(Txn { compare: vec![], ops }).await.unwrap();
    }

    /// Revision and containers of the last table.
    pub(super) fn table(&self) -> Option<(u64, Vec<String>)> {
        self.registry.tables().borrow().as_deref().map(replicas_in)
    }

    /// The balancer has applied the table of this revision.
    pub(super) fn acknowledge(&self, revision: u64) {
        let last = self.registry.tables().borrow().clone().unwrap();
        let applied = Some(TableName { revision, ..last.name.clone() });
        let report = BalancerReport { applied, ..testing::report("i") };
        self.reports.send_replace(testing::reports(Some(report)));
    }
}

pub(super) fn replicas_in(table: &RoutingTable) -> (u64, Vec<String>) {
    let endpoints = table.endpoints();
    (table.name.revision, endpoints.filter_map(|e| e.replica.as_ref()).map(ToString::to_string).collect())
}

pub(super) fn holds(revision: u64, containers: &[&str]) -> Option<(u64, Vec<String>)> {
    Some((revision, containers.iter().map(|c| (*c).to_owned()).collect()))
}

pub(super) fn id(container: &str) -> EndpointId {
    endpoint("web", container, EndpointState::Ready).id()
}
