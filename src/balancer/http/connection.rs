//! A client's connection, and the limits on how long it may take over what.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{fmt, io};

use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::forward::{Client, forward};
use super::headers::client_value;
use crate::balancer::limits::{BODY_RATE_MIN, BalancerLimits, HEADERS_MAX_BYTES, LINGER};
use crate::balancer::worker::Admission;
use crate::clock::Clock;
use crate::model::{Millis, Mono};

/// Where a connection is between requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Between two requests.
    Idle(Mono),
    /// The first byte of a request came then.
    Header(Mono),
    /// A request is being served.
    Request,
    /// All is written; the client is still sending what nobody reads.
    Lingering(Mono),
}

/// What a connection is waiting for its client to do, and since when.
pub(super) struct Activity {
    clock: Arc<dyn Clock>,
    phase: Cell<Phase>,
    /// Since when the client owes more of its request's body.
    body: Cell<Option<Mono>>,
    /// How long the client was waited for in this request's body, less what its bytes made up for.
    debt: Cell<Millis>,
    /// Whether a part of this request's body was not read.
    unread: Cell<bool>,
    /// Since when the client has not read what was sent.
    write: Cell<Option<Mono>>,
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activity").field("phase", &self.phase).finish_non_exhaustive()
    }
}

impl Activity {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let phase = Cell::new(Phase::Idle(clock.mono()));
        Self {
            clock,
            phase,
            body: Cell::default(),
            debt: Cell::default(),
            unread: Cell::default(),
            write: Cell::default(),
        }
    }

    fn read(&self) {
        if matches!(self.phase.get(), Phase::Idle(_)) {
            self.phase.set(Phase::Header(self.clock.mono()));
        }
    }

    /// A request's headers are complete. The exchange lasts until its response has been written.
    pub(super) fn begin(self: &Rc<Self>) -> Exchange {
        self.phase.set(Phase::Request);
        self.debt.set(Millis(0));
        self.unread.set(false);
        Exchange(Rc::clone(self))
    }

    pub(super) fn waits_for_body(&self) {
        if self.body.get().is_none() {
            self.body.set(Some(self.clock.mono()));
        }
    }

    /// So many bytes of the body came.
    pub(super) fn got_body(&self, bytes: usize) {
        let Some(since) = self.body.take() else { return };
        let waited = self.debt.get().0.saturating_add(self.clock.mono().since(since).0);
        let made_up = (bytes as u64).saturating_mul(1000) / BODY_RATE_MIN;
        self.debt.set(Millis(waited.saturating_sub(made_up)));
    }

    /// The body is over, or nobody reads on.
    pub(super) fn body_over(&self, is_read: bool) {
        self.body.set(None);
        self.unread.set(!is_read);
    }

    /// Whether the client may be sending what nobody will read: then the connection lingers.
    fn lingers(&self) -> bool {
        match self.phase.get() {
            Phase::Lingering(_) => true,
            // a head that was refused, or a body
            Phase::Header(_) => self.linger(),
            Phase::Idle(_) | Phase::Request => self.unread.get() && self.linger(),
        }
    }

    fn linger(&self) -> bool {
        self.phase.set(Phase::Lingering(self.clock.mono()));
        true
    }

    fn wrote(&self, blocked: bool) {
        match (blocked, self.write.get()) {
            (true, None) => self.write.set(Some(self.clock.mono())),
            (false, Some(_)) => self.write.set(None),
            _ => {}
        }
    }

    /// When the client's patience with us, or ours with it, ends; `None` while nothing is owed by the client.
    fn deadline(&self, limits: &BalancerLimits) -> Option<Mono> {
        let after = |since: Mono, limit: Duration| since.after(Millis::from(limit));
        let phase = match self.phase.get() {
            Phase::Idle(since) => Some(after(since, limits.idle)),
            Phase::Header(since) => Some(after(since, limits.header)),
            Phase::Request => None,
            Phase::Lingering(since) => Some(after(since, LINGER)),
        };
        let patience = limits.stall.saturating_sub(self.debt.get().std());
        let body = self.body.get().map(|since| after(since, patience));
        let write = self.write.get().map(|since| after(since, limits.stall));
        [phase, body, write].into_iter().flatten().min()
    }
}

/// A request being served, until it is dropped.
#[derive(Debug)]
pub(super) struct Exchange(Rc<Activity>);

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.phase.set(Phase::Idle(self.0.clock.mono()));
    }
}

/// Serves a connection until one side ends it, a limit is passed, or the thread drains.
pub(in crate::balancer) async fn serve(admission: Admission, stream: TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a client left at once");
        return;
    }
    let worker = &admission.worker;
    let activity = Rc::new(Activity::new(Arc::clone(&worker.clock)));
    let client = Rc::new(Client {
        worker: Rc::clone(worker),
        activity: Rc::clone(&activity),
        address: client_value(admission.client),
    });
    let service = service_fn(|request| {
        let client = Rc::clone(&client);
        async move { Ok::<_, Infallible>(forward(client, request).await) }
    });
    let io = TokioIo::new(Watched { stream, activity: Rc::clone(&activity) });
    // the watch below takes the place of hyper's timer: it tells the pause between requests from slow headers
    let mut connection = pin!(
        Builder::new()
            .header_read_timeout(None)
            .max_header_size(HEADERS_MAX_BYTES)
            .max_buf_size(HEADERS_MAX_BYTES)
            .serve_connection(io, service)
    );
    let mut watch = pin!(Watch::new(&activity, worker.limits));
    let mut draining = pin!(worker.draining.cancelled());
    let mut told = false;
    std::future::poll_fn(|cx| {
        if !told && draining.as_mut().poll(cx).is_ready() {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            if let Err(error) = ended {
                tracing::trace!(%error, "a client's connection broke");
            }
            return Poll::Ready(());
        }
        watch.as_mut().poll(cx)
    })
    .await;
}

/// Resolves once a deadline of the connection has passed. Its timer is set anew only where a deadline comes closer than
/// it is set to, so that a request that comes and goes costs none.
struct Watch<'a> {
    activity: &'a Activity,
    limits: BalancerLimits,
    timer: Pin<Box<tokio::time::Sleep>>,
    set_to: Mono,
}

impl<'a> Watch<'a> {
    fn new(activity: &'a Activity, limits: BalancerLimits) -> Self {
        let first = limits.stall.min(limits.idle);
        let set_to = activity.clock.mono().after(Millis::from(first));
        Self { activity, limits, timer: Box::pin(tokio::time::sleep(first)), set_to }
    }
}

impl Future for Watch<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let deadline = this.activity.deadline(&this.limits);
        if deadline.is_some_and(|deadline| deadline < this.set_to) {
            this.set(deadline, this.activity.clock.mono());
        }
        loop {
            ready!(this.timer.as_mut().poll(cx));
            let now = this.activity.clock.mono();
            let deadline = this.activity.deadline(&this.limits);
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Poll::Ready(());
            }
            this.set(deadline, now);
        }
    }
}

impl Watch<'_> {
    /// A body is read by another task than this one, so the timer also fires as often as a stall may last.
    fn set(&mut self, deadline: Option<Mono>, now: Mono) {
        let check = now.after(Millis::from(self.limits.stall));
        self.set_to = deadline.map_or(check, |deadline| deadline.min(check));
        self.timer.set(tokio::time::sleep(self.set_to.since(now).std()));
    }
}

/// A client's socket that tells what it sees.
struct Watched {
    stream: TcpStream,
    activity: Rc<Activity>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.activity.read();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.activity.wrote(polled.is_pending());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.activity.wrote(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Ends the answers, and reads on for a while where the client is still sending.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        let mut scratch = [0; 4096];
        while self.activity.lingers() {
            let mut buf = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}
