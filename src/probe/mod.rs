//! Whether a container is ready, asked over the network.
//!
//! Purpose: one probe of each kind (`http`, `tcp`, `grpc`, `exec`), the thresholds that make a state of their outcomes (`tracker`), and
//! the [`Prober`], which watches many endpoints at once.
//! Invariants: an endpoint is watched under its identity, never its address alone; a probe over the network opens
//! a connection of its own and ends within its timeout; while the Engine is away a probe in the container says nothing; a change of timings does not throw away what is known.
//! Deliberately absent: Docker's own HEALTHCHECK, and what to do about a state (the agent's).

mod exec;
mod grpc;
mod http;
mod observation;
mod place;
mod prober;
mod tcp;
mod tracker;

pub use place::Place;
pub use prober::{ProbeTarget, Prober};
pub use tracker::{ProbeState, Tracker};
