//! The daemon.

use serde::{Deserialize, Serialize};

use super::{NodeObject, ObjectCondition};
use crate::controller::DaemonSnapshot;
use crate::model::{Millis, StoreId, TableName};

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
    /// Addresses of the HTTP entry point.
    pub http: Vec<String>,
    /// Number of services.
    pub services: u32,
    /// Conditions of the daemon that hold, such as `EngineUnavailable`, `DeletionHeld`.
    pub conditions: Vec<ObjectCondition>,
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
            http: snapshot.http.iter().map(ToString::to_string).collect(),
            services: snapshot.services,
            conditions: snapshot.conditions.into_iter().map(ObjectCondition::from).collect(),
        }
    }
}
