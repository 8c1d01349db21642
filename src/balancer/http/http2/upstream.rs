//! Connections to an endpoint that speaks HTTP/2: each carries many requests at a time.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use tokio::net::TcpStream;

use crate::balancer::connect::{self, ConnectError};
use crate::balancer::eviction_round::EvictionRound;
use crate::balancer::limits::{
    HEADERS_MAX_BYTES, HTTP2_SEND_BUFFER, HTTP2_STREAM_WINDOW, HTTP2_UPSTREAM_FRAME_BUDGET,
    HTTP2_UPSTREAM_REQUESTS_MAX, HTTP2_UPSTREAM_RESETS_MAX, HTTP2_UPSTREAM_WINDOW, UPSTREAM_FRESH,
    UPSTREAM_IDLE,
};
use crate::balancer::pool::ReusePolicy;
use crate::balancer::relay;
use crate::balancer::socket_budget::{SocketBudget, SocketPermit};
use crate::clock::Clock;
use crate::model::Mono;

/// A thread's connections to one endpoint.
pub(in crate::balancer::http) struct Http2Pool {
    clock: Arc<dyn Clock>,
    connections: RefCell<Vec<SharedConnection>>,
    /// Whether the endpoint left the thread's table: a connection ends with its last request.
    is_closed: Cell<bool>,
}

#[derive(Clone)]
struct SharedConnection {
    sender: SendRequest<Bytes>,
    address: SocketAddr,
    usage: Rc<ConnectionUsage>,
}

/// What is known of a connection that is shared.
struct ConnectionUsage {
    clock: Arc<dyn Clock>,
    /// Requests under way.
    requests: Cell<usize>,
    /// When the last of them ended.
    idle_since: Cell<Mono>,
    /// Whether it takes no more requests: one side has ended it, or it has not answered.
    has_ended: Cell<bool>,
}

/// A place for one request, until it is dropped.
pub(in crate::balancer::http) struct Http2Lease {
    pub(super) sender: SendRequest<Bytes>,
    usage: Rc<ConnectionUsage>,
}

impl Http2Pool {
    pub(in crate::balancer::http) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self { clock: Arc::clone(clock), connections: RefCell::default(), is_closed: Cell::default() }
    }

    /// A place on a connection that has room for one request more.
    pub(in crate::balancer::http) fn reuse(
        &self,
        address: SocketAddr,
        policy: ReusePolicy,
    ) -> Option<Http2Lease> {
        if policy == ReusePolicy::Never {
            return None;
        }
        self.drop_ended();
        let now = self.clock.mono();
        let longest = if policy == ReusePolicy::Fresh { UPSTREAM_FRESH } else { UPSTREAM_IDLE };
        let connections = self.connections.borrow();
        let has_room = |shared: &&SharedConnection| {
            let most = shared.sender.current_max_send_streams().min(HTTP2_UPSTREAM_REQUESTS_MAX as usize);
            let is_fresh = shared.usage.idle_since().is_none_or(|since| now.since(since).std() < longest);
            shared.address == address && shared.usage.requests.get() < most && is_fresh
        };
        connections.iter().find(has_room).map(SharedConnection::lease)
    }

    /// A place on a new connection, which further requests can share.
    pub(in crate::balancer::http) async fn connect(
        &self,
        address: SocketAddr,
        budget: &SocketBudget,
    ) -> Result<Http2Lease, ConnectError> {
        let (stream, permit) = connect::connect(address, budget).await?;
        relay::prepare(&stream).map_err(|error| ConnectError::Io(address, error))?;
        let usage = Rc::new(ConnectionUsage {
            clock: Arc::clone(&self.clock),
            requests: Cell::new(0),
            idle_since: Cell::new(self.clock.mono()),
            has_ended: Cell::new(false),
        });
        let sender = begin(stream, permit, &usage).await.map_err(|error| {
            let error = error.into_io().unwrap_or_else(|| std::io::ErrorKind::ConnectionAborted.into());
            ConnectError::Io(address, error)
        })?;
        let shared = SharedConnection { sender, address, usage };
        let lease = shared.lease();
        if !self.is_closed.get() {
            self.connections.borrow_mut().push(shared);
        }
        Ok(lease)
    }

    /// Closes connections that were idle for too long.
    pub(in crate::balancer::http) fn sweep(&self) {
        let now = self.clock.mono();
        let is_fresh = |since: Mono| now.since(since).std() < UPSTREAM_IDLE;
        let is_kept =
            |usage: &ConnectionUsage| !usage.has_ended.get() && usage.idle_since().is_none_or(is_fresh);
        self.connections.borrow_mut().retain(|shared| is_kept(&shared.usage));
    }

    /// The endpoint left the table: each connection ends with its last request.
    pub(in crate::balancer::http) fn close(&self) {
        self.is_closed.set(true);
        self.connections.borrow_mut().clear();
    }

    /// Adds since when each idle connection has been so.
    pub(in crate::balancer::http) fn idle_since(&self, since: &mut Vec<Mono>) {
        since.extend(self.connections.borrow().iter().filter_map(|shared| shared.usage.idle_since()));
    }

    /// Closes the idle connections that the round takes.
    pub(in crate::balancer::http) fn evict(&self, round: &mut EvictionRound) {
        let mut is_taken =
            |usage: &ConnectionUsage| usage.idle_since().is_some_and(|since| round.takes(since));
        self.connections.borrow_mut().retain(|shared| !is_taken(&shared.usage));
    }

    fn drop_ended(&self) {
        self.connections.borrow_mut().retain(|shared| !shared.usage.has_ended.get());
    }
}

impl SharedConnection {
    fn lease(&self) -> Http2Lease {
        self.usage.requests.set(self.usage.requests.get() + 1);
        Http2Lease { sender: self.sender.clone(), usage: Rc::clone(&self.usage) }
    }
}

impl ConnectionUsage {
    /// Since when it carries no request; `None` while it does.
    fn idle_since(&self) -> Option<Mono> {
        (self.requests.get() == 0).then(|| self.idle_since.get())
    }
}

impl Http2Lease {
    /// No further request takes this connection; those under way have it until they end.
    pub(super) fn retire_connection(&self) {
        self.usage.has_ended.set(true);
    }
}

impl Drop for Http2Lease {
    fn drop(&mut self) {
        self.usage.requests.set(self.usage.requests.get() - 1);
        self.usage.idle_since.set(self.usage.clock.mono());
    }
}

/// Begins HTTP/2 on a connection. It is served until one side ends it, or nothing refers to its sender and no request is under way.
async fn begin(
    stream: TcpStream,
    permit: SocketPermit,
    usage: &Rc<ConnectionUsage>,
) -> Result<SendRequest<Bytes>, h2::Error> {
    let mut settings = Builder::new();
    settings
        .enable_push(false)
        .max_header_list_size(u32::try_from(HEADERS_MAX_BYTES).unwrap_or(u32::MAX))
        .initial_window_size(HTTP2_STREAM_WINDOW)
        .initial_connection_window_size(HTTP2_UPSTREAM_WINDOW)
        .max_send_buffer_size(HTTP2_SEND_BUFFER)
        .data_frame_budget(HTTP2_UPSTREAM_FRAME_BUDGET)
        .max_concurrent_reset_streams(HTTP2_UPSTREAM_RESETS_MAX)
        // the frames that it counts are those of requests whose clients have left
        .max_local_error_reset_streams(None);
    let (sender, connection) = settings.handshake::<_, Bytes>(stream).await?;
    let usage = Rc::clone(usage);
    tokio::task::spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to an endpoint ended");
        }
        usage.has_ended.set(true);
        drop(permit);
    });
    Ok(sender)
}
