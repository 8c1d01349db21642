//! Connections to an endpoint that speak HTTP/1.1.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::request_body::RequestBody;
use crate::balancer::connect::{self, ConnectError};
use crate::balancer::limits::HEADERS_MAX_BYTES;
use crate::balancer::pool::{PoolLease, PooledConnection, UpstreamPool};
use crate::balancer::socket_budget::{SocketBudget, SocketPermit};

pub(in crate::balancer) type HttpPool = Rc<UpstreamPool<HttpConnection>>;
pub(super) type HttpLease = PoolLease<HttpConnection>;

pub(in crate::balancer) struct HttpConnection {
    pub(super) sender: SendRequest<RequestBody>,
}

impl PooledConnection for HttpConnection {
    fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }
}

pub(super) async fn connect(
    address: SocketAddr,
    budget: &SocketBudget,
) -> Result<HttpConnection, ConnectError> {
    let (stream, permit) = connect::connect(address, budget).await?;
    let socket = TokioIo::new(EndpointSocket { stream, is_deaf: false, _permit: permit });
    let handshake = Builder::new().max_header_size(HEADERS_MAX_BYTES).handshake(socket);
    let connected = handshake.await.map_err(|error| ConnectError::Io(address, io::Error::other(error)));
    let (sender, connection) = connected?;
    tokio::task::spawn_local(async move {
        if let Err(error) = connection.await {
            // a request that waits for a response on it gets the same error
            tracing::trace!(%address, %error, "a connection to an endpoint ended");
        }
    });
    Ok(HttpConnection { sender })
}

/// An endpoint's socket. Once a write fails, further writes are discarded: an endpoint may answer before it has read the
/// request's body, and close. Its response can still be read; if there is none, the read fails.
struct EndpointSocket {
    stream: TcpStream,
    /// Whether a write failed.
    is_deaf: bool,
    /// Dropped after the stream.
    _permit: SocketPermit,
}

impl EndpointSocket {
    fn written(&mut self, written: io::Result<usize>, length: usize) -> io::Result<usize> {
        written.or_else(|error| {
            tracing::trace!(%error, "an endpoint closed its connection for writing");
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
