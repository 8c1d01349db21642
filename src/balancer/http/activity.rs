//! What a client does on its connection, and until when it must: the deadlines of a client connection.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::balancer::limits::{BODY_RATE_MIN, BalancerLimits, LINGER};
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
}

impl ClientActivity {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let phase = Cell::new(ConnectionPhase::Idle(clock.mono()));
        Self {
            clock,
            phase,
            body: Cell::default(),
            debt: Cell::default(),
            unread: Cell::default(),
            write: Cell::default(),
        }
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
        Exchange(Rc::clone(self))
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
        let phase = match self.phase.get() {
            ConnectionPhase::Idle(since) => Some(after(since, limits.idle)),
            ConnectionPhase::Header(since) => Some(after(since, limits.header)),
            ConnectionPhase::Request => None,
            ConnectionPhase::Lingering(since) => Some(after(since, LINGER)),
        };
        let patience = limits.stall.saturating_sub(self.debt.get().std());
        let body = self.body.get().map(|since| after(since, patience));
        let write = self.write.get().map(|since| after(since, limits.stall));
        [phase, body, write].into_iter().flatten().min()
    }
}

/// A request that is being served, until it is dropped.
pub(super) struct Exchange(Rc<ClientActivity>);

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.phase.set(ConnectionPhase::Idle(self.0.clock.mono()));
    }
}
