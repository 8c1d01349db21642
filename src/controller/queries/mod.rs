//! Queries: what is shown of services, replicas, nodes and the daemon.
//!
//! Invariants: reads only; what the reconciler decides on is never changed here.
//! Deliberately absent: HTTP and streams (`api`).

mod balancer_outage;
mod metrics;
mod objects;
mod progress;
mod show;
mod waits;

pub(super) use balancer_outage::BalancerOutage;
pub use metrics::MetricsSubscription;
pub use objects::{
    API_VERSION, Awaited, Counted, DaemonStatus, LogRecord, NodeObject, OperationOutcome, OperationProgress,
    ReplicaObject, ReplicaProgress, RevisionObject, ServiceObject, ServiceStatus,
};
