//! Endpoints as targets of requests: claiming one, and counting what is in flight to it.
//!
//! Each thread counts in a line of its own, so that no request touches another thread's; sums are read only by a choice
//! between two candidates and by reports.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::model::{EndpointId, EndpointStats};

/// One thread's counters of one endpoint: two cache lines, because processors fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counters {
    in_flight: AtomicU64,
    requests: AtomicU64,
    errors: AtomicU64,
}

/// An endpoint, as all threads know it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) id: EndpointId,
    counters: Box<[Counters]>,
    /// Whether the newest table is without it.
    left: AtomicBool,
    /// Woken by each request that ends after it left.
    ended: Arc<Notify>,
}

impl Target {
    pub(super) fn new(id: EndpointId, threads: usize, ended: Arc<Notify>) -> Self {
        let counters = (0..threads).map(|_| Counters::default()).collect();
        Self { id, counters, left: AtomicBool::new(false), ended }
    }

    /// Says whether the newest table is without it. To be called before the in-flight sum is read that the drain is
    /// judged by: a request that ends later then wakes the reader.
    pub(super) fn set_left(&self, left: bool) {
        self.left.store(left, Ordering::SeqCst);
    }

    pub(super) fn has_left(&self) -> bool {
        self.left.load(Ordering::SeqCst)
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.counters.iter().map(|c| c.in_flight.load(Ordering::SeqCst)).sum()
    }

    pub(super) fn stats(&self) -> EndpointStats {
        let sum = |of: fn(&Counters) -> &AtomicU64| {
            self.counters.iter().map(|counters| of(counters).load(Ordering::Relaxed)).sum()
        };
        EndpointStats {
            in_flight: self.in_flight(),
            requests: sum(|c| &c.requests),
            errors: sum(|c| &c.errors),
        }
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
    /// Answered 500 to 599, or not at all.
    Error,
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

    /// It was answered 500 to 599, or not at all.
    pub(super) fn failed(&self) {
        self.outcome.set(Outcome::Error);
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
            Outcome::Error => {
                counters.requests.fetch_add(1, Ordering::Relaxed);
                counters.errors.fetch_add(1, Ordering::Relaxed);
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

    #[test]
    fn threads_count_apart_and_are_summed() {
        let id = EndpointId::new(&"c".into(), jiff::Timestamp::UNIX_EPOCH);
        let target = Arc::new(Target::new(id, 2, Arc::default()));
        let claim = |thread| Claim::new(Rc::new(Seat::new(Arc::clone(&target), thread)));
        let (a, b, c) = (claim(0), claim(1), claim(1));
        assert_eq!(target.stats(), EndpointStats { in_flight: 3, requests: 0, errors: 0 });
        a.failed();
        b.unsent();
        drop((a, b, c));
        assert_eq!(target.stats(), EndpointStats { in_flight: 0, requests: 2, errors: 1 });
    }

    #[tokio::test]
    async fn only_an_end_after_leaving_wakes() {
        let ended = Arc::new(Notify::new());
        let id = EndpointId::new(&"c".into(), jiff::Timestamp::UNIX_EPOCH);
        let target = Arc::new(Target::new(id, 1, Arc::clone(&ended)));
        let seat = Rc::new(Seat::new(Arc::clone(&target), 0));
        drop(Claim::new(Rc::clone(&seat)));
        let woken = tokio::time::timeout(std::time::Duration::ZERO, ended.notified());
        assert!(woken.await.is_err());
        let claim = Claim::new(seat);
        target.set_left(true);
        drop(claim);
        ended.notified().await;
    }
}
