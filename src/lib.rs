//! Coxswain: a declarative controller for plain Docker Engine.
//!
//! The library behind the binary `ctl`. `docs/ARCHITECTURE.md` is the map; `tests/it/tidy.rs` guards which module may
//! import which.

pub mod agent;
pub mod api;
pub mod balancer;
pub mod certificates;
pub mod clock;
pub mod controller;
pub mod daemon;
pub mod engine;
pub mod events;
pub mod manifest;
pub mod model;
pub mod orchestrator;
pub mod plane;
pub mod probe;
pub mod registry;
pub mod routing;
pub mod source;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
