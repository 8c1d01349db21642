//! What a request has drawn and tried, over all of its attempts.

use std::rc::Rc;
use std::sync::Arc;

use super::claim::ThreadEndpoint;
use super::failures::{RevisionCounters, ServiceCounters};
use super::route_gate::RouteGate;
use super::select::draw_in_order;
use super::table::ForwardRule;

/// What a request has drawn and tried, over all of its attempts.
pub(super) struct RequestPicks {
    /// Of the random numbers that its backend and revision are drawn with, the same at each attempt.
    seed: u64,
    tried: Vec<Rc<ThreadEndpoint>>,
    /// Whether endpoints are skipped that are ejected or departed, also if there is no other.
    only_available: bool,
    /// The gate that let it pass.
    passed: Option<Arc<RouteGate>>,
}

impl RequestPicks {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, tried: Vec::new(), only_available: false, passed: None }
    }

    /// The endpoint failed this request.
    pub(super) fn add_tried(&mut self, endpoint: Rc<ThreadEndpoint>) {
        self.tried.push(endpoint);
    }

    /// The request has waited for an endpoint. It may try all again, but none whose ejection is not over: the requests of a
    /// service wait together.
    pub(super) fn begin_again(&mut self) {
        self.tried.clear();
        self.only_available = true;
    }

    /// The gate of its route has checked this request and lets it pass.
    pub(super) fn pass(&mut self, gate: Arc<RouteGate>) {
        self.passed = Some(gate);
    }

    /// Whether a gate has let it pass. A newer table has gates of its own, which check a request that waits once more.
    pub(super) fn has_passed(&self, gate: &Arc<RouteGate>) -> bool {
        self.passed.as_ref().is_some_and(|passed| Arc::ptr_eq(passed, gate))
    }

    /// The gate that has let it pass.
    pub(super) fn gate(&self) -> Option<&RouteGate> {
        self.passed.as_deref()
    }

    pub(super) fn only_available(&self) -> bool {
        self.only_available
    }

    pub(super) fn has_tried(&self, endpoint: &ThreadEndpoint) -> bool {
        self.tried.iter().any(|tried| std::ptr::eq(&raw const **tried, endpoint))
    }

    /// The revision of the first tried endpoint of a service.
    pub(super) fn tried_revision(&self, service: &Arc<ServiceCounters>) -> Option<&Arc<RevisionCounters>> {
        let mut revisions = self.tried.iter().map(|endpoint| endpoint.revision());
        revisions.find(|revision| Arc::ptr_eq(&revision.service, service))
    }

    /// Offers the route's backends, in the order that the request draws.
    pub(super) fn draw_backend<T>(
        &self,
        rule: &ForwardRule,
        mut take: impl FnMut(usize) -> Option<T>,
    ) -> Option<T> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let weights = rule.backends.iter().map(|(_, weight)| *weight);
        draw_in_order(weights, || random.u64(..), |index| take(rule.backends[index].0))
    }

    /// Offers revisions by their shares, in the order that the request draws.
    pub(super) fn draw_revision<'a, T>(
        &self,
        shares: &'a [(Arc<RevisionCounters>, u32)],
        mut take: impl FnMut(&'a Arc<RevisionCounters>) -> Option<T>,
    ) -> Option<T> {
        let mut random = fastrand::Rng::with_seed(!self.seed);
        let weights = shares.iter().map(|(_, weight)| *weight);
        draw_in_order(weights, || random.u64(..), |index| take(&shares[index].0))
    }
}
