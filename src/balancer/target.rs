//! Endpoints as targets of requests: claiming one, and counting what is in flight to it.
//!
//! Each thread counts in a line of its own, so that no request touches another thread's; sums are read only by a choice
//! between two candidates and by reports.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::failures::Failures;
use super::limits::LEFT_TOLD;
use crate::model::{EndpointId, EndpointStats, LATENCY_BUCKETS, Latencies, Mono};

/// One thread's counters of one endpoint: pairs of cache lines, because processors fetch lines in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Counters {
    in_flight: AtomicU64,
    requests: AtomicU64,
    errors: AtomicU64,
    latencies: [AtomicU64; LATENCY_BUCKETS],
}

impl Counters {
    fn new() -> Self {
        let (in_flight, requests, errors) = Default::default();
        Self { in_flight, requests, errors, latencies: std::array::from_fn(|_| AtomicU64::new(0)) }
    }
}

/// An endpoint, as all threads know it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) id: EndpointId,
    counters: Box<[Counters]>,
    /// Whether the newest table is without it.
    left: AtomicBool,
    /// Since it left; judged by the controlling thread alone.
    left_at: Mutex<Option<Left>>,
    /// Woken by each request that ends after it left.
    ended: Arc<Notify>,
    /// Requests of its service that failed.
    failures: Failures,
}

/// What is remembered of an endpoint that left.
#[derive(Debug, Clone, Copy)]
struct Left {
    /// Requests that had ended by then.
    before: u64,
    /// Since when no report has seen a request in flight.
    idle_at: Option<Mono>,
}

impl Target {
    pub(super) fn new(id: EndpointId, threads: usize, ended: Arc<Notify>, failures: Failures) -> Self {
        let counters = (0..threads).map(|_| Counters::new()).collect();
        Self { id, counters, left: AtomicBool::new(false), left_at: Mutex::new(None), ended, failures }
    }

    /// Says whether the newest table is without it: from then on every thread passes it over, whatever table it has. To be
    /// called before the in-flight sum is read that the drain is judged by: a request that ends later then wakes the reader.
    pub(super) fn set_left(&self, left: bool, now: Mono) {
        self.left.store(left, Ordering::SeqCst);
        let mut left_at = self.left_at.lock();
        *left_at = left.then(|| {
            left_at.unwrap_or_else(|| Left { before: self.sum(|c| &c.requests), idle_at: Some(now) })
        });
    }

    /// How many requests have ended since the newest table came that is without it.
    fn drained(&self) -> Option<u64> {
        let left_at = *self.left_at.lock();
        left_at.map(|left| self.sum(|c| &c.requests).saturating_sub(left.before))
    }

    /// Whether it left, has had nothing in flight since some report, and was told of for long enough since then. Asked at
    /// every report.
    pub(super) fn is_over(&self, now: Mono) -> bool {
        let mut left_at = self.left_at.lock();
        let Some(left) = left_at.as_mut() else { return false };
        if self.in_flight() > 0 {
            left.idle_at = None;
            return false;
        }
        now.since(*left.idle_at.get_or_insert(now)).std() > LEFT_TOLD
    }

    pub(super) fn has_left(&self) -> bool {
        self.left.load(Ordering::SeqCst)
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.counters.iter().map(|c| c.in_flight.load(Ordering::SeqCst)).sum()
    }

    /// What is counted of it; all of it only where that is watched.
    pub(super) fn stats(&self, watched: bool) -> EndpointStats {
        let in_flight = self.in_flight();
        let drained = self.drained().unwrap_or(0);
        let stats = EndpointStats { in_flight, drained, ..EndpointStats::default() };
        if !watched {
            return stats;
        }
        EndpointStats {
            requests: self.sum(|c| &c.requests),
            errors: self.sum(|c| &c.errors),
            latencies: Latencies::of(|bucket| self.sum(|c| &c.latencies[bucket])),
            ..stats
        }
    }

    fn sum(&self, of: impl Fn(&Counters) -> &AtomicU64) -> u64 {
        self.counters.iter().map(|counters| of(counters).load(Ordering::Relaxed)).sum()
    }
}

/// A thread's place at a target.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) target: Arc<Target>,
    thread: usize,
}

impl Seat {
    /// Panics where `thread` is none of those the target was made for.
    pub(super) fn new(target: Arc<Target>, thread: usize) -> Self {
        assert!(thread < target.counters.len(), "a target has counters for each thread");
        Self { target, thread }
    }

    fn counters(&self) -> &Counters {
        &self.target.counters[self.thread]
    }
}

/// How a claimed request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Answered below 500, or the client left.
    Fine,
    /// Answered 500 to 599, or not at all; its client was told so.
    Error,
    /// Not answered, and asked of another endpoint.
    PassedOn,
    /// No byte of it was sent.
    Unsent,
}

/// A request in flight, from the choice until it is dropped. Its request and response bodies share it.
#[derive(Debug)]
pub(super) struct Claim {
    seat: Rc<Seat>,
    outcome: Cell<Outcome>,
}

impl Claim {
    /// Counts a request in flight. To be called in one step with the choice.
    pub(super) fn new(seat: Rc<Seat>) -> Self {
        seat.counters().in_flight.fetch_add(1, Ordering::SeqCst);
        Self { seat, outcome: Cell::new(Outcome::Fine) }
    }

    /// It was answered 500 to 599, or not at all, and so its client is.
    pub(super) fn failed(&self) {
        self.outcome.set(Outcome::Error);
    }

    /// The endpoint did not answer; what its client is told is another one's.
    pub(super) fn passed_on(&self) {
        self.outcome.set(Outcome::PassedOn);
    }

    /// It was answered after so many microseconds.
    pub(super) fn answered(&self, micros: u64) {
        self.seat.counters().latencies[Latencies::bucket(micros)].fetch_add(1, Ordering::Relaxed);
    }

    /// No byte of it was sent: it does not count as a request.
    pub(super) fn unsent(&self) {
        self.outcome.set(Outcome::Unsent);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let counters = self.seat.counters();
        match self.outcome.get() {
            Outcome::Unsent => {}
            Outcome::Fine => {
                counters.requests.fetch_add(1, Ordering::Relaxed);
            }
            outcome @ (Outcome::Error | Outcome::PassedOn) => {
                counters.requests.fetch_add(1, Ordering::Relaxed);
                counters.errors.fetch_add(1, Ordering::Relaxed);
                if outcome == Outcome::Error {
                    self.seat.target.failures.add();
                }
            }
        }
        counters.in_flight.fetch_sub(1, Ordering::SeqCst);
        if self.seat.target.has_left() {
            self.seat.target.ended.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Millis;

    #[test]
    fn threads_count_apart_and_are_summed() {
        let id = EndpointId::new(&"c".into(), jiff::Timestamp::UNIX_EPOCH);
        let target = Arc::new(Target::new(id, 2, Arc::default(), Failures::default()));
        let claim = |thread| Claim::new(Rc::new(Seat::new(Arc::clone(&target), thread)));
        let (a, b, c) = (claim(0), claim(1), claim(1));
        let stats = EndpointStats::default();
        assert_eq!(target.stats(true), EndpointStats { in_flight: 3, ..stats });
        a.failed();
        b.unsent();
        a.answered(600);
        c.answered(500);
        let latencies = Latencies::from(vec![1, 1]);
        drop((a, b, c));
        assert_eq!(target.stats(true), EndpointStats { requests: 2, errors: 1, latencies, ..stats });
        assert_eq!(target.stats(false), stats, "nobody watches");
    }

    #[test]
    fn what_ends_after_it_left_is_told_for_a_while() {
        let id = EndpointId::new(&"c".into(), jiff::Timestamp::UNIX_EPOCH);
        let target = Arc::new(Target::new(id, 1, Arc::default(), Failures::default()));
        let claim = || Claim::new(Rc::new(Seat::new(Arc::clone(&target), 0)));
        drop(claim());
        let claims = [claim(), claim(), claim()];
        target.set_left(true, Mono(5));
        drop(claims);
        target.set_left(true, Mono(9));
        assert_eq!(target.stats(false).drained, 3);
        let last = Mono(5).after(LEFT_TOLD.into());
        assert!(!target.is_over(last) && target.is_over(last.after(Millis(1))));
        let claim = claim();
        assert!(!target.is_over(last.after(Millis(1))), "a request is in flight");
        drop(claim);
        let idle = last.after(Millis(2));
        assert!(
            !target.is_over(idle) && !target.is_over(idle.after(LEFT_TOLD.into())),
            "told of since it is idle"
        );
        assert!(target.is_over(idle.after(LEFT_TOLD.into()).after(Millis(1))));
        target.set_left(false, Mono(10));
        assert_eq!(target.stats(false).drained, 0, "it is back");
    }

    #[tokio::test]
    async fn only_an_end_after_leaving_wakes() {
        let ended = Arc::new(Notify::new());
        let id = EndpointId::new(&"c".into(), jiff::Timestamp::UNIX_EPOCH);
        let target = Arc::new(Target::new(id, 1, Arc::clone(&ended), Failures::default()));
        let seat = Rc::new(Seat::new(Arc::clone(&target), 0));
        drop(Claim::new(Rc::clone(&seat)));
        let woken = tokio::time::timeout(std::time::Duration::ZERO, ended.notified());
        assert!(woken.await.is_err());
        let claim = Claim::new(seat);
        target.set_left(true, Mono(1));
        drop(claim);
        ended.notified().await;
    }
}
