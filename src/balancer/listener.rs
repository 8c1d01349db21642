//! Accepts the connections of a socket within the limits on clients, and hands them to a protocol handler.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::rc::Rc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::limits::{ACCEPT_PAUSE, BalancerLimits};
use super::shortage::ShortageLog;

/// Serves client connections in one protocol. A handler picks an endpoint through the picker for everything that a client
/// asks for, holds the claim until its last byte, and ends its connections politely when the thread drains.
pub(super) trait ConnectionHandler: 'static {
    /// Serves a connection to its end; the admission is dropped then.
    fn serve(self: Rc<Self>, stream: TcpStream, admission: Admission) -> impl Future<Output = ()> + 'static;
}

/// The client connections of a thread.
pub(super) struct ClientConnections {
    limits: BalancerLimits,
    total: Cell<usize>,
    by_client: RefCell<HashMap<IpAddr, usize>>,
    /// Notified by each connection that ends.
    ended: Notify,
}

impl ClientConnections {
    pub(super) fn new(limits: BalancerLimits) -> Self {
        Self { limits, total: Cell::default(), by_client: RefCell::default(), ended: Notify::new() }
    }

    /// Resolves when there is none.
    pub(super) async fn drained(&self) {
        while self.total.get() > 0 {
            self.ended.notified().await;
        }
    }

    /// Resolves when another one is allowed.
    async fn available(&self) {
        while self.total.get() >= self.limits.connections {
            self.ended.notified().await;
        }
    }

    /// Admits a connection; `None` if its client has too many.
    fn admit(self: &Rc<Self>, client: IpAddr) -> Option<Admission> {
        let mut by_client = self.by_client.borrow_mut();
        let count = by_client.entry(client).or_default();
        if *count >= self.limits.per_client {
            return None;
        }
        *count += 1;
        self.total.set(self.total.get() + 1);
        Some(Admission { connections: Rc::clone(self), client })
    }
}

/// An admitted client connection; counts until it is dropped.
pub(super) struct Admission {
    connections: Rc<ClientConnections>,
    client: IpAddr,
}

impl Admission {
    pub(super) fn client(&self) -> IpAddr {
        self.client
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let connections = &self.connections;
        connections.total.set(connections.total.get() - 1);
        let mut by_client = connections.by_client.borrow_mut();
        if let Some(count) = by_client.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                by_client.remove(&self.client);
            }
        }
        connections.ended.notify_waiters();
    }
}

/// Accepts until `draining`.
pub(super) async fn accept<H: ConnectionHandler>(
    socket: TcpListener,
    connections: Rc<ClientConnections>,
    handler: Rc<H>,
    shortages: Rc<ShortageLog>,
    draining: CancellationToken,
) {
    let accepting = async {
        loop {
            connections.available().await;
            match socket.accept().await {
                Ok((stream, peer)) => match connections.admit(peer.ip().to_canonical()) {
                    Some(admission) => {
                        tokio::task::spawn_local(Rc::clone(&handler).serve(stream, admission));
                    }
                    None => tracing::debug!(client = %peer.ip(), "too many connections of one client"),
                },
                Err(error) => {
                    shortages.report(&error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = draining.cancelled() => {}
    }
}
