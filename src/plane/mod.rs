//! The protocol between controller and balancers: tables down, reports up.
//!
//! Purpose: length-prefixed JSON frames over a unix socket that the supervisor listens on.
//! Invariants: a balancer's first frame is [`ToController::Hello`] with the id of a balancer that runs; the controller's
//! first is a full table; an acknowledgement follows only after every thread took the table and its file is in place, and
//! counts only after the balancers that run were listed; the controller remembers no acknowledgement over a connection.
//! Deliberately absent: secrets, anything of the store; what a table means (`balancer`), what a report means (`registry`).

mod client;
mod codec;
mod delta;
mod known;
mod message;
mod received;
mod server;

pub use client::PlaneClient;
pub use codec::FrameError;
pub use delta::{apply, diff};
pub use known::ListBalancers;
pub use message::{FRAME_MAX_BYTES, PROTOCOL, TableDelta, ToBalancer, ToController};
pub use received::ReceivedTable;
pub use server::PlaneServer;
