//! Room in the window of a stream, on either side of the balancer.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;

/// How many of the wanted bytes can be sent now, at least one; `None` once the other side takes no more.
pub(super) fn poll_room(
    send: &mut SendStream<Bytes>,
    wanted: usize,
    cx: &mut Context<'_>,
) -> Poll<Option<usize>> {
    send.reserve_capacity(wanted);
    while send.capacity() == 0 {
        match ready!(send.poll_capacity(cx)) {
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::trace!(%error, "a stream takes no more");
                return Poll::Ready(None);
            }
            None => return Poll::Ready(None),
        }
    }
    Poll::Ready(Some(send.capacity().min(wanted)))
}
