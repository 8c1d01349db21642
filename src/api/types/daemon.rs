//! The daemon.

use serde::{Deserialize, Serialize};

use super::{NodeObject, ObjectCondition};
use crate::controller::DaemonSnapshot;
use crate::model::{BalancerProcess, BalancerReport, ConnectionStats, Millis, StoreId, TableName};

/// The state of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DaemonStatus {
    pub version: String,
    /// Process id of the controller.
    pub pid: u32,
    /// How long the controller has run.
    pub uptime: Millis,
    pub store: StoreId,
    pub store_revision: u64,
    pub node: NodeObject,
    /// The last table published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableName>,
    /// The last table that the balancer acknowledged; `None` while it is not connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<TableName>,
    /// The balancer processes: more than one while an earlier one finishes its requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub balancers: Vec<BalancerObject>,
    /// Client connections that the balancer refused or closed, since it started.
    #[serde(default, skip_serializing_if = "RefusedConnections::is_none")]
    pub connections: RefusedConnections,
    /// Requests that wait for a replica now.
    #[serde(default)]
    pub held_requests: u64,
    /// Addresses of the HTTP entry point.
    pub http: Vec<String>,
    /// Addresses of the HTTPS entry point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub https: Vec<String>,
    /// Number of services.
    pub services: u32,
    /// Conditions of the daemon that hold, such as `EngineUnavailable`, `DeletionHeld`.
    pub conditions: Vec<ObjectCondition>,
}

/// A balancer process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BalancerObject {
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Whether it is connected to the controller.
    pub connected: bool,
    /// The last table that it acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<TableName>,
    /// Whether it accepts no connections any more, and ends when its requests in flight have.
    pub ending: bool,
    /// Requests in flight, to all endpoints.
    pub in_flight: u64,
}

impl BalancerObject {
    fn of(process: BalancerProcess, report: Option<&BalancerReport>) -> Self {
        Self {
            id: process.id.to_string(),
            pid: process.pid,
            connected: report.is_some(),
            acknowledged: report.and_then(|report| report.applied.clone()),
            ending: report.is_some_and(|report| report.draining),
            in_flight: report
                .map_or(0, |report| report.endpoints.values().map(|stats| stats.in_flight).sum()),
        }
    }
}

/// What limits on connections have cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedConnections {
    /// Refused because their client had as many as one may have.
    pub over_client_limit: u64,
    /// Refused because no file descriptor was free.
    pub without_descriptor: u64,
    /// Closed while idle, to make room for others.
    pub evicted: u64,
    /// TLS handshakes that failed, by whichever side.
    #[serde(default)]
    pub failed_handshakes: u64,
}

impl RefusedConnections {
    /// Whether there were none.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl From<ConnectionStats> for RefusedConnections {
    fn from(stats: ConnectionStats) -> Self {
        let ConnectionStats { over_client_limit, without_descriptor, evicted, failed_handshakes } = stats;
        Self { over_client_limit, without_descriptor, evicted, failed_handshakes }
    }
}

impl From<DaemonSnapshot> for DaemonStatus {
    fn from(snapshot: DaemonSnapshot) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime: snapshot.uptime,
            store: snapshot.store,
            store_revision: snapshot.store_revision,
            node: snapshot.node.into(),
            table: snapshot.table,
            acknowledged: snapshot.acknowledged,
            balancers: snapshot
                .balancers
                .into_iter()
                .map(|(process, report)| BalancerObject::of(process, report.as_ref()))
                .collect(),
            connections: snapshot.connections.into(),
            held_requests: snapshot.held_requests,
            http: snapshot.http.iter().map(ToString::to_string).collect(),
            https: snapshot.https.iter().map(ToString::to_string).collect(),
            services: snapshot.services,
            conditions: snapshot.conditions.into_iter().map(ObjectCondition::from).collect(),
        }
    }
}
