//! What a client does on its connection, and until when it must: the deadlines of a client connection.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::balancer::client_limit::ClientSlot;
use crate::balancer::last_requests::{LastRequests, RequestInFlight};
use crate::balancer::limits::{
    BODY_RATE_MIN, BalancerLimits, FIRST_REQUEST_WAIT, HEADER_UNDER_PRESSURE, LINGER,
};
use crate::balancer::listener::EvictableConnection;
use crate::clock::Clock;
use crate::model::{Millis, Mono};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionPhase {
    /// Between two requests.
    Idle(Mono),
    /// The first byte of a request came at this time.
    Header(Mono),
    /// A request is being served.
    Request,
    /// The response is written; the client is still sending a body that will not be read.
    Lingering(Mono),
}

/// What the connection waits for its client to do, and since when.
pub(super) struct ClientActivity {
    pub(super) clock: Arc<dyn Clock>,
    phase: Cell<ConnectionPhase>,
    /// Since when the client owes more of its request's body.
    body: Cell<Option<Mono>>,
    /// How long the balancer waited for this request's body, less what its bytes made up for.
    debt: Cell<Millis>,
    /// Whether a part of this request's body was not read.
    unread: Cell<bool>,
    /// Since when the client has not read what it was sent.
    write: Cell<Option<Mono>>,
    /// Whether the connection is closed for others, unless a request comes first.
    is_evicted: Cell<bool>,
    /// Of the task that serves the connection.
    task: OnceCell<Waker>,
    /// Whether the connection ends as soon as no request is in flight.
    is_closing: Cell<bool>,
    has_served: Cell<bool>,
    requests: Rc<LastRequests>,
}

impl ClientActivity {
    pub(super) fn new(clock: Arc<dyn Clock>, requests: Rc<LastRequests>) -> Self {
        let phase = Cell::new(ConnectionPhase::Idle(clock.mono()));
        Self {
            clock,
            phase,
            body: Cell::default(),
            debt: Cell::default(),
            unread: Cell::default(),
            write: Cell::default(),
            is_evicted: Cell::default(),
            task: OnceCell::new(),
            is_closing: Cell::default(),
            has_served: Cell::default(),
            requests,
        }
    }

    /// The connection ends as soon as no request is in flight; one that had none yet has a moment for it.
    pub(super) fn close(&self) {
        self.is_closing.set(true);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.is_closing.get()
    }

    /// The task of this waker serves the connection, and always the same one does.
    pub(super) fn set_task(&self, waker: &Waker) {
        self.task.get_or_init(|| waker.clone());
    }

    /// Whether the connection ends with the response to the request in flight.
    pub(super) fn is_last_request(&self) -> bool {
        self.is_closing.get() || self.requests.are_last()
    }

    /// Bytes came from the client.
    pub(super) fn note_read(&self) {
        if matches!(self.phase.get(), ConnectionPhase::Idle(_)) {
            self.phase.set(ConnectionPhase::Header(self.clock.mono()));
        }
    }

    /// A request's headers are complete. The exchange lasts until its response has been written.
    pub(super) fn begin_exchange(self: &Rc<Self>) -> Exchange {
        self.phase.set(ConnectionPhase::Request);
        self.debt.set(Millis(0));
        self.unread.set(false);
        self.has_served.set(true);
        Exchange { activity: Rc::clone(self), slot: None, _in_flight: self.requests.begin() }
    }

    /// The client owes more of its body.
    pub(super) fn wait_for_body(&self) {
        if self.body.get().is_none() {
            self.body.set(Some(self.clock.mono()));
        }
    }

    pub(super) fn note_body_bytes(&self, bytes: usize) {
        let Some(since) = self.body.take() else { return };
        let waited = self.debt.get().0.saturating_add(self.clock.mono().since(since).0);
        let made_up = (bytes as u64).saturating_mul(1000) / BODY_RATE_MIN;
        self.debt.set(Millis(waited.saturating_sub(made_up)));
    }

    /// The body has ended, or will not be read any further.
    pub(super) fn end_body(&self, is_read: bool) {
        self.body.set(None);
        self.unread.set(!is_read);
    }

    /// Whether the client may still be sending a body that will not be read: then the connection lingers.
    pub(super) fn lingers(&self) -> bool {
        match self.phase.get() {
            ConnectionPhase::Lingering(_) => true,
            // a refused head may be followed by a body
            ConnectionPhase::Header(_) => self.linger(),
            ConnectionPhase::Idle(_) | ConnectionPhase::Request => self.unread.get() && self.linger(),
        }
    }

    fn linger(&self) -> bool {
        self.phase.set(ConnectionPhase::Lingering(self.clock.mono()));
        true
    }

    /// The client's socket was written to.
    pub(super) fn note_write(&self, is_blocked: bool) {
        match (is_blocked, self.write.get()) {
            (true, None) => self.write.set(Some(self.clock.mono())),
            (false, Some(_)) => self.write.set(None),
            _ => {}
        }
    }

    /// When the connection is to be cut; `None` while the client owes nothing.
    pub(super) fn deadline(&self, limits: &BalancerLimits) -> Option<Mono> {
        let after = |since: Mono, limit: Duration| since.after(Millis::from(limit));
        let until = |since: Mono, limit: Duration| match self.is_evicted.get() {
            true => Some(since),
            false => Some(after(since, limit)),
        };
        let phase = match self.phase.get() {
            ConnectionPhase::Idle(since) => match (self.is_closing.get(), self.has_served.get()) {
                (false, _) => until(since, limits.idle),
                // what the client has not read yet is still sent
                (true, true) if self.write.get().is_none() => Some(since),
                (true, true) => until(since, limits.stall),
                (true, false) => until(since, FIRST_REQUEST_WAIT),
            },
            ConnectionPhase::Header(since) => until(since, limits.header),
            ConnectionPhase::Request => None,
            ConnectionPhase::Lingering(since) => until(since, LINGER),
        };
        let patience = limits.stall.saturating_sub(self.debt.get().std());
        let body = self.body.get().map(|since| after(since, patience));
        let write = self.write.get().map(|since| after(since, limits.stall));
        [phase, body, write].into_iter().flatten().min()
    }
}

impl EvictableConnection for ClientActivity {
    fn idle_since(&self, now: Mono) -> Option<Mono> {
        if self.is_evicted.get() {
            return None;
        }
        match self.phase.get() {
            ConnectionPhase::Idle(since) | ConnectionPhase::Lingering(since) => Some(since),
            ConnectionPhase::Header(since) => {
                (now.since(since).std() >= HEADER_UNDER_PRESSURE).then_some(since)
            }
            ConnectionPhase::Request => None,
        }
    }

    fn evict(&self) {
        self.is_evicted.set(true);
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }
}

/// A request that is being served, until it is dropped.
pub(super) struct Exchange {
    activity: Rc<ClientActivity>,
    /// Of the client that a trusted proxy named.
    pub(super) slot: Option<ClientSlot>,
    _in_flight: RequestInFlight,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.activity.phase.set(ConnectionPhase::Idle(self.activity.clock.mono()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualClock;

    fn activity(now: &Arc<VirtualClock>) -> Rc<ClientActivity> {
        let clock: Arc<dyn Clock> = Arc::<VirtualClock>::clone(now);
        Rc::new(ClientActivity::new(clock, Rc::default()))
    }

    #[test]
    fn connection_is_evictable_unless_a_request_is_being_served() {
        let clock = Arc::new(VirtualClock::new(1));
        let activity = activity(&clock);
        let start = clock.mono();
        let now = start.after(Millis::from(HEADER_UNDER_PRESSURE));
        assert_eq!(activity.idle_since(start), Some(start));
        activity.note_read();
        assert_eq!(activity.idle_since(start), None, "the rest of the headers is on its way");
        assert_eq!(activity.idle_since(now), Some(start), "it is late");
        let exchange = activity.begin_exchange();
        assert_eq!(activity.idle_since(now), None);
        drop(exchange);
        assert_eq!(activity.idle_since(now), Some(start));
    }

    #[test]
    fn evicted_connection_ends_at_once_unless_a_request_has_come() {
        let clock = Arc::new(VirtualClock::new(1));
        let limits = BalancerLimits::default();
        let activity = activity(&clock);
        let now = clock.mono();
        assert!(activity.deadline(&limits) > Some(now));
        activity.evict();
        assert_eq!((activity.deadline(&limits), activity.idle_since(now)), (Some(now), None));
        let exchange = activity.begin_exchange();
        assert_eq!(activity.deadline(&limits), None);
        drop(exchange);
        assert_eq!(activity.deadline(&limits), Some(now));
    }
}
