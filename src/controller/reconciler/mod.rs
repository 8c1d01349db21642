//! The reconciler: a dirty queue of services, passes over them, and all memory between passes.
//!
//! Purpose: a pass reads a service, asks the pure orchestrator for a plan and commits it whole.
//! Invariants: a wake-up only marks a service; a pass reads everything again, runs once at a time and writes nothing when
//! nothing changes; no other part mutates the memory, which decides nothing but time; readers get copies
//! (`ServiceFacts`). While a node's Engine or the balancer is away, no deadline of its services runs.
//! Deliberately absent: decisions about replicas (`orchestrator`), answers to users (`queries`).

mod commit;
mod error_count;
mod event_expiry;
mod handle;
mod memory;
mod pass;
mod queue;
mod readiness;
mod run;
mod volume_removal;
mod volume_remover;
mod wait;

pub(super) use error_count::FailedRequestCount;
pub use handle::Reconciler;
pub(super) use memory::FactsReader;
