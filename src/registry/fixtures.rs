//! Services and endpoints for the tests of this module.

use jiff::Timestamp;

use crate::model::{
    Endpoint, EndpointState, Epoch, Generation, Metadata, Port, Protocol, ResolvedImage, RevisionNumber,
    Route, Service, ServiceSpec, TableName,
};

/// A service with ports `http` and `admin`, reached under these claims: `node/path`, or `*/path` for any host.
pub(super) fn service(name: &str, claims: &[&str]) -> Service {
    let port = |name: &str, port| Port { name: name.to_owned(), port, protocol: Protocol::Http };
    let route = |claim: &&str| {
        let (node, path) = claim.split_at(claim.find('/').unwrap());
        Route::to((node != "*").then(|| node.to_owned()), path)
    };
    Service {
        metadata: Metadata {
            name: name.into(),
            app: "shop".into(),
            annotations: [].into(),
            uid: "u".to_owned(),
            generation: Generation(1),
            created_at: Timestamp::UNIX_EPOCH,
        },
        spec: ServiceSpec {
            replicas: Some(1),
            ports: vec![port("http", 80), port("admin", 81)],
            routes: claims.iter().map(route).collect(),
            ..ServiceSpec::of_image("image:1")
        },
        image: ResolvedImage { reference: "image:1".to_owned(), pinned: "sha256:aa".to_owned() },
        restarts: 0,
        overrides: Vec::new(),
        deleted_at: None,
        deletes_volumes: false,
        source: None,
        written_by: "apply".into(),
        intervention: None,
        written_at: Timestamp::UNIX_EPOCH,
    }
}

/// An endpoint of a service; replica and container have the same name.
pub(super) fn endpoint(service: &str, container: &str, state: EndpointState) -> Endpoint {
    Endpoint {
        service: service.into(),
        replica: container.into(),
        revision: RevisionNumber(1),
        address: [10, 209, 0, 2].into(),
        ports: [("http".to_owned(), 80)].into(),
        state,
        container: container.into(),
        started_at: Timestamp::UNIX_EPOCH,
    }
}

pub(super) fn table_name(revision: u64) -> TableName {
    TableName { store: "s".into(), epoch: Epoch(1), revision }
}
