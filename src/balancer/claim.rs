//! A thread's side of an endpoint: claims of requests in flight, and ejection.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio_util::sync::CancellationToken;

use super::ejection::Ejection;
use super::endpoint::{EndpointCounters, UpstreamEndpoint};
use super::failures::RevisionCounters;
use crate::clock::Clock;
use crate::model::Latencies;

/// An endpoint, as one thread knows it.
#[derive(Debug)]
pub(super) struct ThreadEndpoint {
    shared: Arc<UpstreamEndpoint>,
    thread: usize,
    ejection: Cell<Option<Ejection>>,
    /// Cancelled once the thread's table lacks it. One that comes back to the table is another `ThreadEndpoint`.
    departed: CancellationToken,
}

impl ThreadEndpoint {
    /// Panics if the endpoint was made for fewer threads.
    pub(super) fn new(shared: Arc<UpstreamEndpoint>, thread: usize) -> Self {
        assert!(thread < shared.threads(), "an endpoint has counters for each thread");
        Self { shared, thread, ejection: Cell::default(), departed: CancellationToken::new() }
    }

    pub(super) fn name(&self) -> &str {
        self.shared.id.as_str()
    }

    pub(super) fn revision(&self) -> &Arc<RevisionCounters> {
        &self.shared.revision
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.shared.in_flight()
    }

    /// Whether the newest table lacks it.
    pub(super) fn has_departed(&self) -> bool {
        self.shared.has_departed()
    }

    /// Cancelled once this thread's table lacks it.
    pub(super) fn departed(&self) -> &CancellationToken {
        &self.departed
    }

    /// Whether it may be picked: it is not ejected, and the newest table, which this thread may not have yet, has it.
    pub(super) fn is_available(&self, clock: &dyn Clock) -> bool {
        !self.shared.has_departed()
            && self.ejection.get().is_none_or(|ejection| ejection.is_over(clock.mono()))
    }

    /// It could not be reached.
    pub(super) fn eject(&self, clock: &dyn Clock) {
        self.ejection.set(Some(self.ejection.get().unwrap_or_default().next(clock.mono())));
    }

    /// It was reached.
    pub(super) fn restore(&self) {
        self.ejection.set(None);
        self.shared.revision.service.hold.note_available();
    }

    fn counters(&self) -> &EndpointCounters {
        self.shared.counters(self.thread)
    }
}

/// How a claimed request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClaimOutcome {
    /// Answered below 500, or the client left.
    Served,
    /// Answered 500 to 599, or not at all, and the client got that.
    Failed,
    /// Not answered, and sent to another endpoint.
    Retried,
    /// No byte of it was sent.
    Unsent,
}

/// A request in flight, from the choice of its endpoint until it is dropped. Request and response bodies share it.
#[derive(Debug)]
pub(super) struct Claim {
    endpoint: Rc<ThreadEndpoint>,
    outcome: Cell<ClaimOutcome>,
}

impl Claim {
    /// Counts a request in flight. Must happen in one step with the choice, with nothing awaited in between.
    pub(super) fn new(endpoint: Rc<ThreadEndpoint>) -> Self {
        endpoint.counters().in_flight.fetch_add(1, Ordering::SeqCst);
        Self { endpoint, outcome: Cell::new(ClaimOutcome::Served) }
    }

    pub(super) fn endpoint(&self) -> &Rc<ThreadEndpoint> {
        &self.endpoint
    }

    /// The endpoint answered 500 to 599, or not at all, and that is what the client gets.
    pub(super) fn mark_failed(&self) {
        self.outcome.set(ClaimOutcome::Failed);
    }

    /// The endpoint did not answer; the client gets the answer of another one.
    pub(super) fn mark_retried(&self) {
        self.outcome.set(ClaimOutcome::Retried);
    }

    /// No byte was sent: it does not count as a request.
    pub(super) fn mark_unsent(&self) {
        self.outcome.set(ClaimOutcome::Unsent);
    }

    /// The endpoint answered after this many microseconds.
    pub(super) fn record_latency(&self, micros: u64) {
        self.endpoint.counters().latencies[Latencies::bucket(micros)].fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let counters = self.endpoint.counters();
        let outcome = self.outcome.get();
        if outcome != ClaimOutcome::Unsent {
            counters.requests.fetch_add(1, Ordering::Relaxed);
        }
        if matches!(outcome, ClaimOutcome::Failed | ClaimOutcome::Retried) {
            counters.errors.fetch_add(1, Ordering::Relaxed);
        }
        if outcome == ClaimOutcome::Failed {
            self.endpoint.shared.revision.add_failure();
        }
        counters.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.endpoint.shared.notify_request_ended();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balancer::counters::CounterRegistry;
    use crate::clock::RealClock;
    use crate::model::{EndpointId, EndpointStats, RevisionNumber, TableEndpoint};

    fn endpoint(threads: usize) -> Arc<UpstreamEndpoint> {
        endpoint_of(&mut CounterRegistry::new(threads))
    }

    fn endpoint_of(counters: &mut CounterRegistry) -> Arc<UpstreamEndpoint> {
        let id = EndpointId::new(&"c".into(), jiff::Timestamp::UNIX_EPOCH);
        let address = [10, 0, 0, 1].into();
        let listed = TableEndpoint::managed(id, "r".into(), RevisionNumber(1), address, [].into());
        let service = counters.service(&"s".into());
        counters.endpoint(&service, &listed)
    }

    fn claim(endpoint: &Arc<UpstreamEndpoint>, thread: usize) -> Claim {
        Claim::new(Rc::new(ThreadEndpoint::new(Arc::clone(endpoint), thread)))
    }

    #[test]
    fn claims_of_threads_are_counted_apart_and_summed() {
        let endpoint = endpoint(2);
        let failed = claim(&endpoint, 0);
        let unsent = claim(&endpoint, 1);
        let served = claim(&endpoint, 1);
        let none = EndpointStats::default();
        assert_eq!(endpoint.stats(true), EndpointStats { in_flight: 3, ..none });
        failed.mark_failed();
        unsent.mark_unsent();
        failed.record_latency(600);
        served.record_latency(500);
        drop([failed, unsent, served]);
        let latencies = Latencies::from(vec![1, 1]);
        assert_eq!(endpoint.stats(true), EndpointStats { requests: 2, errors: 1, latencies, ..none });
        assert_eq!(endpoint.stats(false), none, "not watched");
    }

    #[tokio::test]
    async fn claim_notifies_only_if_its_endpoint_has_departed() {
        let mut counters = CounterRegistry::new(1);
        let endpoint = endpoint_of(&mut counters);
        let ended = counters.request_ended;
        drop(claim(&endpoint, 0));
        let notified = tokio::time::timeout(std::time::Duration::ZERO, ended.notified());
        assert!(notified.await.is_err());
        let last = claim(&endpoint, 0);
        endpoint.set_departed(true);
        drop(last);
        ended.notified().await;
    }

    #[test]
    fn endpoint_is_unavailable_while_departed_or_ejected() {
        let clock = RealClock::new();
        let shared = endpoint(1);
        let endpoint = ThreadEndpoint::new(Arc::clone(&shared), 0);
        assert!(endpoint.is_available(&clock));
        shared.set_departed(true);
        assert!(!endpoint.is_available(&clock));
        shared.set_departed(false);
        assert!(endpoint.is_available(&clock), "it is back");
        endpoint.eject(&clock);
        assert!(!endpoint.is_available(&clock));
        endpoint.restore();
        assert!(endpoint.is_available(&clock));
    }
}
