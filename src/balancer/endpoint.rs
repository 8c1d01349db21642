//! Counters of an endpoint that all threads share.
//!
//! Each thread counts in cache lines of its own, so that no request touches another thread's. Sums are read only when two
//! candidates are compared and for reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

use super::failures::RevisionCounters;
use crate::model::{EndpointId, EndpointStats, LATENCY_BUCKETS, Latencies, RevisionNumber};

/// One thread's counters of one endpoint: pairs of cache lines, because processors fetch lines in pairs.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct EndpointCounters {
    pub(super) in_flight: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) latencies: [AtomicU64; LATENCY_BUCKETS],
}

impl EndpointCounters {
    fn new() -> Self {
        Self {
            in_flight: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            latencies: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

/// What counters and connections belong to. An external endpoint keeps its id, which is its address, when it joins another
/// revision.
pub(super) type EndpointKey = (EndpointId, RevisionNumber);

/// An endpoint that requests are sent to, as all threads know it.
#[derive(Debug)]
pub(super) struct UpstreamEndpoint {
    pub(super) id: EndpointId,
    counters: Box<[EndpointCounters]>,
    /// Whether the newest table lacks it.
    has_departed: AtomicBool,
    /// Notified by each request that ends after the departure.
    request_ended: Arc<Notify>,
    pub(super) revision: Arc<RevisionCounters>,
}

impl UpstreamEndpoint {
    pub(super) fn new(
        id: EndpointId,
        threads: usize,
        request_ended: Arc<Notify>,
        revision: Arc<RevisionCounters>,
    ) -> Self {
        Self {
            id,
            counters: (0..threads).map(|_| EndpointCounters::new()).collect(),
            has_departed: AtomicBool::new(false),
            request_ended,
            revision,
        }
    }

    pub(super) fn key(&self) -> EndpointKey {
        (self.id.clone(), self.revision.number)
    }

    /// How many threads it has counters for.
    pub(super) fn threads(&self) -> usize {
        self.counters.len()
    }

    /// The counters of one thread.
    pub(super) fn counters(&self, thread: usize) -> &EndpointCounters {
        &self.counters[thread]
    }

    /// Records whether the newest table lacks it. From then on no thread picks it while it has another, whatever table the
    /// thread has. Must come before the in-flight sum is read that the drain is judged by: a request that ends later then
    /// notifies the reader.
    pub(super) fn set_departed(&self, has_departed: bool) {
        self.has_departed.store(has_departed, Ordering::SeqCst);
    }

    pub(super) fn has_departed(&self) -> bool {
        self.has_departed.load(Ordering::SeqCst)
    }

    /// A request of it has ended.
    pub(super) fn notify_request_ended(&self) {
        if self.has_departed() {
            self.request_ended.notify_one();
        }
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.counters.iter().map(|c| c.in_flight.load(Ordering::SeqCst)).sum()
    }

    /// Requests that have ended.
    pub(super) fn requests(&self) -> u64 {
        self.sum(|c| &c.requests)
    }

    /// Its counters; those that cost more to read only while they are watched.
    pub(super) fn stats(&self, are_watched: bool) -> EndpointStats {
        let stats = EndpointStats { in_flight: self.in_flight(), ..EndpointStats::default() };
        if !are_watched {
            return stats;
        }
        EndpointStats {
            requests: self.requests(),
            errors: self.sum(|c| &c.errors),
            latencies: Latencies::of(|bucket| self.sum(|c| &c.latencies[bucket])),
            ..stats
        }
    }

    fn sum(&self, counter: impl Fn(&EndpointCounters) -> &AtomicU64) -> u64 {
        self.counters.iter().map(|counters| counter(counters).load(Ordering::Relaxed)).sum()
    }
}
