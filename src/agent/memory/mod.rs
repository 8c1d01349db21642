//! What the agent remembers between passes: times and counts that neither the store nor the Engine keeps. Pure.
//!
//! All of it may be lost at any moment: waits then start over and never end early. [`fold`] brings the memory up to date
//! with what a pass observes; the results of actions are recorded as they come in. Monotonic times only, except where a
//! user reads one, or a later agent continues from it.

mod agent_memory;
mod barrier;
mod crashes;
mod deletion_guard;
mod exits;
mod fold;
mod gateway;
mod images;
mod leases;
mod replica;
mod retries;
mod trial;

pub use agent_memory::AgentMemory;
pub use barrier::UNACKNOWLEDGED_AFTER;
pub(super) use exits::ExitMemory;
pub(super) use fold::fold;
pub(super) use gateway::UnreachableBalancer;
pub(super) use images::ImageMemory;
pub(super) use leases::Leases;
pub(super) use replica::ReplicaMemory;
pub(super) use retries::Retry;
pub(super) use trial::TRIAL_WRITTEN_EVERY;
