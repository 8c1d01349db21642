//! What queries answer with: stored objects together with what the controller knows of them.
//!
//! Deliberately absent: the JSON of stored objects. Users' objects are built from these in `api`.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::deadline::RolloutDeadline;
use crate::agent::AgentState;
use crate::model::{
    Author, BalancerProcess, BalancerReport, Condition, ConnectionStats, CutRequests, EndpointStats,
    Generation, Incarnation, LastExit, Millis, Mono, NodeId, OutcomeRecord, Replica, ReplicaName,
    ReplicaStatus, ResolvedImage, Revision, RevisionNumber, Rollout, RolloutFailure, Service, ServiceName,
    StoreId, TableName,
};

/// A service with its rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSnapshot {
    pub service: Service,
    /// `None` before the first pass.
    pub rollout: Option<Rollout>,
    /// While time without progress counts.
    pub deadline: Option<RolloutDeadline>,
    pub conditions: Vec<Condition>,
    /// Wanted replicas.
    pub wanted: u32,
    /// Replicas that are ready and routed.
    pub available: u32,
    /// Of the revision that should run.
    pub image: ResolvedImage,
    /// Replicas that are held up, with the reason in one line.
    pub troubles: Vec<String>,
    /// What else the orchestrator waits for, as of now.
    pub waits: Vec<String>,
    /// Requests that failed during the rollout in progress or the last one; `None` where that is not known for all of it.
    pub failed_requests: Option<u64>,
    /// Requests that were cut in the operation in progress or the last one.
    pub cut: Vec<CutRequests>,
    /// Names of its volumes in Docker.
    pub volumes: Vec<String>,
    /// How often containers of the replicas that are meant to run were started again.
    pub restart_count: u32,
    /// The last container of these that ended by itself.
    pub last_exit: Option<(ReplicaName, LastExit)>,
}

/// A replica with the state that its agent and the balancer report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSnapshot {
    pub replica: Replica,
    pub status: Option<ReplicaStatus>,
    /// As the orchestrator assesses it: ready, and acknowledged by every balancer or, without a port, up for `healthyFor`.
    pub available: bool,
    /// Of its endpoint.
    pub stats: EndpointStats,
    /// Of its revision.
    pub image: ResolvedImage,
}

/// A revision with its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionSnapshot {
    pub revision: Revision,
    pub record: Option<OutcomeRecord>,
    /// Whether it should run now.
    pub current: bool,
}

/// A node with the state that its agent publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSnapshot {
    pub id: NodeId,
    pub state: AgentState,
}

/// The state of the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonSnapshot {
    /// How long the controller has run.
    pub uptime: Millis,
    pub store: StoreId,
    pub store_revision: u64,
    pub node: NodeSnapshot,
    /// The last table published.
    pub table: Option<TableName>,
    /// The last table that the balancer acknowledged.
    pub acknowledged: Option<TableName>,
    /// All that are known, with the last report of those that are connected.
    pub balancers: Vec<(BalancerProcess, Option<BalancerReport>)>,
    /// Counted by the balancers that are connected.
    pub connections: ConnectionStats,
    /// Requests that wait for a replica.
    pub held_requests: u64,
    /// Addresses of the HTTP entry point.
    pub http: Vec<SocketAddr>,
    /// Addresses of the HTTPS entry point.
    pub https: Vec<SocketAddr>,
    /// Number of services.
    pub services: u32,
    pub conditions: Vec<Condition>,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationEnd {
    /// Every wanted replica is ready and routed, and no other is left.
    Done,
    /// A first release serves with all its replicas, and is complete once they have served for `healthyFor`.
    Watched {
        /// How long that takes, if nothing fails.
        left: Millis,
    },
    /// The service is deleted.
    Deleted,
    /// The rollout failed and was rolled back.
    RolledBack { failure: RolloutFailure },
    /// The rollout failed and was not rolled back.
    Failed { failure: RolloutFailure },
    /// Another release took its place.
    Superseded {
        /// The generation that asks for it.
        by: Generation,
        revision: RevisionNumber,
        author: Author,
    },
}

/// What an operation waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Awaited {
    /// That the requested release runs: for apply, rollout, restart and undo.
    #[default]
    Release,
    /// That as many replicas as wanted run, of any release: for scale and abort.
    Count,
    /// That the service is gone: for delete.
    Deletion,
}

/// The state of an operation on one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgressSnapshot {
    pub service: ServiceName,
    pub deleting: bool,
    pub rollout: Option<Rollout>,
    /// Wanted replicas.
    pub wanted: u32,
    /// Whether each replaced replica is removed before its replacement starts.
    pub stops_first: bool,
    /// Replicas of the target that are ready and routed.
    pub available: u32,
    /// In the order of their names.
    pub replicas: Vec<ReplicaSnapshot>,
    /// Conditions of the daemon that block it, such as `EngineUnavailable`.
    pub held_by: Vec<Condition>,
    /// When the replicas' counters were read, by which balancer process and its clock.
    pub counted: Option<(Incarnation, Mono)>,
    /// As in [`ServiceSnapshot`].
    pub failed_requests: Option<u64>,
    /// Requests that were cut since the generation was written.
    pub cut: Vec<CutRequests>,
    pub end: Option<OperationEnd>,
}

/// A line of a replica's log; an answer of the API, never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    pub replica: ReplicaName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<jiff::Timestamp>,
    pub stderr: bool,
    pub text: String,
    /// Whether it says what happened to the replica, instead of what the container wrote.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub life: bool,
}
