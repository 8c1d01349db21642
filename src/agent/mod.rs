//! Replicas to containers on one host: what the orchestrator wants, done through the container engine.
//!
//! Purpose: [`plan`] decides from one [`NodeView`] what is to do (pure; `plan` is the sequence, `classify`, `lifecycle`,
//! `removal`, `cleanup`, `deletion_guard`, `backoff`, `address`, `round`, `holdings`, `reached`, `network`, `images` the parts);
//! [`Agent`] looks, reads, decides, acts and writes, over and over.
//! Invariants: a container that runs gets its stop signal only after every balancer acknowledged a table without its
//! endpoint; two containers of one replica never run by our doing; what is not of our store is never touched; an address
//! or port is given out again only long after every balancer let it go; while the Engine is away nothing is changed.
//! Deliberately absent: which replicas there are (`orchestrator`), routing tables (`registry`), stopping containers when
//! the agent ends.

mod address;
mod availability;
pub(crate) mod backoff;
mod classify;
mod cleanup;
mod commit;
mod crashes;
mod deletion_guard;
mod draft;
pub mod events;
mod examine;
mod execute;
mod handle;
mod holdings;
mod images;
mod lifecycle;
mod looks;
mod memory;
mod network;
mod node;
mod observe;
mod plan;
mod probing;
mod reached;
mod removal;
mod replica_memory;
mod report;
mod requests;
mod round;
mod run;
mod snapshot;
mod spec;
mod status;
mod view;
mod wake;

#[cfg(test)]
mod tests;

pub use address::{Subnet, SubnetError};
pub use classify::{Bucket, OfReplica, Sorted, classify};
pub use crashes::Crashes;
pub use deletion_guard::DeletionGuard;
pub use draft::{AgentAction, EndpointWrite, MAX_PULLS, MAX_STARTS, NodePlan};
pub use examine::Findings;
pub use handle::{
    AgentConfig, AgentHandle, AgentParts, AgentSilent, AgentState, EngineState, check_instance,
};
pub use memory::{AgentMemory, ImageMemory, Signalled};
pub use node::{BalancerUrl, NodeFacts};
pub use plan::plan;
pub use probing::Probes;
pub use removal::UNACKNOWLEDGED_AFTER;
pub use replica_memory::{ReplicaMemory, Retry};
#[cfg(test)]
pub(crate) use requests::LocalNode;
pub use requests::{KillTarget, LogLines, NodeRequests, VolumeRemovalError};
pub use round::{Round, Stand};
pub use run::{Agent, Pass};
// In the signatures above: a caller of this module needs no import of `engine`.
pub use crate::engine::{EngineError, EngineInfo, LogLine, LogOptions};
pub use view::{NetworkRecord, NodeState, NodeView, Subject, WantedReplica};
