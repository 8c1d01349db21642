//! Listening sockets as the balancer gets them: already bound, each for one thread.

use std::net::TcpListener;

use crate::model::{ListenerId, ProtocolKind};

/// A socket to accept connections on.
#[derive(Debug)]
pub struct AcceptSocket {
    /// Connections take the routes of this listener.
    pub listener: ListenerId,
    pub protocol: ProtocolKind,
    pub socket: TcpListener,
}

/// A change to the sockets that a balancer accepts on.
#[derive(Debug)]
pub enum SocketChange {
    /// The thread of this index accepts on the socket.
    Open { thread: usize, socket: AcceptSocket },
    /// All threads close the listener's sockets and finish the requests that came in on them.
    Close(ListenerId),
}
