//! Readiness probes of containers.
//!
//! Purpose: one probe of each kind (`http`, `tcp`, `grpc`, `exec`), the thresholds that turn their outcomes into a state
//! (`tracker`), and the [`Prober`], which watches many endpoints at once.
//! Invariants: an endpoint is watched under its identity, never its address alone; a probe over the network opens a
//! connection of its own and ends within its timeout; while the Engine is away a probe in the container has no outcome; a
//! change of timings does not discard the state.
//! Deliberately absent: Docker's own HEALTHCHECK, and the reaction to a state (the agent's).

mod address;
mod exec;
mod grpc;
mod health_message;
mod http;
mod observation;
mod prober;
mod tcp;
mod tracker;

pub use address::ProbeAddress;
pub use prober::{ProbeTarget, Prober, Probes};
pub use tracker::{ProbeState, Tracker};
