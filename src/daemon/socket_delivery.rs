//! Passes listening sockets from the supervisor to the running balancer: `SCM_RIGHTS`, one socket for each message.
//!
//! Invariants: a balancer gets every socket of every open listener once, whether it was bound before or after the
//! balancer's start; a balancer that cannot be passed its sockets is replaced, because a socket without an accepting
//! thread swallows connections.
//! The messages are the same as long as `hand_over` has the same format: a supervisor may have balancers of an earlier version.
//! Deliberately absent: anything from the balancer to the supervisor, which never reads here.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::datagram_channel::DatagramChannel;
use super::listeners::{BoundListener, ListenerMap, Listeners};
use crate::balancer::{AcceptSocket, DrainReason, SocketChange};
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
    /// Another balancer accepts on all sockets from now on.
    Retire,
}

/// What a balancer has been passed so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SocketDelivery {
    /// The generations of the listeners of which it has all sockets.
    delivered: BTreeMap<ListenerId, u64>,
    /// A listener of which it has some.
    partial: Option<PartialDelivery>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartialDelivery {
    listener: ListenerId,
    generation: u64,
    /// How many of its sockets.
    sockets: usize,
}

impl SocketDelivery {
    /// Supervisor: keeps the balancer's sockets in sync with the open listeners. Returns only if it cannot, also if the
    /// balancer does not read for as long as `limit`. May be cancelled and called again.
    pub(super) async fn run(
        &mut self,
        channel: &DatagramChannel,
        listeners: &Listeners,
        limit: Duration,
    ) -> io::Error {
        let mut changes = listeners.subscribe();
        loop {
            let open = changes.borrow_and_update().clone();
            match timeout(limit, self.deliver(channel, &open)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error,
                Err(_) => return io::ErrorKind::TimedOut.into(),
            }
            if changes.changed().await.is_err() {
                return io::ErrorKind::BrokenPipe.into();
            }
        }
    }

    /// Each message is recorded as soon as it is sent.
    pub(super) async fn deliver(&mut self, channel: &DatagramChannel, open: &ListenerMap) -> io::Result<()> {
        let is_open = |id: &ListenerId, generation: u64| {
            open.get(id).is_some_and(|listener| listener.generation == generation)
        };
        if let Some(PartialDelivery { listener, generation, .. }) = self.partial.clone() {
            match open.get(&listener).filter(|found| found.generation == generation) {
                Some(found) => self.deliver_listener(channel, &listener, found).await?,
                None => {
                    send(channel, &SocketMessage::Close { listener }, None).await?;
                    self.partial = None;
                }
            }
        }
        let closed = |(id, generation): (&ListenerId, &u64)| (!is_open(id, *generation)).then(|| id.clone());
        while let Some(listener) = self.delivered.iter().find_map(closed) {
            send(channel, &SocketMessage::Close { listener: listener.clone() }, None).await?;
            self.delivered.remove(&listener);
        }
        for (id, listener) in open {
            if !self.delivered.contains_key(id) {
                self.deliver_listener(channel, id, listener).await?;
            }
        }
        Ok(())
    }

    async fn deliver_listener(
        &mut self,
        channel: &DatagramChannel,
        id: &ListenerId,
        listener: &BoundListener,
    ) -> io::Result<()> {
        let BoundListener { addresses, .. } = listener;
        let generation = listener.generation;
        let sockets = addresses.iter().flat_map(|address| address.sockets.iter().enumerate());
        let begun = PartialDelivery { listener: id.clone(), generation, sockets: 0 };
        let partial = self.partial.get_or_insert(begun);
        for (thread, socket) in sockets.skip(partial.sockets) {
            let message = SocketMessage::Open { listener: id.clone(), protocol: listener.protocol, thread };
            send(channel, &message, Some(socket)).await?;
            partial.sockets += 1;
        }
        self.partial = None;
        self.delivered.insert(id.clone(), generation);
        Ok(())
    }
}

/// Supervisor: a successor serves; the balancer finishes its requests and ends.
pub(super) async fn retire(channel: &DatagramChannel) -> io::Result<()> {
    send(channel, &SocketMessage::Retire, None).await
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
/// If a message is malformed: the process cannot trust its state then.
pub(super) async fn receive_sockets(
    channel: DatagramChannel,
    changes: mpsc::Sender<SocketChange>,
    drain: &watch::Sender<Option<DrainReason>>,
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
            SocketMessage::Retire => {
                drain.send_replace(Some(DrainReason::Succeeded));
                continue;
            }
        };
        if changes.send(change).await.is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::datagram_channel::datagram_pair;
    use super::super::supervisor_command::OpenListener;
    use super::*;

    /// What a balancer was passed: `+web 0` for the socket of thread 0.
    async fn received(channel: &DatagramChannel, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        for _ in 0..count {
            let message = channel.receive().await.unwrap();
            lines.push(match serde_json::from_slice(&message.bytes).unwrap() {
                SocketMessage::Open { listener, thread, .. } => {
                    assert!(message.descriptor.is_some());
                    format!("+{listener} {thread}")
                }
                SocketMessage::Close { listener } => format!("-{listener}"),
                SocketMessage::Retire => "retire".to_owned(),
            });
        }
        lines
    }

    fn listeners() -> Listeners {
        Listeners::bind(&["127.0.0.1:0".parse().unwrap()], &[], None).unwrap()
    }

    fn open(listeners: &Listeners, id: &str) {
        let address = "127.0.0.1:0".parse().unwrap();
        listeners.open(&OpenListener { id: id.into(), address, protocol: ProtocolKind::Http }).unwrap();
    }

    /// More messages than the channel holds, so that each read lets one more be sent.
    #[tokio::test]
    async fn cancelled_delivery_neither_repeats_nor_leaves_out_a_socket() {
        let listeners = listeners();
        (0..30).for_each(|number| open(&listeners, &format!("web-{number}")));
        let all = 31 * listeners.threads;
        let (ours, theirs) = datagram_pair().unwrap();
        let theirs = DatagramChannel::new(theirs).unwrap();
        let mut delivery = SocketDelivery::default();
        let mut seen = Vec::new();
        while seen.len() < all {
            tokio::select! {
                biased;
                line = received(&theirs, 1) => seen.extend(line),
                error = delivery.run(&ours, &listeners, Duration::from_secs(60)) => panic!("{error}"),
            }
            // as it is passed to another program
            delivery = serde_json::from_str(&serde_json::to_string(&delivery).unwrap()).unwrap();
        }
        let unique: BTreeSet<&String> = seen.iter().collect();
        assert_eq!(unique.len(), all, "{seen:?}");
    }

    #[tokio::test]
    async fn listener_that_was_reopened_or_half_delivered_is_closed_first() {
        let listeners = listeners();
        open(&listeners, "web");
        let (ours, theirs) = datagram_pair().unwrap();
        let theirs = DatagramChannel::new(theirs).unwrap();
        let map = || listeners.subscribe().borrow().clone();
        let mut delivery = SocketDelivery::default();
        delivery.deliver(&ours, &map()).await.unwrap();
        received(&theirs, 2 * listeners.threads).await;
        listeners.close(&"web".into()).unwrap();
        open(&listeners, "web");
        delivery.deliver(&ours, &map()).await.unwrap();
        let mut expected = vec!["-web".to_owned()];
        expected.extend((0..listeners.threads).map(|thread| format!("+web {thread}")));
        assert_eq!(received(&theirs, expected.len()).await, expected);

        delivery.partial = Some(PartialDelivery { listener: "gone".into(), generation: 9, sockets: 1 });
        delivery.deliver(&ours, &map()).await.unwrap();
        retire(&ours).await.unwrap();
        assert_eq!(received(&theirs, 2).await, ["-gone", "retire"]);
    }
}
