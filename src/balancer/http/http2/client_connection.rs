//! What is known of a client's connection as a whole: its streams, since when it has none, and whether it is to end.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use crate::balancer::limits::CANCELLED_STREAMS_MAX;
use crate::balancer::listener::EvictableConnection;
use crate::clock::Clock;
use crate::model::{Mono, RouteWaits};

pub(super) struct ClientConnection {
    clock: Arc<dyn Clock>,
    /// Requests that are being served.
    streams: Cell<usize>,
    /// When the last of them ended.
    idle_since: Cell<Mono>,
    /// Whether the end of a response has not left yet.
    has_unsent: Cell<bool>,
    /// How long the client may pause in what is left of it.
    waits: Cell<RouteWaits>,
    is_evicted: Cell<bool>,
    /// Requests that the client gave up before their response, less those that were answered.
    cancelled: Cell<usize>,
    /// Of the task that serves the connection.
    task: OnceCell<Waker>,
}

impl ClientConnection {
    pub(super) fn new(clock: &Arc<dyn Clock>) -> Rc<Self> {
        Rc::new(Self {
            clock: Arc::clone(clock),
            streams: Cell::default(),
            idle_since: Cell::new(clock.mono()),
            has_unsent: Cell::default(),
            waits: Cell::default(),
            is_evicted: Cell::default(),
            cancelled: Cell::default(),
            task: OnceCell::new(),
        })
    }

    /// The task of this waker serves the connection, and always the same one does.
    pub(super) fn set_task(&self, waker: &Waker) {
        self.task.get_or_init(|| waker.clone());
    }

    /// One request more is served until this is dropped.
    pub(super) fn begin_stream(self: &Rc<Self>) -> StreamPlace {
        self.streams.set(self.streams.get() + 1);
        StreamPlace { connection: Rc::clone(self), is_further: self.streams.get() > 1 }
    }

    /// Since when no request is being served; `None` while one is.
    pub(super) fn idle_since(&self) -> Option<Mono> {
        (self.streams.get() == 0).then(|| self.idle_since.get())
    }

    /// The idle time counts from now.
    pub(super) fn restart_idle(&self) {
        self.idle_since.set(self.clock.mono());
    }

    pub(super) fn set_unsent(&self, has_unsent: bool) {
        self.has_unsent.set(has_unsent);
    }

    /// Of the request that ended last.
    pub(super) fn waits(&self) -> RouteWaits {
        self.waits.get()
    }

    pub(super) fn is_evicted(&self) -> bool {
        self.is_evicted.get()
    }

    /// Whether the client does little else than to give up requests, each of which an endpoint has to begin (CVE-2023-44487).
    pub(super) fn cancels_too_much(&self) -> bool {
        self.cancelled.get() > CANCELLED_STREAMS_MAX
    }

    fn wake(&self) {
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }
}

impl EvictableConnection for ClientConnection {
    fn idle_since(&self, _: Mono) -> Option<Mono> {
        let is_quiet = self.streams.get() == 0 && !self.has_unsent.get() && !self.is_evicted.get();
        is_quiet.then(|| self.idle_since.get())
    }

    fn evict(&self) {
        self.is_evicted.set(true);
        self.wake();
    }
}

/// A request of the connection that is being served.
pub(super) struct StreamPlace {
    connection: Rc<ClientConnection>,
    is_further: bool,
}

impl StreamPlace {
    /// Whether another request of the connection was being served when this one began.
    pub(super) fn is_further(&self) -> bool {
        self.is_further
    }

    /// The route's times hold for what is left of the response.
    pub(super) fn note_waits(&self, waits: RouteWaits) {
        self.connection.waits.set(waits);
    }

    /// The client gave the request up before its response.
    pub(super) fn note_cancelled(&self) {
        self.connection.cancelled.set(self.connection.cancelled.get() + 1);
    }

    pub(super) fn note_answered(&self) {
        self.connection.cancelled.set(self.connection.cancelled.get().saturating_sub(1));
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.connection.streams.set(self.connection.streams.get() - 1);
        self.connection.restart_idle();
        self.connection.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualClock;

    #[test]
    fn connection_is_idle_since_its_last_stream_ended() {
        let clock = Arc::new(VirtualClock::new(1));
        let shared: Arc<dyn Clock> = Arc::<VirtualClock>::clone(&clock);
        let connection = ClientConnection::new(&shared);
        let start = clock.mono();
        let (one, two) = (connection.begin_stream(), connection.begin_stream());
        assert_eq!(connection.idle_since(), None);
        drop(one);
        assert_eq!(EvictableConnection::idle_since(&*connection, start), None);
        drop(two);
        assert_eq!(connection.idle_since(), Some(start));
        connection.set_unsent(true);
        assert_eq!(EvictableConnection::idle_since(&*connection, start), None, "its client has not read all");
        connection.set_unsent(false);
        connection.evict();
        assert_eq!(EvictableConnection::idle_since(&*connection, start), None, "only once");
    }

    #[test]
    fn client_that_cancels_more_than_it_lets_be_answered_is_noticed() {
        let clock: Arc<dyn Clock> = Arc::new(VirtualClock::new(1));
        let connection = ClientConnection::new(&clock);
        for _ in 0..CANCELLED_STREAMS_MAX {
            let place = connection.begin_stream();
            place.note_cancelled();
            place.note_answered();
            place.note_cancelled();
        }
        assert!(!connection.cancels_too_much());
        connection.begin_stream().note_cancelled();
        assert!(connection.cancels_too_much());
    }
}
