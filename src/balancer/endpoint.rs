//! Counters of an endpoint that all threads share.
//!
//! Each thread counts in cache lines of its own, so that no request touches another thread's. Sums are read only when two
//! candidates are compared and for reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::failures::RevisionCounters;
use super::limits::DEPARTED_REPORTED;
use crate::model::{EndpointId, EndpointStats, LATENCY_BUCKETS, Latencies, Mono};

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

/// An endpoint that requests are sent to, as all threads know it.
#[derive(Debug)]
pub(super) struct UpstreamEndpoint {
    pub(super) id: EndpointId,
    counters: Box<[EndpointCounters]>,
    /// Whether the newest table lacks it.
    has_departed: AtomicBool,
    /// Used by the controlling thread alone.
    departure: Mutex<Option<Departure>>,
    /// Notified by each request that ends after the departure.
    request_ended: Arc<Notify>,
    pub(super) revision: Arc<RevisionCounters>,
}

/// What is known of an endpoint since it left the table.
#[derive(Debug, Clone, Copy)]
struct Departure {
    /// Requests that had ended by then.
    requests_before: u64,
    /// Since when no report has seen a request in flight.
    idle_since: Option<Mono>,
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
            departure: Mutex::new(None),
            request_ended,
            revision,
        }
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
    pub(super) fn set_departed(&self, has_departed: bool, now: Mono) {
        self.has_departed.store(has_departed, Ordering::SeqCst);
        let mut departure = self.departure.lock();
        if !has_departed {
            *departure = None;
        } else if departure.is_none() {
            *departure = Some(Departure { requests_before: self.requests(), idle_since: Some(now) });
        }
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

    /// Requests that ended since the departure.
    fn drained(&self) -> u64 {
        let departure = *self.departure.lock();
        departure.map_or(0, |departure| self.requests().saturating_sub(departure.requests_before))
    }

    /// Whether it has departed, is idle, and was reported for long enough since then: it can be forgotten. Called at every
    /// report, because it also notes since when the endpoint is idle.
    pub(super) fn note_idle(&self, now: Mono) -> bool {
        let mut departure = self.departure.lock();
        let Some(departure) = departure.as_mut() else { return false };
        if self.in_flight() > 0 {
            departure.idle_since = None;
            return false;
        }
        now.since(*departure.idle_since.get_or_insert(now)).std() > DEPARTED_REPORTED
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
        let stats = EndpointStats {
            in_flight: self.in_flight(),
            drained: self.drained(),
            ..EndpointStats::default()
        };
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
