//! Queries: answers to reads and watches, from a read model that follows the store and the balancer's reports.
//!
//! Invariants: everything is `&self`, and nothing that the reconciler decides on is changed; what only the reconciler
//! knows (how long a replica has been available, what a pass waits for) is read from the facts that it publishes.
//! Deliberately absent: HTTP, streams and JSON (`api`).

mod balancer_outage;
mod daemon;
mod handle;
mod metrics;
mod objects;
mod progress;
mod read_model;
mod services;
mod waits;

pub use handle::Queries;
pub use metrics::MetricsSubscription;
pub use objects::{
    API_VERSION, Awaited, Counted, DaemonStatus, LogRecord, NodeObject, OperationOutcome, OperationProgress,
    ReplicaObject, ReplicaProgress, RevisionObject, ServiceObject, ServiceStatus,
};
pub(super) use read_model::ReadModel;
