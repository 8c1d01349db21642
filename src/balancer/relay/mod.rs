//! Passes on the bytes of a connection, in both directions: for TCP listeners, and for connections that leave HTTP.
//!
//! `direction` copies one way, `copy` both, `activity` knows when a connection is idle, `websocket_frames` when a WebSocket may be
//! ended, `keepalive` lets the kernel find a peer that has vanished, `side` is what is copied between.
//! Invariants: the end of one direction is passed on and leaves the other one open; a connection is ended by the balancer only while
//! its client awaits nothing.
//! Deliberately absent: which endpoint the bytes go to.

mod activity;
mod copy;
mod direction;
mod keepalive;
mod scratch;
mod side;
mod websocket_frames;

pub(super) use activity::IdleLimits;
pub(super) use copy::{DrainSignals, EarlierBytes, Relay, RelayEnd, RelayedConnection};
pub(super) use keepalive::prepare;
pub(super) use scratch::{RelayScratch, scratch};
pub(super) use side::RelayClient;
pub(super) use websocket_frames::GOING_AWAY;
