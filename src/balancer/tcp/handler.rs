//! What serves the connections of a TCP listener.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::balancer::listener::ClientConnections;
use crate::balancer::picker::Picker;
use crate::balancer::relay::RelayScratch;
use crate::clock::Clock;
use crate::model::ListenerId;

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
    pub(in crate::balancer) scratch: RelayScratch,
}
