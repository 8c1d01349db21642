//! A thread's connections to one endpoint, by protocol.

use std::rc::Rc;
use std::sync::Arc;

use super::http2::{Http2Lease, Http2Pool};
use super::upstream::{Http1Pool, HttpLease};
use crate::balancer::eviction_round::EvictionRound;
use crate::balancer::pool::EndpointConnections;
use crate::clock::Clock;
use crate::model::Mono;

/// The connections to one endpoint. Most speak one protocol at all ports.
#[derive(Clone)]
pub(in crate::balancer) struct HttpPool {
    pub(super) http1: Http1Pool,
    pub(super) http2: Rc<Http2Pool>,
}

/// A place on a connection, for one exchange.
pub(super) enum UpstreamLease {
    /// The connection is the exchange's own.
    Http1(HttpLease),
    /// A stream of a connection that others share.
    Http2(Http2Lease),
}

impl EndpointConnections for HttpPool {
    fn new(clock: &Arc<dyn Clock>) -> Self {
        Self { http1: EndpointConnections::new(clock), http2: Rc::new(Http2Pool::new(clock)) }
    }

    fn sweep(&self) {
        self.http1.sweep();
        self.http2.sweep();
    }

    fn close(&self) {
        self.http1.close();
        self.http2.close();
    }

    fn idle_since(&self, since: &mut Vec<Mono>) {
        self.http1.idle_since(since);
        self.http2.idle_since(since);
    }

    fn evict(&self, round: &mut EvictionRound) {
        self.http1.evict(round);
        self.http2.evict(round);
    }
}
