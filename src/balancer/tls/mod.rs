//! Ends TLS of clients, with rustls.
//!
//! `sites` has a configuration per certificate, `handshake` takes the one for the name that a client asks for.
//! Invariants: a client gets no certificate of another site than the one it named; TLS 1.2 at least; a handshake has a deadline.
//! Deliberately absent: where certificates come from (the routing table), what is spoken over TLS (a protocol handler).

mod handshake;
mod sites;

pub(super) use handshake::{HandshakeError, TlsPeer, handshake};
pub(super) use sites::{TlsSiteKeeper, TlsSites};
