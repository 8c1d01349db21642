//! The reconciler: passes over services, and all that is remembered between them.
//!
//! Invariants: a wake-up only marks a service; a pass reads everything again, runs once at a time and writes nothing when
//! nothing changes.
//! Deliberately absent: decisions about replicas (`orchestrator`), answers to users (`queries`).

mod error_count;
mod pass;
mod queue;
mod readiness;
mod run;
mod volume_removal;

pub(super) use error_count::RolloutErrorCount;
pub(super) use pass::{Memory, view};
pub(super) use queue::Queue;
pub(super) use volume_removal::docker_names;
