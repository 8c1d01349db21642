//! Copies both ways between a client and an endpoint, until both are finished, one breaks, or the balancer ends it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::activity::{IdleEnd, IdleLimits, Speaker, TcpActivity};
use super::direction::Direction;
use super::side::{RelayClient, RelaySide};
use super::websocket_frames::{CloseFrames, WebSocketFrames};
use crate::balancer::claim::ThreadEndpoint;
use crate::balancer::idle_timer::IdleTimer;
use crate::balancer::limits::{LINGER, TCP_DRAIN_CHECK};
use crate::balancer::listener::EvictableConnection;
use crate::clock::Clock;
use crate::model::Mono;

/// How a connection ended.
#[derive(Debug)]
pub(in crate::balancer) enum RelayEnd {
    /// Both sides have ended their streams.
    Finished,
    ClientBroke(io::Error),
    EndpointBroke(io::Error),
    /// The balancer ends it.
    Idle(IdleEnd),
    /// It was idle, and is closed for others.
    Evicted,
}

/// What ends connections that are idle.
pub(in crate::balancer) struct DrainSignals {
    pub(in crate::balancer) endpoint: Rc<ThreadEndpoint>,
    /// Another process accepts on the listener's sockets.
    pub(in crate::balancer) succeeded: CancellationToken,
    /// The listener or the thread is closed.
    pub(in crate::balancer) draining: CancellationToken,
}

impl DrainSignals {
    fn is_draining(&self) -> bool {
        self.endpoint.has_departed() || self.succeeded.is_cancelled() || self.draining.is_cancelled()
    }

    /// Whether the drain may end: an endpoint that left the table may come back.
    fn may_end(&self) -> bool {
        self.endpoint.departed().is_cancelled()
    }

    async fn begun(&self) {
        tokio::select! {
            () = self.endpoint.departed().cancelled() => {}
            () = self.succeeded.cancelled() => {}
            () = self.draining.cancelled() => {}
        }
    }
}

/// A connection, for those that need its place.
pub(in crate::balancer) struct RelayedConnection {
    activity: Cell<TcpActivity>,
    is_evicted: Cell<bool>,
    evicted: Notify,
}

impl RelayedConnection {
    pub(in crate::balancer) fn new(now: Mono) -> Self {
        Self {
            activity: Cell::new(TcpActivity::new(now)),
            is_evicted: Cell::new(false),
            evicted: Notify::new(),
        }
    }

    /// Whether it can still be closed for others: not if its client has sent something since it was chosen.
    fn is_evictable(&self, client: &RelayClient<'_>, now: Mono) -> bool {
        self.activity.get().evictable_since(now).is_some() && !client.has_input()
    }
}

impl EvictableConnection for RelayedConnection {
    fn idle_since(&self, now: Mono) -> Option<Mono> {
        self.activity.get().evictable_since(now).filter(|_| !self.is_evicted.get())
    }

    fn evict(&self) {
        self.is_evicted.set(true);
        self.evicted.notify_one();
    }
}

/// Bytes that were read before the relay begins, and not passed on yet.
#[derive(Debug, Default)]
pub(in crate::balancer) struct EarlierBytes {
    pub(in crate::balancer) from_client: Vec<u8>,
    pub(in crate::balancer) from_endpoint: Vec<u8>,
}

/// A connection's sockets and what they are copied by.
pub(in crate::balancer) struct Relay<'a> {
    pub(in crate::balancer) client: RelayClient<'a>,
    pub(in crate::balancer) endpoint: &'a TcpStream,
    pub(in crate::balancer) connection: &'a RelayedConnection,
    pub(in crate::balancer) earlier: EarlierBytes,
    /// What both sides are sent when the balancer ends the connection: of a WebSocket.
    pub(in crate::balancer) close_frames: Option<CloseFrames>,
    pub(in crate::balancer) signals: DrainSignals,
    pub(in crate::balancer) limits: IdleLimits,
    pub(in crate::balancer) clock: &'a Arc<dyn Clock>,
    /// Of the thread: no connection keeps a buffer while it is idle.
    pub(in crate::balancer) scratch: &'a RefCell<Box<[u8]>>,
}

impl Relay<'_> {
    /// Copies until the end.
    pub(in crate::balancer) async fn run(mut self) -> RelayEnd {
        let earlier = std::mem::take(&mut self.earlier);
        let end = self.copy(earlier).await;
        match &end {
            // others wait for the place of one that was evicted, and it has been silent for minutes
            RelayEnd::Finished => {}
            RelayEnd::Evicted => note_departure(self.client.end_at_once()),
            // the other side must not take what it has for all that was sent
            RelayEnd::ClientBroke(_) => self.endpoint.reset(),
            RelayEnd::EndpointBroke(_) => self.client.reset(),
            RelayEnd::Idle(_) => close_politely(&self.client, self.endpoint).await,
        }
        end
    }

    async fn copy(&self, earlier: EarlierBytes) -> RelayEnd {
        let frames = self.close_frames.map(|_| WebSocketFrames::default());
        let mut begun = std::pin::pin!(self.signals.begun());
        let mut evicted = std::pin::pin!(self.connection.evicted.notified());
        let mut copying = Copying {
            up: Direction::new(earlier.from_client, frames),
            down: Direction::new(earlier.from_endpoint, frames),
            is_begun: false,
            draining_since: None,
            timer: IdleTimer::new(self.clock.mono()),
        };
        std::future::poll_fn(|cx| {
            if let Poll::Ready(end) = copying.poll_directions(self, cx) {
                return Poll::Ready(end);
            }
            while evicted.as_mut().poll(cx).is_ready() {
                if self.connection.is_evictable(&self.client, self.clock.mono()) {
                    return Poll::Ready(RelayEnd::Evicted);
                }
                self.connection.is_evicted.set(false);
                evicted.set(self.connection.evicted.notified());
            }
            copying.is_begun = copying.is_begun || begun.as_mut().poll(cx).is_ready();
            let idle = ready!(copying.poll_idle(self, cx));
            if copying.are_at_boundary() {
                self.send_close_frames();
            }
            Poll::Ready(RelayEnd::Idle(idle))
        })
        .await
    }

    fn send_close_frames(&self) {
        let Some(frames) = self.close_frames else { return };
        // one that takes nothing has had its time
        let _ = self.client.write_at_once(frames.to_client);
        let _ = self.endpoint.write_at_once(frames.to_endpoint);
    }
}

/// How far the copying is.
struct Copying {
    up: Direction,
    down: Direction,
    /// Whether a drain began at some time.
    is_begun: bool,
    draining_since: Option<Mono>,
    timer: IdleTimer,
}

impl Copying {
    fn poll_directions(&mut self, relay: &Relay<'_>, cx: &mut Context<'_>) -> Poll<RelayEnd> {
        let mut scratch = relay.scratch.borrow_mut();
        let before = [self.up.bytes, self.down.bytes];
        let up = self.up.poll(cx, &relay.client, relay.endpoint, &mut scratch);
        self.down.is_sender_reset = self.up.is_receiver_reset;
        let down = self.down.poll(cx, relay.endpoint, &relay.client, &mut scratch);
        self.up.is_sender_reset = self.down.is_receiver_reset;
        let mut activity = relay.connection.activity.get();
        // in doubt the client spoke last
        for (speaker, before, now) in
            [(Speaker::Endpoint, before[1], self.down.bytes), (Speaker::Client, before[0], self.up.bytes)]
        {
            if now > before {
                activity.note(speaker, relay.clock.mono());
            }
        }
        activity.is_blocked = self.up.is_blocked() || self.down.is_blocked();
        relay.connection.activity.set(activity);
        match (up, down) {
            (Poll::Ready(Err(error)), _) => Poll::Ready(RelayEnd::ClientBroke(error)),
            (_, Poll::Ready(Err(error))) => Poll::Ready(RelayEnd::EndpointBroke(error)),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(RelayEnd::Finished),
            _ => Poll::Pending,
        }
    }

    /// When the balancer ends the connection, and why. A WebSocket can be ended at the end of any frame, no matter which side spoke last.
    fn due(&self, relay: &Relay<'_>) -> (Mono, IdleEnd) {
        let (due, why) = relay.connection.activity.get().end(relay.limits, self.draining_since);
        let drained = self.draining_since.filter(|_| relay.close_frames.is_some());
        match drained.map(|since| since.after(relay.limits.in_drain.into())) {
            Some(drained) if drained < due => (drained, IdleEnd::Drained),
            _ => (due, why),
        }
    }

    fn are_at_boundary(&self) -> bool {
        self.up.is_at_boundary() && self.down.is_at_boundary()
    }

    /// Whether the connection cannot be ended now although its time is over. What a client sends to an endpoint that takes nothing
    /// does not count: it would keep both sockets for as long as the endpoint hangs.
    fn must_wait(&self, relay: &Relay<'_>, why: IdleEnd) -> bool {
        let is_to_be_read = !self.up.is_blocked() && relay.client.has_input();
        is_to_be_read || (why == IdleEnd::Drained && !self.are_at_boundary())
    }

    /// Ready once the balancer ends the connection.
    fn poll_idle(&mut self, relay: &Relay<'_>, cx: &mut Context<'_>) -> Poll<IdleEnd> {
        loop {
            let now = relay.clock.mono();
            let is_draining = self.is_begun && relay.signals.is_draining();
            self.draining_since = is_draining.then(|| self.draining_since.unwrap_or(now));
            let (due, why) = self.due(relay);
            let check = now.after(TCP_DRAIN_CHECK.into());
            let next = if due > now {
                let may_end = self.is_begun && relay.signals.may_end();
                if may_end { due.min(check) } else { due }
            } else if self.must_wait(relay, why) {
                check
            } else {
                return Poll::Ready(why);
            };
            ready!(self.timer.poll(cx, next, now));
        }
    }
}

/// Sends both sides the end, and reads what they have sent meanwhile: unread bytes would turn the end into a reset. What a client
/// sends now reaches no endpoint, so that it can safely send it again.
async fn close_politely(client: &RelayClient<'_>, endpoint: &TcpStream) {
    note_departure(client.end_at_once());
    note_departure(endpoint.end_at_once());
    let both = async { tokio::join!(discard(client), discard(endpoint)) };
    // one that leaves its side open has had its time
    let _ = tokio::time::timeout(LINGER, both).await;
}

fn note_departure(ended: io::Result<()>) {
    if let Err(error) = ended {
        tracing::trace!(%error, "a peer left first");
    }
}

async fn discard(side: &impl RelaySide) {
    let mut scratch = [0; 1024];
    while std::future::poll_fn(|cx| side.poll_read(cx, &mut scratch)).await.is_ok_and(|count| count > 0) {}
}
