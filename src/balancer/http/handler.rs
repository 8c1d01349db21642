//! What a request has in common with others: those of its thread, and those of its client connection.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::StatusCode;
use http::header::{FORWARDED, HeaderMap, HeaderValue};
use tokio_util::sync::CancellationToken;

use super::activity::ClientActivity;
use super::date::DateHeader;
use super::endpoint_pools::HttpPool;
use super::forwarding::{FORWARDED_FOR, ForwardingPeer};
use super::request_source::RequestSource;
use crate::balancer::client_limit::ClientSlot;
use crate::balancer::last_requests::LastRequests;
use crate::balancer::limits::BalancerLimits;
use crate::balancer::listener::{ClientConnections, ConnectionRefusal};
use crate::balancer::picker::Picker;
use crate::balancer::relay::RelayScratch;
use crate::balancer::route_gate::RouteGate;
use crate::clock::Clock;
use crate::model::{ListenerId, NamedClient};

/// What the connections of an HTTP listener share in a thread.
pub(in crate::balancer) struct HttpHandler {
    pub(in crate::balancer) listener: ListenerId,
    pub(in crate::balancer) picker: Rc<Picker<HttpPool>>,
    pub(in crate::balancer) connections: Rc<ClientConnections>,
    pub(in crate::balancer) limits: BalancerLimits,
    pub(in crate::balancer) clock: Arc<dyn Clock>,
    pub(in crate::balancer) requests: Rc<LastRequests>,
    /// Another process accepts on the sockets.
    pub(in crate::balancer) succeeded: CancellationToken,
    pub(in crate::balancer) draining: CancellationToken,
    pub(in crate::balancer) scratch: RelayScratch,
    pub(in crate::balancer) date: DateHeader,
}

/// A client, as one of its requests sees it.
pub(super) struct HttpClient {
    pub(super) handler: Rc<HttpHandler>,
    pub(super) activity: Rc<ClientActivity>,
    pub(super) source: RequestSource,
    /// The client that this request counts for like a connection: one that has another request on the same connection.
    pub(super) counts_for: Option<IpAddr>,
    pub(super) peer: Rc<ForwardingPeer>,
    /// Of the route by which the request was sent last.
    pub(super) gate: RefCell<Option<Arc<RouteGate>>>,
}

impl HttpClient {
    /// From now on interim responses come by a route with this gate.
    pub(super) fn set_gate(&self, gate: Option<Arc<RouteGate>>) {
        *self.gate.borrow_mut() = gate;
    }

    /// Passes an interim response.
    pub(super) fn pass_interim(&self, status: StatusCode, headers: &mut HeaderMap) {
        if let Some(gate) = &*self.gate.borrow() {
            gate.strip_response(headers);
        }
        self.source.push_interim(status, headers);
    }

    /// Counts a request like a connection of its client: one that a trusted proxy sent, which does not pass the connection, and one next
    /// to others on a connection.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<Option<ClientSlot>, ConnectionRefusal> {
        let counts_for = if self.peer.is_trusted { self.named(headers).counted() } else { self.counts_for };
        counts_for.map(|client| self.handler.connections.admit_client(client)).transpose()
    }

    /// The address of a request's client: the one that a trusted proxy names, else the peer's; `None` if the proxy names what is no
    /// address.
    pub(super) fn address(&self, headers: &HeaderMap) -> Option<IpAddr> {
        self.named(headers).checked(self.peer.ip)
    }

    fn named(&self, headers: &HeaderMap) -> NamedClient {
        if !self.peer.is_trusted {
            return NamedClient::Unnamed;
        }
        let lines = |name| headers.get_all(name).iter().map(HeaderValue::as_bytes);
        self.handler.connections.shared.trusted.client(lines(FORWARDED_FOR), lines(FORWARDED))
    }
}
