//! The daemon.

use serde::{Deserialize, Serialize};

use super::{NodeObject, ObjectCondition};
use crate::controller::DaemonSnapshot;
use crate::model::{Epoch, Millis, StoreId, TableName};

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
    pub table: Option<PublishedTable>,
    /// The last table that the balancer acknowledged; `None` while it is not connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<PublishedTable>,
    /// Addresses of the HTTP entry point.
    pub http: Vec<String>,
    /// Number of services.
    pub services: u32,
    /// Conditions of the daemon that hold, such as `EngineUnavailable`, `DeletionHeld`.
    pub conditions: Vec<ObjectCondition>,
}

/// The name of a routing table. Two tables compare only within one store and epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishedTable {
    pub store: StoreId,
    pub epoch: Epoch,
    pub revision: u64,
}

impl From<TableName> for PublishedTable {
    fn from(name: TableName) -> Self {
        let TableName { store, epoch, revision } = name;
        Self { store, epoch, revision }
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
            table: snapshot.table.map(PublishedTable::from),
            acknowledged: snapshot.acknowledged.map(PublishedTable::from),
            http: snapshot.http.iter().map(ToString::to_string).collect(),
            services: snapshot.services,
            conditions: snapshot.conditions.into_iter().map(ObjectCondition::from).collect(),
        }
    }
}
