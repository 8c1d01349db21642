//! One end of a relay: a socket, or a client's TLS connection. Both directions share an end, so all of it works on a shared
//! reference.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Write};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::balancer::client_transport::{ClientTransport, TlsStream, announce_tls_end, write_now};

pub(super) trait RelaySide {
    /// Reads what there is; 0 at the end of the stream.
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;
    /// Sends what [`Self::poll_write`] took and the socket did not.
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Sends the end of the stream.
    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Writes as much as is taken at once.
    fn write_at_once(&self, bytes: &[u8]) -> io::Result<()>;
    /// Sends the end of the stream, as far as it is taken at once.
    fn end_at_once(&self) -> io::Result<()>;
    /// Whether bytes have come that were not read yet.
    fn has_input(&self) -> bool;
    /// Makes the end of the connection a reset.
    fn reset(&self);
}

impl RelaySide for TcpStream {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_read_ready(cx))?;
            match self.try_read(buffer) {
                // the readiness was out of date, and is not any more
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_write_ready(cx))?;
            match self.try_write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_end(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.end_at_once())
    }

    fn write_at_once(&self, bytes: &[u8]) -> io::Result<()> {
        self.try_write(bytes).map(|_| ())
    }

    fn end_at_once(&self) -> io::Result<()> {
        SockRef::from(self).shutdown(Shutdown::Write)
    }

    fn has_input(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        SockRef::from(self).peek(&mut byte).is_ok_and(|count| count > 0)
    }

    fn reset(&self) {
        if let Err(error) = SockRef::from(self).set_linger(Some(Duration::ZERO)) {
            tracing::trace!(%error, "cannot reset a connection");
        }
    }
}

/// The client of a relay.
pub(in crate::balancer) enum RelayClient<'a> {
    Plain(&'a TcpStream),
    Tls(RefCell<&'a mut TlsStream>),
}

impl<'a> From<&'a mut ClientTransport> for RelayClient<'a> {
    fn from(stream: &'a mut ClientTransport) -> Self {
        match stream {
            ClientTransport::Plain(stream) => Self::Plain(stream),
            ClientTransport::Tls(stream) => Self::Tls(RefCell::new(stream)),
        }
    }
}

impl RelaySide for RelayClient<'_> {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => stream.poll_read(cx, buffer),
            Self::Tls(stream) => {
                let mut buffer = ReadBuf::new(buffer);
                ready!(Pin::new(&mut **stream.borrow_mut()).poll_read(cx, &mut buffer))?;
                Poll::Ready(Ok(buffer.filled().len()))
            }
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => stream.poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(&mut **stream.borrow_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(&mut **stream.borrow_mut()).poll_flush(cx),
        }
    }

    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => stream.poll_end(cx),
            Self::Tls(stream) => Pin::new(&mut **stream.borrow_mut()).poll_shutdown(cx),
        }
    }

    fn write_at_once(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_at_once(bytes),
            Self::Tls(stream) => {
                let mut stream = stream.borrow_mut();
                stream.get_mut().1.writer().write_all(bytes)?;
                write_now(&mut stream)
            }
        }
    }

    fn end_at_once(&self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.end_at_once(),
            Self::Tls(stream) => {
                let mut stream = stream.borrow_mut();
                announce_tls_end(&mut stream);
                stream.get_ref().0.end_at_once()
            }
        }
    }

    fn has_input(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.has_input(),
            Self::Tls(stream) => stream.borrow().get_ref().0.has_input(),
        }
    }

    fn reset(&self) {
        match self {
            Self::Plain(stream) => stream.reset(),
            Self::Tls(stream) => stream.borrow().get_ref().0.reset(),
        }
    }
}
