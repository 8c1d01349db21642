//! The report of a balancer to the controller. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{EndpointId, Latencies, Mono, RevisionNumber, ServiceName, TableName};

/// Identifies one run of a balancer process: all counters start at zero with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub String);

/// A table that a balancer could not apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableRejection {
    pub table: TableName,
    pub reason: String,
}

/// Counters of one endpoint since the balancer started. Those that cost more to read are reported only while a
/// client watches the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointStats {
    /// Requests sent to it that have not ended: from the choice until request and response bodies are finished.
    pub in_flight: u64,
    /// Requests that have ended since the endpoint left the table.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub drained: u64,
    /// Requests sent to it that have ended; only while metrics are watched.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub requests: u64,
    /// Of these, answered 500 to 599, or not at all; only while metrics are watched.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub errors: u64,
    /// From the choice of the endpoint to the headers of its response; measured only while metrics are watched.
    #[serde(default, skip_serializing_if = "Latencies::is_empty")]
    pub latencies: Latencies,
}

impl EndpointStats {
    /// The sum of both.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        Self {
            in_flight: self.in_flight.saturating_add(other.in_flight),
            drained: self.drained.saturating_add(other.drained),
            requests: self.requests.saturating_add(other.requests),
            errors: self.errors.saturating_add(other.errors),
            latencies: self.latencies.with(&other.latencies),
        }
    }
}

/// Counters of one revision of a service since it joined the table, by an endpoint or a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionStats {
    /// Requests sent to its endpoints that have ended; only while metrics are watched.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub requests: u64,
    /// Requests that failed: the client got a status of 500 to 599 or an incomplete response. Also those that reached no
    /// endpoint, if the revision was theirs.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed: u64,
}

/// Counters of one service since it joined the table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStats {
    /// All requests that failed. More than the revisions' together: some had no revision, and the failures of a revision
    /// stay in here when it is gone.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed: u64,
    /// Requests that wait for an endpoint now.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held: u64,
    /// Revisions with an endpoint in the report or a share in the table; those without counts are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub revisions: BTreeMap<RevisionNumber, RevisionStats>,
}

/// Client connections that were not served, or not kept, since the balancer started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionStats {
    /// Connections, and requests through trusted proxies, of clients that had as many as one client may have.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub over_client_limit: u64,
    /// Connections for which there was no file descriptor.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub without_descriptor: u64,
    /// Idle connections, of clients and to endpoints, that were closed to make room for others.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub evicted: u64,
    /// TLS handshakes that failed, by whichever side.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed_handshakes: u64,
}

impl ConnectionStats {
    /// The sum of both.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        Self {
            over_client_limit: self.over_client_limit.saturating_add(other.over_client_limit),
            without_descriptor: self.without_descriptor.saturating_add(other.without_descriptor),
            evicted: self.evicted.saturating_add(other.evicted),
            failed_handshakes: self.failed_handshakes.saturating_add(other.failed_handshakes),
        }
    }

    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes references
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// State of a balancer. In-flight numbers were read after `applied` was on all threads and on disk, so an endpoint that
/// `applied` lacks and that is missing or 0 here is drained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BalancerReport {
    pub incarnation: Incarnation,
    /// The last table that all its threads took and whose file is in place.
    pub applied: Option<TableName>,
    /// The last table it refused, if it was refused after `applied`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<TableRejection>,
    /// It accepts no connections any more, and ends when its requests in flight have.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
    /// When the counters were read, by the balancer's own clock; `None` while metrics are not watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<Mono>,
    /// Services of the table and of the endpoints below; those without counts are left out. Failures are always counted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<ServiceName, ServiceStats>,
    #[serde(default, skip_serializing_if = "ConnectionStats::is_none")]
    pub connections: ConnectionStats,
    /// Endpoints of the table, and those that left it recently or still have requests in flight.
    pub endpoints: BTreeMap<EndpointId, EndpointStats>,
}

impl BalancerReport {
    /// The report of a process that has no table and has served no request.
    pub fn new(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            applied: None,
            refused: None,
            draining: false,
            counted: None,
            services: BTreeMap::new(),
            connections: ConnectionStats::default(),
            endpoints: BTreeMap::new(),
        }
    }

    /// Requests in flight to an endpoint.
    pub fn in_flight(&self, id: &EndpointId) -> u64 {
        self.endpoints.get(id).map_or(0, |stats| stats.in_flight)
    }

    /// Failed requests of a service, of all its revisions.
    pub fn failed(&self, service: &ServiceName) -> u64 {
        self.services.get(service).map_or(0, |stats| stats.failed)
    }
}
