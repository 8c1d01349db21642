//! The immutable snapshot that a balancer serves from.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Balance, EndpointId, Epoch, Millis, ReplicaName, RevisionNumber, ServiceName, StoreId};

/// Name of a table. Two tables compare only within one store and epoch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableName {
    /// The store it was made from.
    pub store: StoreId,
    /// The store's epoch.
    pub epoch: Epoch,
    /// Counts the tables published in this epoch, from 1.
    pub revision: u64,
}

impl TableName {
    /// Whether this is `other` or a later table of the same store and epoch.
    pub fn covers(&self, other: &TableName) -> bool {
        self.store == other.store && self.epoch == other.epoch && self.revision >= other.revision
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = self.store.as_str();
        write!(f, "{}/{}/{}", store.get(..8).unwrap_or(store), self.epoch, self.revision)
    }
}

/// A host and path prefix that lead to a service's pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteEntry {
    /// Host in lower case; `None` is any.
    pub host: Option<String>,
    /// Path prefix on whole segments.
    pub path: String,
    /// Name of the port.
    pub port: String,
    /// From the request's last byte to the response's headers.
    pub timeout: Millis,
    /// Whether the prefix is taken off.
    pub strip_prefix: bool,
    /// Whose pool.
    pub service: ServiceName,
}

/// An endpoint that may be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolEndpoint {
    /// Identity: container and start time.
    pub id: EndpointId,
    /// Of which replica.
    pub replica: ReplicaName,
    /// Of which revision.
    pub revision: RevisionNumber,
    /// Address.
    pub address: IpAddr,
    /// Ports by name.
    pub ports: BTreeMap<String, u16>,
}

/// The endpoints of a service that may be chosen; empty where none is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pool {
    /// How one is chosen.
    pub balance: Balance,
    /// In the order of their ids.
    pub endpoints: Vec<PoolEndpoint>,
}

/// All that a balancer needs to serve. Every service with a route has a pool, if an empty one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoutingTable {
    /// Its name.
    pub name: TableName,
    /// Sorted: exact hosts before any host, then longest path first.
    pub routes: Vec<RouteEntry>,
    /// By service.
    pub pools: BTreeMap<ServiceName, Pool>,
}

impl RoutingTable {
    /// A table without routes.
    pub fn empty(name: TableName) -> Self {
        Self { name, routes: Vec::new(), pools: BTreeMap::new() }
    }

    /// Whether an endpoint may be chosen from this table.
    pub fn has_endpoint(&self, id: &EndpointId) -> bool {
        self.pools.values().any(|pool| pool.endpoints.iter().any(|e| e.id == *id))
    }
}
