//! What a picker gives a handler for a request.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::claim::Claim;
use super::hold::ServiceHold;
use super::route_gate::RouteGate;
use super::table::UpstreamProtocol;
use crate::model::{EndpointVia, RouteWaits};

/// A picked endpoint: the request counts as in flight to it until the claim is dropped.
pub(super) struct Choice<P> {
    pub(super) claim: Rc<Claim>,
    pub(super) connections: P,
    pub(super) address: SocketAddr,
    pub(super) via: EndpointVia,
    pub(super) protocol: UpstreamProtocol,
    /// When it was picked, in microseconds; `None` while latencies are not watched.
    pub(super) picked_at: Option<u64>,
    /// From the request's last byte to the response's headers.
    pub(super) timeout: Duration,
    /// Length of the prefix to strip from the path.
    pub(super) strip: Option<usize>,
    pub(super) waits: RouteWaits,
    /// What of the message changes on its way.
    pub(super) gate: Option<Arc<RouteGate>>,
    /// `Strict-Transport-Security` of the response if it goes over TLS.
    pub(super) hsts: Option<Arc<str>>,
}

/// How a request may wait for an endpoint.
pub(super) struct HoldRule {
    pub(super) longest: Duration,
    pub(super) service: Arc<ServiceHold>,
}

/// What is missing for a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoChoice {
    /// No table has come yet.
    Table,
    /// No route takes the request.
    Route,
    /// The service has no ready endpoint.
    Endpoint,
    /// The gate of the route has not let it pass yet.
    Gate(Arc<RouteGate>),
}
