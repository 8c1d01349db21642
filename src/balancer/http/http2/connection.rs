//! Serves a client's connection in HTTP/2.

use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::Reason;
use h2::server::{Builder, Connection};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::WaitForCancellationFuture;

use super::client_connection::ClientConnection;
use super::lingering_stream::LingeringStream;
use super::stream::serve_stream;
use crate::balancer::http::forwarding::ForwardingPeer;
use crate::balancer::http::handler::HttpHandler;
use crate::balancer::idle_timer::IdleTimer;
use crate::balancer::limits::{
    HEADERS_MAX_BYTES, HTTP2_CONNECTION_WINDOW, HTTP2_FRAME_BUDGET, HTTP2_SEND_BUFFER, HTTP2_STREAM_WINDOW,
    HTTP2_STREAMS_MAX, LINGER, REQUEST_WAIT_IN_DRAIN,
};
use crate::balancer::listener::Admission;
use crate::model::{Millis, Mono};

/// Serves until one side ends the connection, a limit is exceeded, or the thread drains. A connection that ends says so before
/// (GOAWAY): the client sends further requests on another one, and those under way are answered.
pub(in crate::balancer::http) async fn serve_http2<S>(
    handler: &Rc<HttpHandler>,
    stream: S,
    peer: &Rc<ForwardingPeer>,
    admission: &Admission,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let state = ClientConnection::new(&handler.clock);
    admission.keep_evictable(Rc::<ClientConnection>::clone(&state));
    let stream = LingeringStream::new(stream);
    let greeting = settings().handshake::<_, Bytes>(stream.share());
    let greeting = tokio::time::timeout(handler.limits.header, greeting);
    let connection = match greeting.await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::debug!(%error, "a client did not begin with HTTP/2"),
        Err(_) => return tracing::debug!("a client did not begin with HTTP/2 in time"),
    };
    let mut served = ServedConnection { connection, handler, peer, state, is_ending: false };
    let mut draining = pin!(handler.draining.cancelled());
    let mut timer = IdleTimer::new(handler.clock.mono());
    let end = std::future::poll_fn(|cx| served.poll(draining.as_mut(), &mut timer, cx)).await;
    let reason = match end {
        ConnectionEnd::Ended => None,
        ConnectionEnd::Idle => Some(Reason::NO_ERROR),
        ConnectionEnd::TooManyCancelled => {
            handler.connections.log.report_cancelled_requests();
            Some(Reason::ENHANCE_YOUR_CALM)
        }
    };
    if let Some(reason) = reason {
        served.connection.abrupt_shutdown(reason);
        let closed = std::future::poll_fn(|cx| served.connection.poll_closed(cx));
        // a client that does not read is cut
        let _ = tokio::time::timeout(LINGER, closed).await;
    }
    drop(served);
    stream.linger().await;
}

fn settings() -> Builder {
    let mut settings = Builder::new();
    settings
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEADERS_MAX_BYTES).unwrap_or(u32::MAX))
        .initial_window_size(HTTP2_STREAM_WINDOW)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
        .max_send_buffer_size(HTTP2_SEND_BUFFER)
        .data_frame_budget(HTTP2_FRAME_BUDGET);
    settings
}

/// Why a connection is no longer served.
enum ConnectionEnd {
    /// It has ended: the client has gone, or has been sent all that there is, or what it did wrong.
    Ended,
    /// Nothing has come or left for too long, or it was to end and has no request in flight.
    Idle,
    TooManyCancelled,
}

struct ServedConnection<'a, S> {
    connection: Connection<S, Bytes>,
    handler: &'a Rc<HttpHandler>,
    peer: &'a Rc<ForwardingPeer>,
    state: Rc<ClientConnection>,
    /// Whether the client knows that the connection ends.
    is_ending: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ServedConnection<'_, S> {
    fn poll(
        &mut self,
        draining: Pin<&mut WaitForCancellationFuture<'_>>,
        timer: &mut IdleTimer,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionEnd> {
        self.state.set_task(cx.waker());
        if draining.poll(cx).is_ready() {
            self.announce_end();
        }
        loop {
            match self.connection.poll_accept(cx) {
                Poll::Ready(None) => return Poll::Ready(ConnectionEnd::Ended),
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "a client's connection broke");
                    return Poll::Ready(ConnectionEnd::Ended);
                }
                Poll::Ready(Some(Ok((request, reply)))) => {
                    let place = self.state.begin_stream();
                    let handler = Rc::clone(self.handler);
                    let peer = Rc::clone(self.peer);
                    tokio::task::spawn_local(serve_stream(handler, peer, request, reply, place));
                    if self.handler.requests.are_last() {
                        self.announce_end();
                    }
                }
                Poll::Pending => break,
            }
        }
        if self.state.cancels_too_much() {
            return Poll::Ready(ConnectionEnd::TooManyCancelled);
        }
        self.state.set_unsent(self.state.idle_since().is_some() && self.connection.has_streams());
        while let Some(deadline) = self.deadline() {
            let now = self.handler.clock.mono();
            if deadline > now {
                ready!(timer.poll(cx, deadline, now));
                continue;
            }
            if self.is_ending {
                return Poll::Ready(ConnectionEnd::Idle);
            }
            self.announce_end();
            // h2 sends it now
            if self.connection.poll_closed(cx).is_ready() {
                return Poll::Ready(ConnectionEnd::Ended);
            }
        }
        Poll::Pending
    }

    fn announce_end(&mut self) {
        if !self.is_ending {
            self.is_ending = true;
            // a request that is on its way comes before the answer to the ping that goes with it
            self.state.restart_idle();
            self.connection.graceful_shutdown();
        }
    }

    /// When the connection is to end, if it has no request until then.
    fn deadline(&self) -> Option<Mono> {
        let since = self.state.idle_since()?;
        let limit = if self.connection.has_streams() {
            // the client has not read the end of a response
            self.state.waits().idle_timeout
        } else if self.state.is_evicted() {
            return Some(since);
        } else if self.is_ending {
            Millis::from(REQUEST_WAIT_IN_DRAIN)
        } else {
            Millis::from(self.handler.limits.idle)
        };
        Some(since.after(limit))
    }
}
