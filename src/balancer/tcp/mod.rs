//! Plain TCP: the bytes of a client's connection are copied to an endpoint, and its bytes back.
//!
//! `connection` serves a client, `endpoint_search` finds an endpoint that can be connected to; `relay/` copies.
//! Invariants: the claim of an endpoint is held until both sockets are closed; nothing is read from a client before its endpoint is
//! connected.
//! Deliberately absent: any knowledge of what the bytes say.

mod connection;
mod endpoint_search;
mod handler;

pub(super) use handler::TcpHandler;
