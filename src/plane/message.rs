//! Messages between controller and balancers, and their version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{
    BalancerId, BalancerReport, HostPattern, Listener, ListenerId, RoutingTable, ServiceName, TableName,
    TableRoute, TableService, TlsCertificate,
};

/// Version of this protocol; a controller refuses a balancer that speaks another.
pub const PROTOCOL: u32 = 6;
/// Largest frame: 5,000 services with 200 endpoints of 300 bytes fit four times over.
pub const FRAME_MAX_BYTES: usize = 64 << 20;

/// From the controller to a balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ToBalancer {
    /// Serve from this table. The first message of every connection.
    Table { table: RoutingTable },
    /// Serve from the table named `base` with these changes. If that is not the last table of this connection, ask for a
    /// whole one with [`ToController::NeedTable`].
    Delta { delta: TableDelta },
    /// Start or stop measuring, and reporting counters every second. A balancer that has just connected does not.
    Watch { watched: bool },
}

/// The difference between two tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableDelta {
    pub base: TableName,
    pub name: TableName,
    /// All listeners, where they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listeners: Option<BTreeMap<ListenerId, Listener>>,
    /// All routes, where they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<TableRoute>>,
    /// Services that differ; `None` if the service is removed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<ServiceName, Option<TableService>>,
    /// All certificates, where they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<BTreeMap<HostPattern, TlsCertificate>>,
}

/// From a balancer to the controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ToController {
    /// The first message of every connection.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        balancer: BalancerId,
        report: BalancerReport,
    },
    /// The balancer's state, if it differs from the last report: after each table, while requests end on endpoints that left
    /// the table, with the first request that fails after a second without failures, and every second. While the counters
    /// are watched, every second in any case.
    Report { report: BalancerReport },
    /// The delta did not fit; send the whole table.
    NeedTable,
}
