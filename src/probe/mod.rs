//! Whether a container is ready, asked over the network.
//!
//! Purpose: one probe of each kind (`http`, `tcp`), the thresholds that make a state of their outcomes (`tracker`), and
//! the [`Prober`], which watches many endpoints at once.
//! Invariants: an endpoint is watched under its identity, never its address alone; a probe opens a connection of its own
//! and ends within its timeout; a change of timings does not throw away what is known.
//! Deliberately absent: Docker's own HEALTHCHECK, and what to do about a state (the agent's).

mod http;
mod observation;
mod prober;
mod tcp;
mod tracker;

pub use prober::{ProbeTarget, Prober};
pub use tracker::{ProbeState, Tracker};
