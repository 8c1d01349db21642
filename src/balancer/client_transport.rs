//! A client's connection, with or without TLS.
//!
//! Both are one type, so that there is one protocol handler for them; without TLS each call costs a comparison more.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// HTTP/2 in the names of ALPN.
pub(super) const HTTP2: &[u8] = b"h2";

/// A connection whose handshake is done.
pub(super) type TlsStream = tokio_rustls::server::TlsStream<TcpStream>;

pub(super) enum ClientTransport {
    Plain(TcpStream),
    /// In a box, because a connection without TLS should not be as large.
    Tls(Box<TlsStream>),
}

impl ClientTransport {
    /// The socket under it.
    pub(super) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Whether the client has chosen HTTP/2 in its handshake.
    pub(super) fn has_agreed_on_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(HTTP2),
        }
    }

    /// Whether something that was written has not left yet, because the socket did not take it.
    pub(super) fn has_unsent(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.wants_write(),
        }
    }

    /// Says that nothing follows, as far as the socket takes it at once: without that a client cannot distinguish the end of the
    /// connection from an attack that cuts it.
    pub(super) fn announce_end(&mut self) {
        if let Self::Tls(stream) = self {
            announce_tls_end(stream);
        }
    }
}

/// Sends `close_notify`, as far as the socket takes it at once.
pub(super) fn announce_tls_end(stream: &mut TlsStream) {
    stream.get_mut().1.send_close_notify();
    if let Err(error) = write_now(stream) {
        tracing::trace!(%error, "a client left before the end of the connection was announced");
    }
}

/// Writes what the session has to send, as far as the socket takes it at once.
pub(super) fn write_now(stream: &mut TlsStream) -> io::Result<()> {
    let (socket, session) = stream.get_mut();
    while session.wants_write() {
        session.write_tls(&mut AtOnce(socket))?;
    }
    Ok(())
}

/// Writes without waiting.
struct AtOnce<'a>(&'a TcpStream);

impl io::Write for AtOnce<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for ClientTransport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for ClientTransport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}
