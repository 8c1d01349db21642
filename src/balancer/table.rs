//! A compiled table: the form that requests are served from, shared by all threads.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::endpoint::UpstreamEndpoint;
use super::failures::{RevisionCounters, ServiceCounters};
use super::route_gate::RouteGate;
use super::tls::TlsSites;
use crate::model::{Balance, EndpointVia, ListenerId, RevisionNumber, RevisionPin, RouteWaits};
use crate::routing::condition::{RequestAttributes, holds};
use crate::routing::router::{RouteRequest, Router};

/// Where a route leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ForwardRule {
    /// Index and weight of each backend; the weights do not sum up to 0. Empty for a redirect, whose gate lets no request pass.
    pub(super) backends: Vec<(usize, u32)>,
    /// From the request's last byte to the response's headers.
    pub(super) timeout: Duration,
    pub(super) strip_prefix: bool,
    pub(super) waits: RouteWaits,
    /// What it checks and changes.
    pub(super) gate: Option<Arc<RouteGate>>,
    /// The port that requests without TLS are redirected to.
    pub(super) redirect_port: Option<u16>,
    /// `Strict-Transport-Security` of responses over TLS.
    pub(super) hsts: Option<Arc<str>>,
}

/// An endpoint at the port of its backend.
#[derive(Debug)]
pub(super) struct BackendEndpoint {
    pub(super) counters: Arc<UpstreamEndpoint>,
    pub(super) address: SocketAddr,
    pub(super) via: EndpointVia,
    pub(super) protocol: UpstreamProtocol,
    pub(super) revision: RevisionNumber,
}

/// What an endpoint speaks at a port. Bytes of TCP are passed whatever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UpstreamProtocol {
    Http1,
    Http2,
}

/// A port of a service that routes lead to, with the endpoints that have it.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) balance: Balance,
    /// With their weights; empty if all endpoints count alike.
    pub(super) shares: Vec<(Arc<RevisionCounters>, u32)>,
    pub(super) pins: Vec<RevisionPin>,
    pub(super) endpoints: Vec<BackendEndpoint>,
    /// Of the endpoints; `None` if all are alike.
    pub(super) weights: Option<Vec<u32>>,
    pub(super) service: Arc<ServiceCounters>,
}

impl Backend {
    /// The revision that a request is pinned to; `None` without a pin, and if the table has no endpoint of that revision.
    pub(super) fn pinned_revision(&self, request: &dyn RequestAttributes) -> Option<&Arc<RevisionCounters>> {
        let met =
            self.pins.iter().find(|pin| pin.conditions.iter().all(|condition| holds(condition, request)));
        let revision = met?.revision;
        let of_revision = self.endpoints.iter().find(|endpoint| endpoint.revision == revision)?;
        Some(&of_revision.counters.revision)
    }
}

#[derive(Debug)]
pub(super) struct CompiledTable {
    /// To the index of a rule.
    pub(super) routers: BTreeMap<ListenerId, Router<usize>>,
    pub(super) rules: Vec<ForwardRule>,
    pub(super) backends: Vec<Backend>,
    pub(super) tls: Arc<TlsSites>,
    /// Whether a route redirects requests without TLS.
    pub(super) redirects: bool,
}

impl CompiledTable {
    /// Tells the services that have an endpoint, whether or not a request comes before they lose it.
    pub(super) fn note_available(&self) {
        for backend in self.backends.iter().filter(|backend| !backend.endpoints.is_empty()) {
            backend.service.hold.note_available();
        }
    }

    /// The rule for a request that came in on this listener, with the path of its route.
    pub(super) fn find(
        &self,
        listener: &ListenerId,
        request: &RouteRequest<'_>,
    ) -> Option<(&str, &ForwardRule)> {
        let (path, rule) = self.routers.get(listener)?.find(request)?;
        Some((path, &self.rules[*rule]))
    }
}
