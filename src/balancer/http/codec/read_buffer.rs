//! What was read from a socket and not used yet.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;

/// Bytes that the first read of a message takes: most messages fit.
const READ_MIN: usize = 4 << 10;
/// Bytes that one read takes of a long body: more at a time gains nothing, and would wait in the balancer's memory.
const READ_MAX: usize = 128 << 10;

/// A buffer whose reads grow with what a peer sends, and which has no memory while nothing comes.
#[derive(Debug)]
pub(in crate::balancer::http) struct ReadBuffer {
    pub(in crate::balancer::http) bytes: BytesMut,
    /// Bytes that the next read takes.
    next: usize,
}

impl ReadBuffer {
    pub(in crate::balancer::http) fn new() -> Self {
        Self { bytes: BytesMut::new(), next: READ_MIN }
    }

    /// Reads more; `0` once the peer has ended the connection.
    pub(in crate::balancer::http) fn poll_fill(
        &mut self,
        stream: Pin<&mut impl AsyncRead>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.bytes.reserve(self.next);
        let free = self.bytes.capacity() - self.bytes.len();
        let polled = poll_read_buf(stream, cx, &mut self.bytes);
        if polled.is_pending() && self.bytes.is_empty() {
            self.bytes = BytesMut::new();
        }
        let read = ready!(polled)?;
        if read == free {
            self.next = (self.next * 2).min(READ_MAX);
        } else if read < self.next / 4 {
            self.next = READ_MIN;
        }
        Poll::Ready(Ok(read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fill(buffer: &mut ReadBuffer, stream: &mut &[u8]) -> usize {
        std::future::poll_fn(|cx| buffer.poll_fill(Pin::new(stream), cx)).await.unwrap()
    }

    #[tokio::test]
    async fn read_buffer_takes_more_at_a_time_of_a_long_body_up_to_a_bound() {
        let body = vec![b'x'; 4 << 20];
        let mut stream = &body[..];
        let mut buffer = ReadBuffer::new();
        let mut longest = 0;
        while fill(&mut buffer, &mut stream).await > 0 {
            longest = longest.max(buffer.bytes.len());
            buffer.bytes.clear();
        }
        assert!(longest > READ_MIN && longest <= 2 * READ_MAX, "{longest}");
    }

    #[tokio::test]
    async fn read_buffer_has_no_memory_while_nothing_comes() {
        let (mut stream, _peer) = tokio::io::duplex(16);
        let mut buffer = ReadBuffer::new();
        let polled =
            std::future::poll_fn(|cx| Poll::Ready(buffer.poll_fill(Pin::new(&mut stream), cx).is_pending()));
        assert!(polled.await);
        assert_eq!(buffer.bytes.capacity(), 0);
    }
}
