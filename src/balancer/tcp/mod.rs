//! Plain TCP: the bytes of a client's connection are copied to an endpoint, and its bytes back.
//!
//! `connection` serves a client, `endpoint_search` finds an endpoint that can be connected to, `direction` copies one way,
//! `relay` both, `activity` knows when a connection is idle.
//! Invariants: the claim of an endpoint is held until both sockets are closed; nothing is read from a client before its endpoint is
//! connected; the end of one direction is passed on and leaves the other one open; a connection is ended by the balancer only while
//! its client awaits nothing.
//! Deliberately absent: any knowledge of what the bytes say.

mod activity;
mod connection;
mod direction;
mod endpoint_search;
mod handler;
mod relay;

pub(super) use handler::{TcpHandler, TcpScratch, scratch};
