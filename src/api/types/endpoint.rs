//! Endpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::{
    ContainerId, Endpoint, EndpointOrigin, EndpointState, EndpointVia, OriginName, ReplicaName,
    RevisionNumber, ServiceName,
};

/// A reachable instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointObject {
    /// The replica's, where it is managed.
    pub name: String,
    pub service: ServiceName,
    pub origin: OriginName,
    /// `None` unless it is managed, as `container` and `startedAt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<ReplicaName>,
    pub revision: RevisionNumber,
    /// On the app's network, or where its ports are published.
    pub address: IpAddr,
    /// By name.
    pub ports: BTreeMap<String, u16>,
    /// Names of those that speak HTTP/2.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub http2_ports: BTreeSet<String>,
    pub via: EndpointVia,
    pub state: EndpointState,
    /// Relative to the weights of the revision's other endpoints.
    pub weight: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerId>,
    /// When Docker started the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<jiff::Timestamp>,
}

impl From<Endpoint> for EndpointObject {
    fn from(endpoint: Endpoint) -> Self {
        let name = endpoint.name().into_owned();
        let Endpoint { service, origin, revision, address, ports, http2_ports, via, state, weight } =
            endpoint;
        let mut object = Self {
            name,
            service,
            origin: OriginName::from(&origin),
            replica: None,
            revision,
            address,
            ports,
            http2_ports,
            via,
            state,
            weight,
            container: None,
            started_at: None,
        };
        if let EndpointOrigin::Managed { replica, container, started_at } = origin {
            object.replica = Some(replica);
            object.container = Some(container);
            object.started_at = Some(started_at);
        }
        object
    }
}
