//! What is to be written to a socket.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

/// Bytes above which the producer waits until some are written: a slow reader costs no more.
const QUEUED_MAX: usize = 64 << 10;
/// A piece up to this length is copied next to the others, which costs less than a slice of its own in the system call.
const COPIED_MAX: usize = 4 << 10;
/// Slices of one system call.
const SLICES_MAX: usize = 16;

/// Bytes in order, of which long pieces are not copied.
#[derive(Debug, Default)]
pub(in crate::balancer::http) struct WriteQueue {
    /// Before `tail`.
    pieces: VecDeque<Bytes>,
    tail: BytesMut,
    /// Bytes in `pieces`.
    queued: usize,
    /// Bytes written so far.
    written: u64,
}

impl WriteQueue {
    /// Where short pieces are appended.
    pub(in crate::balancer::http) fn tail(&mut self) -> &mut BytesMut {
        &mut self.tail
    }

    /// Appends a piece.
    pub(in crate::balancer::http) fn push(&mut self, piece: Bytes) {
        if piece.len() <= COPIED_MAX {
            self.tail.extend_from_slice(&piece);
            return;
        }
        if !self.tail.is_empty() {
            self.queued += self.tail.len();
            self.pieces.push_back(self.tail.split().freeze());
        }
        self.queued += piece.len();
        self.pieces.push_back(piece);
    }

    pub(in crate::balancer::http) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.tail.is_empty()
    }

    /// Whether the producer should wait.
    pub(in crate::balancer::http) fn is_full(&self) -> bool {
        self.queued + self.tail.len() >= QUEUED_MAX
    }

    /// How many bytes have been written.
    pub(in crate::balancer::http) fn written(&self) -> u64 {
        self.written
    }

    /// Writes until all is written.
    pub(in crate::balancer::http) fn poll_flush(
        &mut self,
        mut stream: Pin<&mut impl AsyncWrite>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let written = if self.pieces.is_empty() {
                ready!(stream.as_mut().poll_write(cx, &self.tail))?
            } else {
                ready!(stream.as_mut().poll_write_vectored(cx, &self.slices()))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written as u64;
            self.advance(written);
        }
        // what TLS has encrypted and the socket did not take; a socket alone has nothing to flush
        stream.poll_flush(cx)
    }

    fn slices(&self) -> Vec<IoSlice<'_>> {
        let pieces = self.pieces.iter().map(|piece| IoSlice::new(piece));
        let tail = (!self.tail.is_empty()).then(|| IoSlice::new(&self.tail));
        pieces.chain(tail).take(SLICES_MAX).collect()
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(piece) = self.pieces.front_mut() {
            let of_piece = piece.len().min(written);
            piece.advance(of_piece);
            self.queued -= of_piece;
            written -= of_piece;
            if !piece.is_empty() {
                return;
            }
            self.pieces.pop_front();
        }
        self.tail.advance(written);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt;

    async fn written(queue: &mut WriteQueue, stream_bytes: usize) -> Vec<u8> {
        let (mut stream, mut peer) = tokio::io::duplex(stream_bytes);
        let mut read = Vec::new();
        let write = async {
            std::future::poll_fn(|cx| queue.poll_flush(Pin::new(&mut stream), cx)).await.unwrap();
            drop(stream);
        };
        let (_, result) = tokio::join!(write, peer.read_to_end(&mut read));
        result.unwrap();
        read
    }

    proptest! {
        #[test]
        fn write_queue_keeps_the_order_of_pieces(
            lengths in prop::collection::vec(0_usize..3 * COPIED_MAX, 0..40),
            stream_bytes in 1_usize..50_000,
        ) {
            let mut queue = WriteQueue::default();
            let mut wanted = Vec::new();
            for (number, length) in lengths.iter().enumerate() {
                let piece = vec![number as u8; *length];
                wanted.extend_from_slice(&piece);
                queue.push(piece.into());
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let read = runtime.block_on(written(&mut queue, stream_bytes));
            prop_assert_eq!(read, wanted);
            prop_assert!(queue.is_empty() && !queue.is_full());
        }
    }

    #[test]
    fn write_queue_is_full_at_its_bound() {
        let mut queue = WriteQueue::default();
        queue.push(Bytes::from(vec![0; QUEUED_MAX - 1]));
        assert!(!queue.is_full());
        queue.push(Bytes::from_static(b"x"));
        assert!(queue.is_full());
    }
}
