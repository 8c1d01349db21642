//! The service registry: which instances are reachable, and the routing tables made from them.
//!
//! Purpose: `publish` (endpoints in the store; numbered tables, in order), `follow` (reads the store as it changes), `read`
//! (its objects, decoded), `table` (from these to a table), `https` (what a table has for HTTPS), `ledger` (what was published and withdrawn), `barrier` (from
//! balancer reports to what is acknowledged).
//! Invariants: tables are numbered per epoch and published in order; nothing is published before the agent has checked
//! the endpoints it finds (`open`); a withdrawn endpoint stays out until the store agrees.
//! Deliberately absent: who may register (the agent decides), how tables travel (`plane`).

pub mod barrier;
#[cfg(test)]
mod fixtures;
mod follow;
mod https;
mod ledger;
mod publish;
mod read;
pub mod table;

pub use barrier::{Barrier, Published};
pub use https::HttpsSettings;
pub use publish::Registry;
