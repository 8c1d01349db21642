//! Accepts the connections of a socket within the limits on clients, and hands them to a protocol handler.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};

use super::client_limit::ClientSlot;
use super::connection_log::ConnectionLog;
use super::eviction_round::EvictionRound;
use super::limits::{REFUSING_MAX, ROOM_WAIT, WAITING_FOR_ROOM_MAX};
use super::refuse::{refuse, refuse_at_once};
use super::shared_connections::SharedConnections;
use super::socket_budget::SocketPermit;
use crate::model::Mono;

/// Serves client connections in one protocol. A handler picks an endpoint through the picker for everything that a client
/// asks for, holds the claim until its last byte, and ends its connections politely when the thread drains.
pub(super) trait ConnectionHandler: 'static {
    /// Serves a connection to its end; the admission is dropped then.
    fn serve(self: Rc<Self>, stream: TcpStream, admission: Admission) -> impl Future<Output = ()> + 'static;
    /// What a client is sent whose connection is not served; nothing if the protocol has no words for it.
    fn refusal(&self, refusal: ConnectionRefusal) -> Vec<u8>;
}

/// Why a connection is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionRefusal {
    /// The client has as many as one may have.
    ClientLimit(usize),
    /// No descriptor is free, and no connection is idle.
    NoRoom,
}

/// A connection that may be idle.
pub(super) trait EvictableConnection {
    /// Since when it waits for its client, if closing it would cut nothing.
    fn idle_since(&self, now: Mono) -> Option<Mono>;
    /// Closes it, unless its client has begun to send by then.
    fn evict(&self);
}

/// The client connections of a thread.
pub(super) struct ClientConnections {
    pub(super) shared: Arc<SharedConnections>,
    pub(super) log: ConnectionLog,
    /// Number of the last one.
    last: Cell<u64>,
    /// Those that are being served, by their numbers.
    evictable: RefCell<HashMap<u64, Rc<dyn EvictableConnection>>>,
    total: Cell<usize>,
    waiting_for_room: Arc<Semaphore>,
    refusing: Arc<Semaphore>,
    /// Notified by each connection that ends.
    ended: Notify,
}

impl ClientConnections {
    pub(super) fn new(shared: Arc<SharedConnections>, log: ConnectionLog) -> Self {
        Self {
            shared,
            log,
            last: Cell::default(),
            evictable: RefCell::default(),
            total: Cell::default(),
            waiting_for_room: Arc::new(Semaphore::new(WAITING_FOR_ROOM_MAX)),
            refusing: Arc::new(Semaphore::new(REFUSING_MAX)),
            ended: Notify::new(),
        }
    }

    /// Resolves when there is none.
    pub(super) async fn drained(&self) {
        while self.total.get() > 0 {
            self.ended.notified().await;
        }
    }

    /// Since when each of those has been idle that are.
    pub(super) fn idle_since(&self, now: Mono) -> Vec<Mono> {
        self.evictable.borrow().values().filter_map(|connection| connection.idle_since(now)).collect()
    }

    /// Closes those that the round takes.
    pub(super) fn evict(&self, round: &mut EvictionRound, now: Mono) {
        for connection in self.evictable.borrow().values() {
            if connection.idle_since(now).is_some_and(|since| round.takes(since)) {
                connection.evict();
            }
        }
    }

    /// Counts one connection or request more of a client that may be refused.
    pub(super) fn admit_client(&self, client: IpAddr) -> Result<ClientSlot, ConnectionRefusal> {
        let clients = &self.shared.clients;
        clients.admit(client).ok_or_else(|| {
            self.shared.counters.add_over_client_limit();
            self.log.report_client_limit(client, clients.limit());
            ConnectionRefusal::ClientLimit(clients.limit())
        })
    }

    /// Serves a connection that was just accepted, or refuses it.
    pub(super) async fn receive<H: ConnectionHandler>(
        self: &Rc<Self>,
        handler: &Rc<H>,
        stream: TcpStream,
        peer: IpAddr,
    ) {
        let is_trusted = self.shared.trusted.trusts(peer);
        let slot = match (!is_trusted).then(|| self.admit_client(peer)).transpose() {
            Ok(slot) => slot,
            Err(refusal) => return self.refuse(&**handler, stream, refusal),
        };
        let client = ConnectedPeer { address: peer, is_trusted, _slot: slot };
        match self.shared.budget.try_take_for_client() {
            Some(permit) => {
                let admission = self.admit(client, permit);
                tokio::task::spawn_local(Rc::clone(handler).serve(stream, admission));
            }
            None => self.make_room(Rc::clone(handler), stream, client).await,
        }
    }

    fn admit(self: &Rc<Self>, peer: ConnectedPeer, permit: SocketPermit) -> Admission {
        self.last.set(self.last.get() + 1);
        let counted = CountedConnection::new(self);
        Admission { number: self.last.get(), peer, _permit: permit, counted }
    }

    /// Serves a connection once an idle one has been closed for it; refuses it if none is. Returns when the next connection
    /// may be accepted: the kernel keeps those for which there is no place here.
    async fn make_room<H: ConnectionHandler>(
        self: &Rc<Self>,
        handler: Rc<H>,
        stream: TcpStream,
        peer: ConnectedPeer,
    ) {
        let free = Arc::clone(&self.waiting_for_room).acquire_owned();
        let Ok(Ok(place)) = tokio::time::timeout(ROOM_WAIT, free).await else {
            return self.refuse_without_room(&*handler, stream);
        };
        let connections = Rc::clone(self);
        let counted = CountedConnection::new(self);
        tokio::task::spawn_local(async move {
            match connections.shared.budget.take_for_client().await {
                Some(permit) => {
                    drop(place);
                    let admission = connections.admit(peer, permit);
                    drop(counted);
                    handler.serve(stream, admission).await;
                }
                None => connections.refuse_without_room(&*handler, stream),
            }
        });
    }

    fn refuse_without_room(&self, handler: &impl ConnectionHandler, stream: TcpStream) {
        self.shared.counters.add_without_descriptor();
        self.log.report_no_room();
        self.refuse(handler, stream, ConnectionRefusal::NoRoom);
    }

    fn refuse(&self, handler: &impl ConnectionHandler, stream: TcpStream, refusal: ConnectionRefusal) {
        let answer = handler.refusal(refusal);
        match Arc::clone(&self.refusing).try_acquire_owned() {
            Ok(place) => {
                tokio::task::spawn_local(async move {
                    refuse(stream, answer).await;
                    drop(place);
                });
            }
            Err(_) => refuse_at_once(&stream, &answer),
        }
    }
}

/// Who is at the other end of a connection.
struct ConnectedPeer {
    address: IpAddr,
    is_trusted: bool,
    /// Not of a trusted proxy: its connections are those of many clients.
    _slot: Option<ClientSlot>,
}

/// A connection that the end of the thread waits for.
struct CountedConnection(Rc<ClientConnections>);

impl CountedConnection {
    fn new(connections: &Rc<ClientConnections>) -> Self {
        connections.total.set(connections.total.get() + 1);
        Self(Rc::clone(connections))
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        self.0.total.set(self.0.total.get() - 1);
        self.0.ended.notify_waiters();
    }
}

/// An admitted client connection, until it is dropped.
pub(super) struct Admission {
    number: u64,
    peer: ConnectedPeer,
    _permit: SocketPermit,
    counted: CountedConnection,
}

impl Admission {
    /// The address at the other end.
    pub(super) fn peer(&self) -> IpAddr {
        self.peer.address
    }

    /// Whether the peer is a trusted proxy, whose forwarding headers are believed.
    pub(super) fn is_trusted(&self) -> bool {
        self.peer.is_trusted
    }

    /// Lets this connection be closed for others while it is idle.
    pub(super) fn keep_evictable(&self, connection: Rc<dyn EvictableConnection>) {
        self.counted.0.evictable.borrow_mut().insert(self.number, connection);
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.counted.0.evictable.borrow_mut().remove(&self.number);
    }
}
