//! Endpoints.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::{
    ContainerId, Endpoint, EndpointState, EndpointVia, ReplicaName, RevisionNumber, ServiceName,
};

/// A reachable instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointObject {
    pub service: ServiceName,
    pub replica: ReplicaName,
    pub revision: RevisionNumber,
    /// On the app's network, or where its ports are published.
    pub address: IpAddr,
    /// By name.
    pub ports: BTreeMap<String, u16>,
    pub via: EndpointVia,
    pub state: EndpointState,
    pub container: ContainerId,
    /// When Docker started the container.
    pub started_at: jiff::Timestamp,
}

impl From<Endpoint> for EndpointObject {
    fn from(endpoint: Endpoint) -> Self {
        let Endpoint { service, replica, revision, address, ports, via, state, container, started_at } =
            endpoint;
        Self { service, replica, revision, address, ports, via, state, container, started_at }
    }
}
