//! Queries: answers to reads and watches, from a read model that follows the store and the balancer's reports.
//!
//! Invariants: everything is `&self`, and nothing that the reconciler decides on is changed; what only the reconciler
//! knows (how long a replica has been available, what a pass waits for) is read from the facts that it publishes.
//! Deliberately absent: HTTP, streams and JSON (`api`).

mod balancer_outages;
mod balancer_waits;
mod daemon;
mod daemon_conditions;
mod deadline;
mod explained_route;
mod handle;
mod metrics;
mod progress;
mod read_model;
mod route_explanation;
mod routes;
mod served_certificates;
mod services;
mod snapshots;
mod unopened_ports;
mod waits;

pub use daemon_conditions::DaemonConditions;
pub use deadline::RolloutDeadline;
pub use explained_route::{
    ExplainedEndpoint, ExplainedOutcome, ExplainedRequest, ExplainedRoute, RouteExplanation, RouteResult,
};
pub use handle::Queries;
pub use metrics::MetricsSubscription;
pub(super) use read_model::ReadModel;
pub use served_certificates::{CertificateReport, CertificateSnapshot, ServedCertificates};
pub use snapshots::{
    Awaited, DaemonSnapshot, LogEntry, NodeSnapshot, OperationEnd, ProgressSnapshot, ReplicaSnapshot,
    RevisionSnapshot, ServiceSnapshot,
};
pub use unopened_ports::UnopenedPorts;
