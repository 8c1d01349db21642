//! The service registry: which instances are reachable, and the routing tables made from them.
//!
//! Purpose: endpoints in the store (register, withdraw), `table` (endpoints and routes to a routing table), `publish`
//! (numbered tables, in order, as the store changes), `barrier` (balancer reports to what is acknowledged).
//! Invariants: tables are numbered per epoch and published in order; nothing is published before the agent has checked
//! the endpoints it finds (`open`); an endpoint withdrawn at once stays out until the store agrees.
//! Deliberately absent: who may register (the agent decides), how tables travel (`plane`).

pub mod barrier;
#[cfg(test)]
mod fixtures;
mod publish;
pub mod table;

pub use barrier::{Barrier, Published};
pub use publish::Registry;
