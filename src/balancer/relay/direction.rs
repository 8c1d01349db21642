//! Copies bytes one way between two sockets, as fast as the receiver takes them.
//!
//! Invariants: nothing more is read while bytes are left that the receiver has not taken, so that a connection holds at most one
//! buffer for each direction, and none while it is idle; the end of the stream is passed on after its last byte.

use std::io::{self, ErrorKind};
use std::task::{Context, Poll, ready};

use super::side::RelaySide;
use super::websocket_frames::WebSocketFrames;
use crate::balancer::limits::TCP_TURNS_MAX;

/// How far a direction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Open,
    /// The sender has ended its stream; the receiver has not been sent the end yet.
    Ended,
    /// The end is passed on, or the receiver takes nothing any more.
    Done,
}

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Direction {
    /// Read and not taken yet, from `taken` on.
    left: Vec<u8>,
    taken: usize,
    progress: Progress,
    /// Whether the receiver's socket has not taken all that the receiver's end took.
    is_unsent: bool,
    /// Bytes that the receiver has taken.
    pub(super) bytes: u64,
    /// Of a WebSocket.
    frames: Option<WebSocketFrames>,
    /// Whether a write has met a reset by the receiver. The kernel reports a reset once, to the first call that meets it; after that
    /// the receiver's own bytes seem to end in order.
    pub(super) is_receiver_reset: bool,
    /// Whether the sender has reset its connection, as a write of the other direction has found.
    pub(super) is_sender_reset: bool,
}

impl Direction {
    /// With bytes that were read before; `frames` if they are those of a WebSocket.
    pub(super) fn new(left: Vec<u8>, mut frames: Option<WebSocketFrames>) -> Self {
        if let Some(frames) = &mut frames {
            frames.note(&left);
        }
        Self {
            left,
            taken: 0,
            progress: Progress::Open,
            is_unsent: false,
            bytes: 0,
            frames,
            is_receiver_reset: false,
            is_sender_reset: false,
        }
    }

    /// Whether the balancer may add a frame of its own, if this is a WebSocket.
    pub(super) fn is_at_boundary(&self) -> bool {
        !self.is_blocked() && self.frames.is_none_or(|frames| frames.is_at_boundary())
    }

    /// Whether the receiver has not taken all that was read.
    pub(super) fn is_blocked(&self) -> bool {
        !self.left.is_empty() || self.is_unsent
    }

    /// Copies what there is; ready at the end of the stream. `scratch` is only used in between.
    ///
    /// # Errors
    /// The sender's connection broke. If the receiver's does, this direction is done, and what the receiver has sent before can still
    /// be read.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &impl RelaySide,
        to: &impl RelaySide,
        scratch: &mut [u8],
    ) -> Poll<io::Result<()>> {
        for _ in 0..TCP_TURNS_MAX {
            if self.progress == Progress::Done {
                return Poll::Ready(Ok(()));
            }
            if !self.left.is_empty() {
                let taken = ready!(to.poll_write(cx, &self.left[self.taken..]));
                self.note_taken(taken);
                self.note_flushed(to.poll_flush(cx));
            } else if self.is_unsent {
                let flushed = ready!(to.poll_flush(cx));
                self.note_flushed(Poll::Ready(flushed));
            } else if self.progress == Progress::Ended {
                let ended = ready!(to.poll_end(cx));
                self.progress = Progress::Done;
                if let Err(error) = ended {
                    tracing::trace!(%error, "the receiver left before the end of the stream");
                }
            } else {
                ready!(self.poll_read(cx, from, to, scratch))?;
            }
        }
        // others have their turn
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        from: &impl RelaySide,
        to: &impl RelaySide,
        scratch: &mut [u8],
    ) -> Poll<io::Result<()>> {
        match ready!(from.poll_read(cx, scratch))? {
            0 if self.is_sender_reset => return Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
            0 => self.progress = Progress::Ended,
            count => self.pass(cx, &scratch[..count], to),
        }
        Poll::Ready(Ok(()))
    }

    fn pass(&mut self, cx: &mut Context<'_>, bytes: &[u8], to: &impl RelaySide) {
        if let Some(frames) = &mut self.frames {
            frames.note(bytes);
        }
        match to.poll_write(cx, bytes) {
            Poll::Ready(Ok(taken)) => {
                self.bytes += taken as u64;
                self.left.extend_from_slice(&bytes[taken..]);
                self.note_flushed(to.poll_flush(cx));
            }
            Poll::Ready(Err(error)) => self.give_up(&error),
            Poll::Pending => self.left.extend_from_slice(bytes),
        }
    }

    fn note_taken(&mut self, taken: io::Result<usize>) {
        match taken {
            Ok(taken) => {
                self.bytes += taken as u64;
                self.taken += taken;
                if self.taken == self.left.len() {
                    self.left = Vec::new();
                    self.taken = 0;
                }
            }
            Err(error) => self.give_up(&error),
        }
    }

    fn note_flushed(&mut self, flushed: Poll<io::Result<()>>) {
        if self.progress == Progress::Done {
            return;
        }
        self.is_unsent = flushed.is_pending();
        if let Poll::Ready(Err(error)) = flushed {
            self.give_up(&error);
        }
    }

    fn give_up(&mut self, error: &io::Error) {
        tracing::trace!(%error, "the receiver takes no more");
        self.is_receiver_reset = error.kind() == ErrorKind::ConnectionReset;
        self.left = Vec::new();
        self.is_unsent = false;
        self.progress = Progress::Done;
    }
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::Notify;

    use super::*;
    use crate::balancer::limits::TCP_BUFFER_BYTES;

    /// Both ends of a connection.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (one, other) = tokio::join!(TcpStream::connect(address), listener.accept());
        (one.unwrap(), other.unwrap().0)
    }

    #[tokio::test]
    async fn direction_holds_one_buffer_while_its_receiver_reads_nothing() {
        // far more than the kernel's buffers hold
        const LENGTH: usize = 64 << 20;
        let (mut sender, from) = pair().await;
        let (to, mut receiver) = pair().await;
        let blocked = Notify::new();
        let mut direction = Direction::new(Vec::new(), None);
        let mut scratch = vec![0; TCP_BUFFER_BYTES];
        let sending = async {
            let piece = vec![7; 1 << 20];
            for _ in 0..LENGTH / piece.len() {
                sender.write_all(&piece).await.unwrap();
            }
            sender.shutdown().await.unwrap();
        };
        let copying = std::future::poll_fn(|cx| {
            let polled = direction.poll(cx, &from, &to, &mut scratch);
            assert!(direction.left.len() <= TCP_BUFFER_BYTES);
            if direction.is_blocked() {
                blocked.notify_one();
            }
            polled
        });
        let receiving = async {
            blocked.notified().await;
            let mut received = Vec::new();
            receiver.read_to_end(&mut received).await.unwrap();
            received.len()
        };
        let ((), copied, received) = tokio::join!(sending, copying, receiving);
        copied.unwrap();
        assert_eq!((received, direction.bytes), (LENGTH, LENGTH as u64));
        assert_eq!(direction.left.capacity(), 0, "an idle connection has no buffer");
    }

    #[tokio::test]
    async fn reset_that_a_write_has_met_ends_the_other_direction_too() {
        let (mut sender, from) = pair().await;
        let (to, receiver) = pair().await;
        SockRef::from(&receiver).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(receiver);
        sender.write_all(b"x").await.unwrap();
        let mut scratch = vec![0; TCP_BUFFER_BYTES];
        let mut up = Direction::new(Vec::new(), None);
        std::future::poll_fn(|cx| up.poll(cx, &from, &to, &mut scratch)).await.unwrap();
        assert!(up.is_receiver_reset);
        let mut down = Direction::new(Vec::new(), None);
        down.is_sender_reset = up.is_receiver_reset;
        let ended = std::future::poll_fn(|cx| down.poll(cx, &to, &from, &mut scratch)).await;
        assert_eq!(
            ended.unwrap_err().kind(),
            ErrorKind::ConnectionReset,
            "what it sent may be half an answer"
        );
    }
}
