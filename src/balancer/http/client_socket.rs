//! The socket of a client that speaks HTTP/1.1: what is read from it, and what is written to it.
//!
//! One task serves the connection, and everything that reads or writes here runs in it: the head of a request, its body while
//! that is forwarded, the response.

use std::cell::{RefCell, RefMut};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncWrite, Interest};

use super::activity::ClientActivity;
use super::codec::{
    BodyDecoder, BodyError, DecodedBody, HeadError, ReadBuffer, RequestHead, WriteQueue, parse_request,
    write_response_head,
};
use crate::balancer::client_transport::ClientTransport;
use crate::balancer::limits::HEADERS_MAX_BYTES;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A client's socket.
pub(super) struct ClientSocket {
    activity: Rc<ClientActivity>,
    state: RefCell<SocketState>,
}

struct SocketState {
    /// `None` once the connection speaks another protocol.
    stream: Option<ClientTransport>,
    input: ReadBuffer,
    output: WriteQueue,
    /// The body of the request that is being served.
    body: BodyDecoder,
    /// Whether the client waits for a word before it sends that body.
    expects_continue: bool,
    /// Whether the client takes interim responses, and the final one has not begun.
    takes_interim: bool,
    /// Whether a response has begun, and is not whole.
    is_responding: bool,
}

impl ClientSocket {
    pub(super) fn new(stream: ClientTransport, activity: Rc<ClientActivity>) -> Self {
        let state = SocketState {
            stream: Some(stream),
            input: ReadBuffer::new(),
            output: WriteQueue::default(),
            body: BodyDecoder::ENDED,
            expects_continue: false,
            takes_interim: false,
            is_responding: false,
        };
        Self { activity, state: RefCell::new(state) }
    }

    /// The next request; `None` once the client has ended the connection, or is to be cut off while it is idle.
    pub(super) async fn next_head(&self) -> Option<Result<RequestHead, HeadError>> {
        self.state.borrow_mut().skip_empty_lines();
        // what came with the request before begins this one
        if !self.state.borrow().input.bytes.is_empty() {
            self.activity.note_read();
        }
        let mut parsed = 0;
        std::future::poll_fn(|cx| self.poll_head(cx, &mut parsed)).await
    }

    /// `parsed`: how many bytes the parser has seen.
    fn poll_head(
        &self,
        cx: &mut Context<'_>,
        parsed: &mut usize,
    ) -> Poll<Option<Result<RequestHead, HeadError>>> {
        let state = &mut *self.state.borrow_mut();
        loop {
            if may_be_complete(&state.input.bytes, *parsed) {
                *parsed = state.input.bytes.len();
                match parse_request(&mut state.input.bytes) {
                    Ok(None) => {}
                    Ok(Some(head)) => {
                        state.body = BodyDecoder::new(head.framing);
                        state.expects_continue = head.expects_continue && !state.body.is_ended();
                        state.takes_interim = head.parts.version == http::Version::HTTP_11;
                        return Poll::Ready(Some(Ok(head)));
                    }
                    Err(error) => return Poll::Ready(Some(Err(error))),
                }
            }
            match state.poll_fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(None),
                Poll::Ready(Ok(_)) => {
                    if *parsed == 0 {
                        state.skip_empty_lines();
                    }
                    if !state.input.bytes.is_empty() {
                        self.activity.note_read();
                    }
                }
                // a request that has come already is served first
                Poll::Pending if self.activity.is_evicted() && state.input.bytes.is_empty() => {
                    return Poll::Ready(None);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Resolves once the client has ended the connection, as far as that can be seen: bytes that were not read hide it.
    pub(super) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let state = &mut *self.state.borrow_mut();
        if self.activity.is_end_watched() {
            return if state.has_ended(cx) { Poll::Ready(()) } else { Poll::Pending };
        }
        // the one who reads the body sees its end
        if !state.body.is_ended() || !state.input.bytes.is_empty() {
            return Poll::Pending;
        }
        match ready!(state.poll_fill(cx)) {
            Ok(0) | Err(_) => Poll::Ready(()),
            Ok(_) => Poll::Pending,
        }
    }

    /// Whether the body of the request that is being served has been read to its end.
    pub(super) fn is_body_read(&self) -> bool {
        self.state.borrow().body.is_ended()
    }

    /// How much of the body is still to come.
    pub(super) fn body_size(&self) -> SizeHint {
        self.state.borrow().body.size_hint()
    }

    /// Reads more of the body of the request that is being served.
    pub(super) fn poll_body(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let state = &mut *self.state.borrow_mut();
        state.say_continue(cx);
        loop {
            match state.body.decode(&mut state.input.bytes) {
                Ok(DecodedBody::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(DecodedBody::End(trailers)) if trailers.is_empty() => return Poll::Ready(None),
                Ok(DecodedBody::End(trailers)) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                Ok(DecodedBody::NeedsMore) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            match ready!(state.poll_fill(cx)) {
                Ok(0) => return Poll::Ready(state.body.end_of_input().err().map(Err)),
                Ok(_) => self.activity.note_read(),
                Err(_) => return Poll::Ready(Some(Err(BodyError::Broken))),
            }
        }
    }

    /// Passes an interim response, such as 103 Early Hints.
    pub(super) fn push_interim(&self, status: StatusCode, headers: &HeaderMap) {
        let state = &mut *self.state.borrow_mut();
        if state.takes_interim && !state.output.is_full() {
            write_response_head(state.output.tail(), status, headers);
        }
    }

    /// What is to be written, once the final response begins.
    pub(super) fn begin_response(&self) {
        let state = &mut *self.state.borrow_mut();
        state.expects_continue = false;
        state.takes_interim = false;
        state.is_responding = true;
    }

    /// Where a response is written to.
    pub(super) fn output(&self) -> RefMut<'_, WriteQueue> {
        RefMut::map(self.state.borrow_mut(), |state| &mut state.output)
    }

    /// Writes all of the output.
    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = &mut *self.state.borrow_mut();
        if state.output.is_empty() && !state.stream.as_ref().is_some_and(ClientTransport::has_unsent) {
            return Poll::Ready(Ok(()));
        }
        let written = state.output.written();
        let polled = state.poll_flush(cx);
        if state.output.written() > written {
            self.activity.note_write(false);
        }
        self.activity.note_write(polled.is_pending());
        polled
    }

    /// The socket, and what was read from it and not used: the connection speaks another protocol from now on.
    pub(super) fn take_stream(&self) -> Option<(ClientTransport, BytesMut)> {
        let state = &mut *self.state.borrow_mut();
        Some((state.stream.take()?, state.input.bytes.split()))
    }

    /// Gives up the memory for output: the connection may be idle from now on.
    pub(super) fn end_response(&self, is_whole: bool) {
        let state = &mut *self.state.borrow_mut();
        state.output = WriteQueue::default();
        state.is_responding = !is_whole;
    }

    /// Says that nothing follows. Not within a response: its client must see that it was cut.
    pub(super) fn announce_end(&self) {
        let state = &mut *self.state.borrow_mut();
        state.stream.iter_mut().filter(|_| !state.is_responding).for_each(ClientTransport::announce_end);
    }

    /// Ends the responses, and reads on for a while if the client is still sending: closing the socket at once would reset
    /// the connection, and the client would lose the response.
    pub(super) async fn close(&self) {
        let shutdown = std::future::poll_fn(|cx| {
            let state = &mut *self.state.borrow_mut();
            match &mut state.stream {
                Some(stream) => Pin::new(stream).poll_shutdown(cx),
                None => Poll::Ready(Ok(())),
            }
        });
        if shutdown.await.is_err() {
            return;
        }
        if std::future::poll_fn(|cx| Poll::Ready(self.state.borrow_mut().has_unread(cx))).await {
            self.activity.linger();
        }
        while self.activity.lingers() {
            let read = std::future::poll_fn(|cx| {
                let state = &mut *self.state.borrow_mut();
                state.input.bytes.clear();
                state.poll_fill(cx)
            });
            if !matches!(read.await, Ok(1..)) {
                break;
            }
        }
    }
}

impl SocketState {
    /// Some clients end a body with an empty line, which belongs to no request.
    fn skip_empty_lines(&mut self) {
        let empty = self.input.bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.input.bytes.advance(empty);
    }

    /// Whether the client has sent something that was not read, or is sending.
    fn has_unread(&mut self, cx: &mut Context<'_>) -> bool {
        let is_known = !self.body.is_ended() || !self.input.bytes.is_empty();
        is_known || matches!(self.poll_fill(cx), Poll::Ready(Ok(1..)))
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Some(stream) => self.input.poll_fill(Pin::new(stream), cx),
            None => Poll::Ready(Ok(0)),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Some(stream) => self.output.poll_flush(Pin::new(stream), cx),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Whether the client has ended the connection, although bytes of it may not have been read.
    fn has_ended(&self, cx: &mut Context<'_>) -> bool {
        let Some(stream) = &self.stream else { return true };
        let ready = pin!(stream.tcp().ready(Interest::READABLE)).poll(cx);
        matches!(ready, Poll::Ready(Ok(ready)) if ready.is_read_closed())
    }

    /// Asks for the body. What does not fit into the socket is written with the response.
    fn say_continue(&mut self, cx: &mut Context<'_>) {
        if std::mem::take(&mut self.expects_continue) {
            self.output.tail().extend_from_slice(CONTINUE);
            // a broken connection shows in what is read
            let _ = self.poll_flush(cx);
        }
    }
}

/// Whether a head may have become complete, or wrong, since the parser saw its first bytes: parsing it with every byte that
/// comes would cost the square of its length.
fn may_be_complete(bytes: &[u8], parsed: usize) -> bool {
    if bytes.is_empty() || bytes.len() == parsed {
        return false;
    }
    if parsed == 0 || bytes.len() >= HEADERS_MAX_BYTES {
        return true;
    }
    let fresh = &bytes[parsed.saturating_sub(3)..];
    fresh.windows(2).any(|pair| pair == b"\n\n") || fresh.windows(3).any(|three| three == b"\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_is_parsed_first_and_then_when_it_may_be_complete() {
        let head = b"GET / HTTP/1.1\r\nA: b\r\n\r\n";
        assert!(!may_be_complete(b"", 0));
        assert!(may_be_complete(b"G", 0), "a wrong first byte is answered at once");
        let parsed: Vec<usize> =
            (2..=head.len()).filter(|length| may_be_complete(&head[..*length], length - 1)).collect();
        assert_eq!(parsed, [head.len()]);
        assert!(may_be_complete(b"GET / HTTP/1.1\n\n", 15));
        assert!(may_be_complete(&vec![b'a'; HEADERS_MAX_BYTES], HEADERS_MAX_BYTES - 1));
    }
}
