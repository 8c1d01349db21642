//! What a thread's table says besides the endpoint of a request: how long it may wait for one, and HTTPS.

use std::sync::Arc;

use super::choice::HoldRule;
use super::picker::Picker;
use super::pool::EndpointConnections;
use super::request_picks::RequestPicks;
use super::tls::TlsSites;
use crate::model::{HostPattern, ListenerId};
use crate::routing::router::RouteRequest;

impl<P: EndpointConnections> Picker<P> {
    /// What a request may wait for that found no endpoint; `None` if no route takes it or its route does not hold requests.
    pub(super) fn hold_rule(
        &self,
        listener: &ListenerId,
        request: &RouteRequest<'_>,
        picks: &RequestPicks,
    ) -> Option<HoldRule> {
        self.read_table(|table| {
            let (_, rule) = table.find(listener, request)?;
            let index = picks.draw_backend(rule, Some)?;
            let service = Arc::clone(&table.backends[index].service.hold);
            let longest = rule.waits.hold.std();
            (!longest.is_zero()).then_some(HoldRule { longest, service })
        })
    }

    /// The TLS sites of the table, once there is one.
    pub(super) async fn tls_sites(&self) -> Arc<TlsSites> {
        loop {
            let number = self.table_number();
            if let Some(sites) = self.read_table(|table| Some(Arc::clone(&table.tls))) {
                return sites;
            }
            self.table_changed(number).await;
        }
    }

    /// Whether the table has the same certificate for a host as for this pattern.
    pub(super) fn is_same_site(&self, pattern: &HostPattern, host: &str) -> bool {
        let is_same = |found: &HostPattern| found == pattern;
        self.read_table(|table| table.tls.find(host).map(|(found, _)| is_same(found))).unwrap_or_default()
    }

    /// The port that the request is redirected to if it came without TLS.
    pub(super) fn https_port(&self, listener: &ListenerId, request: &RouteRequest<'_>) -> Option<u16> {
        self.read_table(|table| {
            // most tables redirect nothing, and their requests need not be routed twice
            if !table.redirects {
                return None;
            }
            table.find(listener, request)?.1.redirect_port
        })
    }
}
