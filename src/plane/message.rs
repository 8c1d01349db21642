//! The messages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{
    BalancerReport, Listener, ListenerId, RoutingTable, ServiceName, TableName, TableRoute, TableService,
};

/// Version of this protocol; a controller refuses a balancer that speaks another.
pub const PROTOCOL: u32 = 5;
/// Largest frame: 5,000 services with 200 endpoints of 300 bytes fit four times over.
pub const FRAME_MAX_BYTES: usize = 64 << 20;

/// What a controller says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ToBalancer {
    /// Serve from this. First word of every connection.
    Table {
        /// The whole table.
        table: RoutingTable,
    },
    /// Serve from the table named `base` with these changes; if that is not what was last sent to you, ask for a full
    /// one with [`ToController::NeedTable`].
    Delta {
        /// What changes.
        delta: TableDelta,
    },
    /// Begin or cease to measure, and to report counters every second. A balancer that has just connected does not.
    Watch {
        /// Whether somebody watches.
        watched: bool,
    },
}

/// The difference between two tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableDelta {
    /// From this table…
    pub base: TableName,
    /// …to this one.
    pub name: TableName,
    /// All listeners, where they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listeners: Option<BTreeMap<ListenerId, Listener>>,
    /// All routes, where they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<TableRoute>>,
    /// Services that differ; `None` is gone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<ServiceName, Option<TableService>>,
}

/// What a balancer says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ToController {
    /// First word of every connection.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// Its state.
        report: BalancerReport,
    },
    /// Its state, where it differs from the last: after each table, while requests end on endpoints that left the
    /// table, with the first request that fails after a second without, and every second. While the counters are watched,
    /// every second in any case.
    Report {
        /// Its state.
        report: BalancerReport,
    },
    /// A delta did not fit; send the whole table.
    NeedTable,
}
