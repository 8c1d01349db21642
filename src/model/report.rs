//! What a balancer says of itself to the controller.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{EndpointId, Latencies, Mono, ServiceName, TableName};

/// Made anew by each start of a balancer process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub String);

/// A table that a balancer could not apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableRejection {
    /// Which.
    pub table: TableName,
    /// Why.
    pub reason: String,
}

/// Counters of one endpoint since the balancer started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointStats {
    /// Requests sent to it that have not ended: from the choice until request and response bodies are finished.
    pub in_flight: u64,
    /// Requests that have ended since the newest table was without it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub drained: u64,
    /// Requests sent to it that have ended; told while the counters are watched.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub requests: u64,
    /// Of these, answered 500 to 599, or not at all; told while the counters are watched.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub errors: u64,
    /// From the choice of the endpoint to the headers of its answer; measured and told while the counters are watched.
    #[serde(default, skip_serializing_if = "Latencies::is_empty")]
    pub latencies: Latencies,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde hands out references
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// State of a balancer as of its last word. In-flight numbers were read after `applied` was on all threads and on
/// disk, so an endpoint that `applied` does not have and that is missing or 0 here is drained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BalancerReport {
    /// Which process.
    pub incarnation: Incarnation,
    /// The last table that all its threads took and whose file is in place.
    pub applied: Option<TableName>,
    /// The last table it refused, if it was refused after `applied`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<TableRejection>,
    /// When the counters were read, by the balancer's own clock; `None` while nobody watches them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<Mono>,
    /// Requests that failed since the balancer started, of each service of the table that has any: its client was answered
    /// 500 to 599, or not whole. Told whether or not somebody watches.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<ServiceName, u64>,
    /// Endpoints of the table, and those that left it not long ago or with requests in flight.
    pub endpoints: BTreeMap<EndpointId, EndpointStats>,
}

impl BalancerReport {
    /// Requests in flight to an endpoint.
    pub fn in_flight(&self, id: &EndpointId) -> u64 {
        self.endpoints.get(id).map_or(0, |stats| stats.in_flight)
    }
}
