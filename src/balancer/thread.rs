//! One balancer thread: puts its listeners, protocol handlers and picker together, and obeys the controlling thread.
//!
//! Everything in here belongs to the thread alone, so that no request takes a lock or waits in a queue for another thread.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::accept::{AcceptEnd, accept};
use super::connection_log::ConnectionLog;
use super::eviction::evict;
use super::http::{DateHeader, HttpHandler, HttpPool, HttpsHandler};
use super::last_requests::LastRequests;
use super::limits::{BalancerLimits, ROOM_PAUSE, UPSTREAM_IDLE};
use super::listener::{ClientConnections, ConnectionHandler};
use super::picker::Picker;
use super::relay::{RelayScratch, scratch};
use super::shared_connections::SharedConnections;
use super::sockets::AcceptSocket;
use super::table::CompiledTable;
use super::tcp::TcpHandler;
use crate::clock::Clock;
use crate::model::{ListenerId, ProtocolKind};

/// From the controlling thread.
#[derive(Debug)]
pub(super) enum ThreadCommand {
    /// Serve from this table; `taken` is answered once every later choice is made from it.
    Table { table: Arc<CompiledTable>, taken: oneshot::Sender<()> },
    /// Accept connections on this socket.
    Open(AcceptSocket),
    /// Close the listener's sockets and finish what came in on them.
    Close(ListenerId),
    /// Confirm this number, to show that the thread is alive.
    Ping(u64),
    /// End each connection with its next response; answer `finished` once the requests in flight have ended.
    Announce { finished: oneshot::Sender<()> },
    /// Leave all sockets to another process, and end with the last connection.
    Retire,
    /// Close all sockets and idle connections, finish what is in flight, end.
    Drain,
}

pub(super) struct ThreadConfig {
    pub(super) index: usize,
    pub(super) limits: BalancerLimits,
    pub(super) connections: Arc<SharedConnections>,
    pub(super) clock: Arc<dyn Clock>,
    /// The last ping that the thread confirmed.
    pub(super) confirmed_ping: Arc<AtomicU64>,
    pub(super) are_watched: Arc<AtomicBool>,
}

/// Serves until the thread has drained on command, or until the controlling thread is gone.
pub(super) async fn run(config: ThreadConfig, mut commands: mpsc::Receiver<ThreadCommand>) -> io::Result<()> {
    let ThreadConfig { index, limits, connections, clock, confirmed_ping, are_watched } = config;
    let picker: Rc<Picker<HttpPool>> = Rc::new(Picker::new(index, Arc::clone(&clock), are_watched));
    let mut listening = ThreadListeners {
        picker: Rc::clone(&picker),
        connections: Rc::new(ClientConnections::new(connections, ConnectionLog::new(Arc::clone(&clock)))),
        limits,
        clock: Arc::clone(&clock),
        requests: Rc::default(),
        succeeded: CancellationToken::new(),
        draining: CancellationToken::new(),
        accepting: TaskTracker::new(),
        listeners: HashMap::new(),
        scratch: scratch(),
    };
    tokio::task::spawn_local(sweep(Rc::clone(&picker)));
    tokio::task::spawn_local(make_room(Rc::clone(&listening.connections), Rc::clone(&picker), clock));
    loop {
        let command = tokio::select! {
            command = commands.recv() => command,
            () = listening.drained(), if listening.accepts_no_more() => return Ok(()),
        };
        match command {
            Some(ThreadCommand::Table { table, taken }) => {
                picker.install(table);
                // the receiver is gone only while the process ends
                let _ = taken.send(());
            }
            Some(ThreadCommand::Open(socket)) => listening.open(socket)?,
            Some(ThreadCommand::Close(listener)) => listening.close(&listener),
            Some(ThreadCommand::Ping(number)) => confirmed_ping.store(number, Ordering::Relaxed),
            Some(ThreadCommand::Announce { finished }) => listening.announce(finished),
            Some(ThreadCommand::Retire) => listening.succeeded.cancel(),
            Some(ThreadCommand::Drain) => listening.draining.cancel(),
            None => return Ok(()),
        }
    }
}

/// What the thread accepts on, and what its handlers share.
struct ThreadListeners {
    picker: Rc<Picker<HttpPool>>,
    connections: Rc<ClientConnections>,
    limits: BalancerLimits,
    clock: Arc<dyn Clock>,
    requests: Rc<LastRequests>,
    succeeded: CancellationToken,
    /// Of the whole thread; each listener has a child of it.
    draining: CancellationToken,
    /// The tasks that accept.
    accepting: TaskTracker,
    listeners: HashMap<ListenerId, CancellationToken>,
    /// Of all connections whose bytes are passed on.
    scratch: RelayScratch,
}

impl ThreadListeners {
    /// Accepts on a socket; a listener has one for each of its addresses.
    fn open(&mut self, socket: AcceptSocket) -> io::Result<()> {
        let AcceptSocket { listener, protocol, socket } = socket;
        socket.set_nonblocking(true)?;
        let socket = TcpListener::from_std(socket)?;
        let draining = self.listeners.entry(listener.clone()).or_insert_with(|| self.draining.child_token());
        let draining = draining.clone();
        match protocol {
            ProtocolKind::Http => self.accept(socket, self.http_handler(listener, &draining), draining),
            ProtocolKind::Https => {
                let handler = HttpsHandler::new(self.http_handler(listener, &draining));
                self.accept(socket, handler, draining);
            }
            ProtocolKind::Tcp => {
                let handler = TcpHandler {
                    listener,
                    picker: Rc::clone(&self.picker),
                    connections: Rc::clone(&self.connections),
                    drain_idle: self.limits.tcp_drain_idle,
                    clock: Arc::clone(&self.clock),
                    succeeded: self.succeeded.clone(),
                    draining: draining.clone(),
                    scratch: Rc::clone(&self.scratch),
                };
                self.accept(socket, handler, draining);
            }
        }
        Ok(())
    }

    fn http_handler(&self, listener: ListenerId, draining: &CancellationToken) -> HttpHandler {
        HttpHandler {
            listener,
            picker: Rc::clone(&self.picker),
            connections: Rc::clone(&self.connections),
            limits: self.limits,
            clock: Arc::clone(&self.clock),
            requests: Rc::clone(&self.requests),
            succeeded: self.succeeded.clone(),
            draining: draining.clone(),
            scratch: Rc::clone(&self.scratch),
            date: DateHeader::default(),
        }
    }

    fn accept(&self, socket: TcpListener, handler: impl ConnectionHandler, draining: CancellationToken) {
        let connections = Rc::clone(&self.connections);
        let end = AcceptEnd { succeeded: self.succeeded.clone(), draining };
        self.accepting.spawn_local(accept(socket, connections, Rc::new(handler), end));
    }

    fn announce(&self, finished: oneshot::Sender<()>) {
        self.requests.announce();
        let requests = Rc::clone(&self.requests);
        tokio::task::spawn_local(async move {
            requests.earlier_finished().await;
            // the receiver is gone if there is no more time
            let _ = finished.send(());
        });
    }

    fn accepts_no_more(&self) -> bool {
        self.draining.is_cancelled() || self.succeeded.is_cancelled()
    }

    /// Resolves once the sockets are closed and no connection is left.
    async fn drained(&self) {
        self.accepting.close();
        self.accepting.wait().await;
        self.connections.drained().await;
    }

    fn close(&mut self, listener: &ListenerId) {
        if let Some(draining) = self.listeners.remove(listener) {
            draining.cancel();
        }
    }
}

async fn sweep(picker: Rc<Picker<HttpPool>>) {
    loop {
        tokio::time::sleep(UPSTREAM_IDLE / 4).await;
        picker.sweep();
    }
}

/// Closes idle connections while others wait for their descriptors.
async fn make_room(connections: Rc<ClientConnections>, picker: Rc<Picker<HttpPool>>, clock: Arc<dyn Clock>) {
    let shared = &connections.shared;
    loop {
        shared.budget.pressed().await;
        let evicted = evict(shared.budget.share(), &connections, &picker, clock.mono());
        shared.counters.add_evicted(evicted);
        tokio::time::sleep(ROOM_PAUSE).await;
    }
}
