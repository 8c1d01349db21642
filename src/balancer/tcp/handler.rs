//! What serves the connections of a TCP listener.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::balancer::limits::TCP_BUFFER_BYTES;
use crate::balancer::listener::ClientConnections;
use crate::balancer::picker::Picker;
use crate::clock::Clock;
use crate::model::ListenerId;

/// A buffer for bytes that are passed on at once, one for each thread.
pub(in crate::balancer) type TcpScratch = Rc<RefCell<Box<[u8]>>>;

pub(in crate::balancer) fn scratch() -> TcpScratch {
    Rc::new(RefCell::new(vec![0; TCP_BUFFER_BYTES].into_boxed_slice()))
}

/// What the TCP connections of a listener share on a thread.
pub(in crate::balancer) struct TcpHandler<P> {
    pub(in crate::balancer) listener: ListenerId,
    pub(in crate::balancer) picker: Rc<Picker<P>>,
    pub(in crate::balancer) connections: Rc<ClientConnections>,
    pub(in crate::balancer) drain_idle: Duration,
    pub(in crate::balancer) clock: Arc<dyn Clock>,
    /// Another process accepts on the sockets.
    pub(in crate::balancer) succeeded: CancellationToken,
    /// Of the listener.
    pub(in crate::balancer) draining: CancellationToken,
    pub(in crate::balancer) scratch: TcpScratch,
}
