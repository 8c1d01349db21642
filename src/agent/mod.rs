//! Reconciles the containers of one node with the stored replicas, through the container engine.
//!
//! Purpose: [`plan`] decides from a [`NodeView`] and the [`AgentMemory`] (pure; `plan` is the sequence, the files next to it
//! the steps); [`Agent`] lists, reads, decides, acts and writes, again and again. `requests` answers what the controller
//! asks of a node.
//! Invariants: a running container gets its stop signal only after every balancer has acknowledged a table without its
//! endpoint; the agent never runs two containers of one replica; it never changes objects of another store; it reuses an
//! address or port only long after every balancer has dropped it; while the Engine is away it changes nothing.
//! Deliberately absent: which replicas exist (`orchestrator`), routing tables (`registry`), stopping containers when the
//! agent ends.

mod abandon;
mod action;
mod address;
mod allocator;
mod availability;
mod backoff;
mod carry_out;
mod classify;
mod cleanup;
mod commit;
mod conditions;
mod config;
mod confirmations;
mod container_events;
mod creation;
mod endpoint_address;
mod engine_watch;
mod examination;
mod examine;
mod execute;
mod first_contact;
mod gateway;
mod gateway_connect;
mod handle;
mod host_paths;
mod images;
mod known_volumes;
mod lifecycle;
mod mass_silence;
mod memory;
mod network;
mod node;
mod node_plan;
mod node_state;
mod observe;
mod plan;
mod plan_builder;
mod previous;
mod publisher;
mod readiness;
mod removal;
mod report;
mod requests;
mod resync;
mod ring_allocator;
mod run;
mod snapshot;
mod spec;
mod status;
mod status_events;
mod task;
mod view;
mod volumes;
mod wake;

#[cfg(test)]
mod tests;

pub use action::{ActionSubject, AgentAction};
pub use address::SubnetError;
pub use config::AgentConfig;
pub use first_contact::{containers_of_other_stores, identify_node};
pub use handle::{AgentHandle, AgentParts, AgentSilent, AgentState, Confirmed, EngineState};
pub use memory::{AgentMemory, UNACKNOWLEDGED_AFTER};
pub use node::{BalancerUrl, NodeFacts};
pub use node_plan::{EndpointWrite, NodePlan};
pub use node_state::{NetworkRecord, NodeState};
pub use plan::plan;
pub use plan_builder::{MAX_PULLS, MAX_STARTS};
#[cfg(test)]
pub(crate) use requests::LocalNode;
pub use requests::{KillTarget, LogLines, NodeRequests, VolumeRemovalError};
pub use ring_allocator::{LeasePool, PoolCursor};
pub use run::{Agent, AgentPass};
// In the signatures above: a caller of this module needs no import of `engine`.
pub use crate::engine::{EngineError, EngineInfo, LogLine, LogOptions};
pub use view::{NodeView, WantedReplica};
pub use volumes::{DoomedVolumes, NodeVolume, VolumeSource};
