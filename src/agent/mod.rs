//! Replicas to containers on one host: what the orchestrator wants, done through the container engine.
//!
//! Purpose: [`plan`] decides from one [`HostView`] what is to do (pure; `plan` is the sequence, `classify`, `lifecycle`,
//! `removal`, `cleanup`, `brake`, `backoff`, `address`, `round`, `holdings`, `reached`, `network`, `images` the parts);
//! [`Agent`] looks, reads, decides, acts and writes, over and over.
//! Invariants: a container that runs gets its stop signal only after every balancer acknowledged a table without its
//! endpoint; two containers of one replica never run by our doing; what is not of our store is never touched; an address
//! or port is given out again only long after every balancer let it go; while the Engine is away nothing is changed.
//! Deliberately absent: which replicas there are (`orchestrator`), routing tables (`registry`), stopping containers when
//! the agent ends.

mod address;
mod availability;
pub(crate) mod backoff;
mod brake;
mod classify;
mod cleanup;
mod commit;
mod crashes;
mod draft;
pub mod events;
mod examine;
mod execute;
mod handle;
mod holdings;
mod host;
mod images;
mod lifecycle;
mod looks;
mod memory;
mod network;
mod observe;
mod plan;
mod probing;
mod reached;
mod removal;
mod replica_memory;
mod report;
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
pub use brake::Brake;
pub use classify::{Bucket, OfReplica, Sorted, classify};
pub use crashes::Crashes;
pub use draft::{Action, EndpointWrite, MAX_PULLS, MAX_STARTS, Plan};
pub use examine::Findings;
pub use handle::{AgentConfig, AgentHandle, AgentSilent, AgentState, EngineState, Parts, check_instance};
pub use host::{BalancerAt, HostFacts};
pub use memory::{ImageMemory, Memory, Signalled};
pub use plan::plan;
pub use probing::Probes;
pub use removal::UNACKNOWLEDGED_AFTER;
pub use replica_memory::{ReplicaMemory, Retry};
pub use round::{Round, Stand};
pub use run::{Agent, Pass};
pub use view::{HostState, HostView, NetworkRecord, Subject, WantedReplica};
