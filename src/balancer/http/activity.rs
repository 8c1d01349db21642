//! What a client does on its connection, and until when it must: the deadlines of a client connection.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::connection_phase::ConnectionPhase;
use super::upload_watch::{ClientOverdue, EndWatch, UploadWatch};
use crate::balancer::last_requests::{LastRequests, RequestInFlight};
use crate::balancer::limits::{
    BODY_RATE_MIN, BalancerLimits, HEADER_UNDER_PRESSURE, LINGER, REQUEST_WAIT_IN_DRAIN,
};
use crate::balancer::listener::EvictableConnection;
use crate::clock::Clock;
use crate::model::{Millis, Mono, RouteWaits};

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
    /// Since when the endpoint has taken nothing of this request's body.
    untaken: Cell<Option<Mono>>,
    /// Since when the client has not read what it was sent.
    write: Cell<Option<Mono>>,
    /// How long the client may pause in this exchange.
    waits: Cell<RouteWaits>,
    /// How a pause in this request's body ends.
    upload: UploadWatch,
    /// Whether the end of the connection is watched for although nothing is read.
    is_end_watched: Cell<bool>,
    /// Whether a request's body is being forwarded.
    is_uploading: Cell<bool>,
    /// Whether the connection is closed for others, unless a request comes first.
    is_evicted: Cell<bool>,
    /// Of the task that serves the connection.
    task: OnceCell<Waker>,
    /// Whether the connection ends as soon as no request is in flight.
    is_closing: Cell<bool>,
    requests: Rc<LastRequests>,
}

impl ClientActivity {
    /// `stall` is the longest pause where no route says another.
    pub(super) fn new(clock: Arc<dyn Clock>, stall: Millis, requests: Rc<LastRequests>) -> Self {
        let waits = RouteWaits { hold: Millis(0), idle_timeout: stall, upload_timeout: stall };
        let phase = Cell::new(ConnectionPhase::Idle(clock.mono()));
        Self {
            clock,
            phase,
            body: Cell::default(),
            debt: Cell::default(),
            unread: Cell::default(),
            untaken: Cell::default(),
            write: Cell::default(),
            waits: Cell::new(waits),
            upload: UploadWatch::default(),
            is_end_watched: Cell::default(),
            is_uploading: Cell::default(),
            is_evicted: Cell::default(),
            task: OnceCell::new(),
            is_closing: Cell::default(),
            requests,
        }
    }

    /// The connection ends once no request is in flight, and none comes for a moment.
    pub(super) fn close(&self) {
        self.is_closing.set(true);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.is_closing.get()
    }

    /// Whether the connection is to end for others, once it is idle.
    pub(super) fn is_evicted(&self) -> bool {
        self.is_evicted.get()
    }

    /// The task of this waker serves the connection, and always the same one does.
    pub(super) fn set_task(&self, waker: &Waker) {
        self.task.get_or_init(|| waker.clone());
    }

    /// Whether the connection ends with the response to the request in flight.
    pub(super) fn is_last_request(&self) -> bool {
        self.is_closing.get() || self.is_evicted.get() || self.requests.are_last()
    }

    /// Bytes came from the client.
    pub(super) fn note_read(&self) {
        if matches!(self.phase.get(), ConnectionPhase::Idle(_)) {
            self.phase.set(ConnectionPhase::Header(self.clock.mono()));
        }
    }

    /// A request's headers are complete.
    pub(super) fn begin_request(&self) -> RequestInFlight {
        self.phase.set(ConnectionPhase::Request);
        self.debt.set(Millis(0));
        self.unread.set(false);
        self.upload.reset();
        self.requests.begin()
    }

    /// Its response has been written.
    pub(super) fn end_request(&self) {
        self.phase.set(ConnectionPhase::Idle(self.clock.mono()));
    }

    /// The exchange goes by the times of its route.
    pub(super) fn set_waits(&self, waits: RouteWaits) {
        self.waits.set(waits);
    }

    /// The exchange is a call of gRPC: both sides send whenever they have something to say, and a stream without messages is no
    /// stalled upload.
    pub(super) fn begin_call(&self) {
        self.upload.never_ends();
    }

    pub(super) fn waits(&self) -> RouteWaits {
        self.waits.get()
    }

    /// How often to look whether the client of a body that another task reads has become late.
    pub(super) fn upload_interval(&self) -> Duration {
        self.waits.get().upload_timeout.std()
    }

    /// Resolves once the client has paused for too long in its body.
    pub(super) async fn upload_timed_out(&self) {
        self.upload.timed_out().await;
    }

    /// Whether the client is waited for to send more of its body.
    pub(super) fn owes_body(&self) -> bool {
        self.body.get().is_some()
    }

    /// Watches for the end of the connection while the body of a request is left unread, which hides it.
    pub(super) fn watch_end(&self) -> EndWatch<'_> {
        EndWatch::new(&self.is_end_watched)
    }

    pub(super) fn is_end_watched(&self) -> bool {
        self.is_end_watched.get()
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

    /// A body is read from here on, until [`Self::end_body`].
    pub(super) fn begin_body(&self) {
        self.is_uploading.set(true);
    }

    /// The body has ended, or will not be read any further.
    pub(super) fn end_body(&self, is_read: bool) {
        self.is_uploading.set(false);
        self.body.set(None);
        self.unread.set(!is_read);
    }

    /// Whether the client may still be sending a body that will not be read: then the connection lingers.
    pub(super) fn lingers(&self) -> bool {
        match self.phase.get() {
            ConnectionPhase::Lingering(_) => return true,
            // a refused head may be followed by a body
            ConnectionPhase::Header(_) => self.linger(),
            ConnectionPhase::Idle(_) | ConnectionPhase::Request if self.unread.get() => self.linger(),
            ConnectionPhase::Idle(_) | ConnectionPhase::Request => return false,
        }
        true
    }

    /// The client may still be sending, and is given a while to read its response.
    pub(super) fn linger(&self) {
        self.phase.set(ConnectionPhase::Lingering(self.clock.mono()));
    }

    /// The endpoint was sent a piece of this request's body, or did not take it.
    pub(super) fn note_upload(&self, is_blocked: bool, has_progressed: bool) {
        match (is_blocked, self.untaken.get()) {
            (true, Some(_)) if !has_progressed => {}
            (true, _) => self.untaken.set(Some(self.clock.mono())),
            (false, _) => self.untaken.set(None),
        }
    }

    /// The client's socket was written to.
    pub(super) fn note_write(&self, is_blocked: bool) {
        match (is_blocked, self.write.get()) {
            (true, None) => self.write.set(Some(self.clock.mono())),
            (false, Some(_)) => {
                self.write.set(None);
                // the pause between two requests begins when the response has left
                if matches!(self.phase.get(), ConnectionPhase::Idle(_)) {
                    self.phase.set(ConnectionPhase::Idle(self.clock.mono()));
                }
            }
            _ => {}
        }
    }

    /// What the client has failed to do until now.
    pub(super) fn overdue(&self, limits: &BalancerLimits, now: Mono) -> Option<ClientOverdue> {
        if self.connection_deadline(limits).is_some_and(|deadline| deadline <= now) {
            return Some(ClientOverdue::Cut);
        }
        if self.upload_deadline().is_none_or(|deadline| deadline > now) {
            return None;
        }
        self.upload.overdue()
    }

    /// When the client will be overdue; `None` while it owes nothing.
    pub(super) fn deadline(&self, limits: &BalancerLimits) -> Option<Mono> {
        [self.connection_deadline(limits), self.upload_deadline()].into_iter().flatten().min()
    }

    fn connection_deadline(&self, limits: &BalancerLimits) -> Option<Mono> {
        // what the client has not read yet is still sent
        if let Some(since) = self.write.get() {
            return Some(since.after(self.waits.get().idle_timeout));
        }
        let after = |since: Mono, limit: Duration| Some(since.after(Millis::from(limit)));
        match self.phase.get() {
            // the response was faster than the request
            ConnectionPhase::Idle(_) if self.is_transferring() => None,
            // the last response may have begun before it could say that the connection ends: its client may be about to send
            ConnectionPhase::Idle(since) if self.is_closing.get() => after(since, REQUEST_WAIT_IN_DRAIN),
            ConnectionPhase::Idle(since) => after(since, limits.idle),
            // an idle connection that is evicted ends as when the thread drains
            ConnectionPhase::Header(since) if self.is_evicted.get() => Some(since),
            ConnectionPhase::Header(since) => after(since, limits.header),
            ConnectionPhase::Request => None,
            ConnectionPhase::Lingering(since) => after(since, LINGER),
        }
    }

    /// Whether a response is still being written, or a body that someone reads is still to come: hyper drops a response before
    /// its last bytes have left, and an endpoint may answer before it has the whole request.
    fn is_transferring(&self) -> bool {
        self.write.get().is_some() || self.is_uploading.get()
    }

    fn upload_deadline(&self) -> Option<Mono> {
        let limit = self.waits.get().upload_timeout;
        let owed = self.body.get().filter(|_| !self.upload.is_over());
        let owed = owed.map(|since| since.after(Millis(limit.0.saturating_sub(self.debt.get().0))));
        // before the response the endpoint is watched by the request
        let untaken = self.untaken.get().filter(|_| self.upload.cuts());
        [owed, untaken.map(|since| since.after(limit))].into_iter().flatten().min()
    }
}

impl EvictableConnection for ClientActivity {
    fn idle_since(&self, now: Mono) -> Option<Mono> {
        if self.is_evicted.get() || self.is_transferring() {
            return None;
        }
        match self.phase.get() {
            ConnectionPhase::Idle(since) => Some(since),
            ConnectionPhase::Header(since) => {
                (now.since(since).std() >= HEADER_UNDER_PRESSURE).then_some(since)
            }
            // a client that lingers may not have read its response yet
            ConnectionPhase::Request | ConnectionPhase::Lingering(_) => None,
        }
    }

    fn evict(&self) {
        self.is_evicted.set(true);
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balancer::http::exchange::Exchange;
    use crate::clock::VirtualClock;

    fn activity(now: &Arc<VirtualClock>) -> Rc<ClientActivity> {
        let clock: Arc<dyn Clock> = Arc::<VirtualClock>::clone(now);
        Rc::new(ClientActivity::new(clock, Millis::secs(30), Rc::default()))
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
        let exchange = Exchange::begin(&activity);
        assert_eq!(activity.idle_since(now), None);
        drop(exchange);
        assert_eq!(activity.idle_since(now), Some(start));
    }

    #[test]
    fn evicted_connection_is_cut_only_in_late_headers() {
        let clock = Arc::new(VirtualClock::new(1));
        let limits = BalancerLimits::default();
        let activity = activity(&clock);
        let now = clock.mono();
        activity.evict();
        assert!(activity.is_evicted() && activity.deadline(&limits) > Some(now), "hyper closes it");
        assert_eq!(activity.idle_since(now), None, "only once");
        activity.note_read();
        assert_eq!(activity.deadline(&limits), Some(now));
        let _exchange = Exchange::begin(&activity);
        assert_eq!(activity.deadline(&limits), None);
    }

    #[test]
    fn connection_with_bytes_on_their_way_is_neither_idle_nor_evictable() {
        let clock = Arc::new(VirtualClock::new(1));
        let limits = BalancerLimits::default();
        let activity = activity(&clock);
        let now = clock.mono().after(Millis::secs(60));
        drop(Exchange::begin(&activity));
        activity.note_write(true);
        assert_eq!(activity.idle_since(now), None, "the end of a response waits for its client");
        activity.note_write(false);
        assert!(activity.idle_since(now).is_some());
        activity.begin_body();
        assert_eq!((activity.idle_since(now), activity.deadline(&limits)), (None, None));
        activity.end_body(false);
        assert!(activity.idle_since(now).is_some());
        assert!(activity.lingers() && activity.idle_since(now).is_none(), "its response may be unread");
    }
}
