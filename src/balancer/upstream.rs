//! A thread's connections to one endpoint.
//!
//! They belong to the endpoint's id (container and start time), never to its address: the next container may have that.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use nix::errno::Errno;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::http::RequestBody;
use super::limits::{
    CONNECT_DEADLINE, FRESH, HEADERS_MAX_BYTES, IDLE_UPSTREAM, IDLE_UPSTREAM_MAX, SKIP_MAX, SKIP_MIN,
};
use super::target::Seat;
use crate::clock::Clock;
use crate::model::{EndpointVia, Millis, Mono};

/// Why there is no connection to an endpoint.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("cannot connect to {0}")]
    Io(SocketAddr, #[source] std::io::Error),
    #[error("no connection to {0} within {limit} ms", limit = CONNECT_DEADLINE.as_millis())]
    Late(SocketAddr),
    #[error("cannot speak HTTP to {0}")]
    Http(SocketAddr, #[source] hyper::Error),
}

impl ConnectError {
    /// Whether this process or host ran short of something: no endpoint was asked, so none is to blame.
    pub(super) fn is_our_shortage(&self) -> bool {
        let Self::Io(_, error) = self else { return false };
        let code = error.raw_os_error().map(Errno::from_raw);
        code.is_some_and(|code| {
            matches!(
                code,
                Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM | Errno::EADDRNOTAVAIL
            )
        })
    }
}

/// Whether an endpoint is passed over because it could not be connected to.
#[derive(Debug, Clone, Copy, Default)]
struct Skip {
    until: Mono,
    wait: Millis,
}

impl Skip {
    fn longer(self, now: Mono) -> Self {
        let doubled = Duration::saturating_mul(self.wait.std(), 2).clamp(SKIP_MIN, SKIP_MAX);
        let wait = Millis::from(doubled);
        Self { until: now.after(wait), wait }
    }
}

/// One endpoint, as a thread knows it.
pub(super) struct Upstream {
    pub(super) seat: Rc<Seat>,
    clock: Arc<dyn Clock>,
    idle: RefCell<Vec<Idle>>,
    skip: Cell<Option<Skip>>,
    /// Whether the thread's table is without it: connections are closed instead of kept.
    gone: Cell<bool>,
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<RequestBody>,
    address: SocketAddr,
    since: Mono,
}

/// Which idle connections a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reuse {
    /// Any: should it turn out closed, the request can be sent again.
    Any,
    /// Only those idle under [`FRESH`].
    Fresh,
    /// None.
    Never,
}

/// How a connection came to be, and so what it means that it ends without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// For an earlier request: it may have ended between the two.
    Before,
    /// For this request, with the endpoint itself: the endpoint has seen the request.
    Directly,
    /// For this request, with Docker's proxy of a published port, which accepts also where nobody is: the endpoint may not
    /// be there.
    ByProxy,
}

/// A connection in use by one request.
pub(super) struct Lease {
    pub(super) sender: SendRequest<RequestBody>,
    pub(super) made: Made,
    upstream: Rc<Upstream>,
    address: SocketAddr,
}

impl Upstream {
    pub(super) fn new(seat: Seat, clock: Arc<dyn Clock>) -> Self {
        Self {
            seat: Rc::new(seat),
            clock,
            idle: RefCell::default(),
            skip: Cell::default(),
            gone: Cell::new(false),
        }
    }

    /// Whether a choice should pass it over, because it could not be connected to lately, or because the newest table is
    /// without it, which this thread has yet to take.
    pub(super) fn is_passed_over(&self) -> bool {
        self.seat.target.has_left() || self.skip.get().is_some_and(|skip| self.clock.mono() < skip.until)
    }

    /// A connection: an idle one, else a new one.
    pub(super) async fn lease(
        self: Rc<Self>,
        address: SocketAddr,
        via: EndpointVia,
        reuse: Reuse,
    ) -> Result<Lease, ConnectError> {
        if reuse != Reuse::Never
            && let Some(sender) = self.take_idle(address, reuse)
        {
            return Ok(Lease { sender, made: Made::Before, upstream: self, address });
        }
        match connect(address).await {
            Ok(sender) => {
                let made = Made::through(via);
                if made == Made::Directly {
                    self.note_reached();
                }
                Ok(Lease { sender, made, upstream: self, address })
            }
            Err(error) if error.is_our_shortage() => Err(error),
            Err(error) => {
                self.skip_for_a_while();
                Err(error)
            }
        }
    }

    /// It was reached.
    pub(super) fn note_reached(&self) {
        self.skip.set(None);
    }

    /// It was not there just now.
    pub(super) fn skip_for_a_while(&self) {
        self.skip.set(Some(self.skip.get().unwrap_or_default().longer(self.clock.mono())));
    }

    /// The one used last: it is the least likely to be closed. One whose last exchange is still being finished is not
    /// ready, and stays.
    fn take_idle(&self, address: SocketAddr, reuse: Reuse) -> Option<SendRequest<RequestBody>> {
        let now = self.clock.mono();
        let longest = if reuse == Reuse::Fresh { FRESH } else { IDLE_UPSTREAM };
        let mut idle = self.idle.borrow_mut();
        let mut at = idle.len();
        while at > 0 {
            at -= 1;
            let candidate = &idle[at];
            if candidate.sender.is_closed() {
                idle.swap_remove(at);
            } else if candidate.address == address
                && candidate.sender.is_ready()
                && now.since(candidate.since).std() < longest
            {
                return Some(idle.swap_remove(at).sender);
            }
        }
        None
    }

    /// Closes what was idle too long or was closed by the endpoint.
    pub(super) fn sweep(&self) {
        let now = self.clock.mono();
        let keep = |idle: &Idle| !idle.sender.is_closed() && now.since(idle.since).std() < IDLE_UPSTREAM;
        self.idle.borrow_mut().retain(keep);
    }

    /// The thread's table is without it from now on.
    pub(super) fn leave(&self) {
        self.gone.set(true);
        self.idle.borrow_mut().clear();
    }
}

impl Lease {
    /// Gives the connection back after its response has been read to the end. It is used again only once hyper says
    /// that it is ready, which is after the request's body has been sent to the end too.
    pub(super) fn give_back(self) {
        let Self { sender, upstream, address, .. } = self;
        let mut idle = upstream.idle.borrow_mut();
        if !upstream.gone.get() && idle.len() < IDLE_UPSTREAM_MAX && !sender.is_closed() {
            idle.push(Idle { sender, address, since: upstream.clock.mono() });
        }
    }
}

impl Made {
    fn through(via: EndpointVia) -> Self {
        match via {
            EndpointVia::Direct => Self::Directly,
            EndpointVia::DockerProxy => Self::ByProxy,
        }
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<RequestBody>, ConnectError> {
    let connecting = tokio::time::timeout(CONNECT_DEADLINE, TcpStream::connect(address));
    let stream = connecting.await.map_err(|_| ConnectError::Late(address))?;
    let stream = stream.map_err(|e| ConnectError::Io(address, e))?;
    stream.set_nodelay(true).map_err(|e| ConnectError::Io(address, e))?;
    let socket = TokioIo::new(EndpointSocket { stream, is_deaf: false });
    let handshake = Builder::new().max_header_size(HEADERS_MAX_BYTES).handshake(socket);
    let (sender, connection) = handshake.await.map_err(|e| ConnectError::Http(address, e))?;
    tokio::task::spawn_local(async move {
        if let Err(error) = connection.await {
            // whoever waits for a response on it is told the same
            tracing::trace!(%address, %error, "a connection to an endpoint ended");
        }
    });
    Ok(sender)
}

/// An endpoint's socket. What can no longer be written is thrown away: an endpoint may answer before it has read the
/// request's body, and close. Its answer is still there to be read; where there is none, reading tells.
struct EndpointSocket {
    stream: TcpStream,
    /// Whether writing failed.
    is_deaf: bool,
}

impl EndpointSocket {
    fn written(&mut self, written: io::Result<usize>, length: usize) -> io::Result<usize> {
        written.or_else(|error| {
            tracing::trace!(%error, "an endpoint takes no more");
            self.is_deaf = true;
            Ok(length)
        })
    }
}

impl AsyncRead for EndpointSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for EndpointSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_deaf {
            return Poll::Ready(Ok(buf.len()));
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        Poll::Ready(self.written(written, buf.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = bufs.iter().map(|buf| buf.len()).sum();
        if self.is_deaf {
            return Poll::Ready(Ok(length));
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs));
        Poll::Ready(self.written(written, length))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balancer::failures::Failures;
    use crate::balancer::target::Target;

    #[test]
    fn a_shortage_of_ours_is_told_from_a_refusal() {
        let address = SocketAddr::from(([10, 0, 0, 1], 80));
        for (code, ours) in [
            (Errno::EMFILE, true),
            (Errno::ENFILE, true),
            (Errno::ENOBUFS, true),
            (Errno::ENOMEM, true),
            (Errno::EADDRNOTAVAIL, true),
            (Errno::ECONNREFUSED, false),
            (Errno::EHOSTUNREACH, false),
        ] {
            let error = ConnectError::Io(address, io::Error::from_raw_os_error(code as i32));
            assert_eq!(error.is_our_shortage(), ours, "{code}");
        }
        assert!(!ConnectError::Late(address).is_our_shortage());
    }

    #[test]
    fn what_a_newer_table_is_without_is_passed_over() {
        let id = crate::model::EndpointId::new(&"c".into(), jiff::Timestamp::UNIX_EPOCH);
        let target = Arc::new(Target::new(id, 1, Arc::default(), Failures::default()));
        let clock = Arc::new(crate::clock::RealClock::new());
        let upstream = Upstream::new(Seat::new(Arc::clone(&target), 0), clock);
        assert!(!upstream.is_passed_over());
        target.set_left(true, Mono(1));
        assert!(upstream.is_passed_over());
        target.set_left(false, Mono(2));
        assert!(!upstream.is_passed_over(), "it is back");
    }

    #[test]
    fn skips_double_up_to_the_longest() {
        let mut skip = Skip::default();
        let mut waits = Vec::new();
        for _ in 0..7 {
            skip = skip.longer(Mono(100));
            waits.push(skip.wait.0 / 1000);
            assert_eq!(skip.until, Mono(100).after(skip.wait));
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    }
}
