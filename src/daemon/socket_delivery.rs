//! Passes listening sockets from the supervisor to the running balancer: `SCM_RIGHTS`, one socket for each message.
//!
//! Invariants: a balancer gets every socket of every open listener once, whether it was bound before or after the
//! balancer's start; a balancer that cannot be passed its sockets is replaced, because a socket without an accepting
//! thread swallows connections.
//! Deliberately absent: anything from the balancer to the supervisor, which never reads here.

use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::datagram_channel::DatagramChannel;
use super::listeners::{BoundListener, ListenerMap, Listeners};
use crate::balancer::{AcceptSocket, SocketChange};
use crate::model::{ListenerId, ProtocolKind};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum SocketMessage {
    /// Comes with a socket for the thread of this index.
    Open {
        listener: ListenerId,
        protocol: ProtocolKind,
        thread: usize,
    },
    Close {
        listener: ListenerId,
    },
}

/// Supervisor: keeps the balancer's sockets in sync with the open listeners. Returns only if it cannot, also if the balancer
/// does not read for as long as `limit`.
pub(super) async fn deliver_sockets(
    channel: &DatagramChannel,
    listeners: &Listeners,
    limit: Duration,
) -> io::Error {
    let mut changes = listeners.subscribe();
    let mut delivered = ListenerMap::new();
    loop {
        let open = changes.borrow_and_update().clone();
        match timeout(limit, deliver_difference(channel, &delivered, &open)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error,
            Err(_) => return io::ErrorKind::TimedOut.into(),
        }
        delivered = open;
        if changes.changed().await.is_err() {
            return io::ErrorKind::BrokenPipe.into();
        }
    }
}

async fn deliver_difference(
    channel: &DatagramChannel,
    delivered: &ListenerMap,
    open: &ListenerMap,
) -> io::Result<()> {
    // a listener that was closed and opened again has the same id, but other sockets
    let is_in =
        |map: &ListenerMap, id, listener| map.get(id).is_some_and(|other| Arc::ptr_eq(other, listener));
    for (id, _) in delivered.iter().filter(|(id, listener)| !is_in(open, id, listener)) {
        send(channel, &SocketMessage::Close { listener: id.clone() }, None).await?;
    }
    for (id, listener) in open.iter().filter(|(id, listener)| !is_in(delivered, id, listener)) {
        deliver_listener(channel, id, listener).await?;
    }
    Ok(())
}

async fn deliver_listener(
    channel: &DatagramChannel,
    id: &ListenerId,
    listener: &BoundListener,
) -> io::Result<()> {
    for address in &listener.addresses {
        for (thread, socket) in address.sockets.iter().enumerate() {
            let protocol = listener.protocol;
            let message = SocketMessage::Open { listener: id.clone(), protocol, thread };
            send(channel, &message, Some(socket)).await?;
        }
    }
    Ok(())
}

async fn send(
    channel: &DatagramChannel,
    message: &SocketMessage,
    socket: Option<&TcpListener>,
) -> io::Result<()> {
    let bytes = serde_json::to_vec(message).map_err(io::Error::from)?;
    channel.send(&bytes, socket.map(AsFd::as_fd)).await
}

/// Balancer: passes on what the supervisor delivers, until the data plane ends.
///
/// # Errors
/// If a message is malformed; the supervisor is of the same version, so the process cannot trust its state then.
pub(super) async fn receive_sockets(
    channel: DatagramChannel,
    changes: mpsc::Sender<SocketChange>,
) -> io::Result<()> {
    loop {
        let message = channel.receive().await?;
        let change = match serde_json::from_slice(&message.bytes).map_err(io::Error::from)? {
            SocketMessage::Open { listener, protocol, thread } => {
                let socket = message.descriptor.ok_or(io::ErrorKind::InvalidData)?;
                let socket = TcpListener::from(socket);
                SocketChange::Open { thread, socket: AcceptSocket { listener, protocol, socket } }
            }
            SocketMessage::Close { listener } => SocketChange::Close(listener),
        };
        if changes.send(change).await.is_err() {
            return Ok(());
        }
    }
}
