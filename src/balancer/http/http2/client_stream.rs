//! A stream of a client's connection: the body of its request, and the way back.
//!
//! One task serves the stream, and everything that reads or writes here runs in it.

use std::cell::{Cell, RefCell, RefMut};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, Response, StatusCode};
use http_body::{Frame, SizeHint};

use super::request_head::AnnouncedBody;
use crate::balancer::http::codec::BodyError;
use crate::balancer::limits::INTERIM_RESPONSES_MAX;

pub(in crate::balancer::http) struct ClientStream {
    body: RefCell<StreamBody>,
    reply: RefCell<SendResponse<Bytes>>,
    /// Interim responses so far.
    interim: Cell<usize>,
}

struct StreamBody {
    stream: RecvStream,
    /// What of the announced length is still to come.
    left: Option<u64>,
    phase: BodyPhase,
    /// Whether the client waits for a word before it sends the body.
    expects_continue: bool,
}

/// What of the body comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyPhase {
    Data,
    Trailers,
    Ended,
}

impl ClientStream {
    pub(super) fn new(stream: RecvStream, body: AnnouncedBody, reply: SendResponse<Bytes>) -> Self {
        let AnnouncedBody { length, expects_continue } = body;
        let body = StreamBody { stream, left: length, phase: BodyPhase::Data, expects_continue };
        Self { body: RefCell::new(body), reply: RefCell::new(reply), interim: Cell::new(0) }
    }

    /// Whether the body has been read to its end.
    pub(in crate::balancer::http) fn is_body_read(&self) -> bool {
        let body = self.body.borrow();
        body.phase == BodyPhase::Ended || body.stream.is_end_stream()
    }

    /// How much of the body is still to come.
    pub(in crate::balancer::http) fn body_size(&self) -> SizeHint {
        let body = self.body.borrow();
        match body.left {
            Some(left) => SizeHint::with_exact(left),
            None if body.phase == BodyPhase::Ended || body.stream.is_end_stream() => SizeHint::with_exact(0),
            None => SizeHint::default(),
        }
    }

    /// Reads more of the body. The client may send as much again as is taken here.
    pub(in crate::balancer::http) fn poll_body(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let body = &mut *self.body.borrow_mut();
        if std::mem::take(&mut body.expects_continue) {
            self.send_interim(StatusCode::CONTINUE, &HeaderMap::new());
        }
        loop {
            match body.phase {
                BodyPhase::Data => match ready!(body.stream.poll_data(cx)) {
                    Some(Ok(data)) if data.is_empty() => {}
                    Some(Ok(data)) => return Poll::Ready(Some(body.take_in(data))),
                    Some(Err(error)) => return Poll::Ready(Some(Err(broken(&error)))),
                    None => body.phase = BodyPhase::Trailers,
                },
                BodyPhase::Trailers => {
                    let trailers = ready!(body.stream.poll_trailers(cx));
                    body.phase = BodyPhase::Ended;
                    match trailers {
                        Ok(Some(trailers)) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                        Ok(None) => return Poll::Ready(None),
                        Err(error) => return Poll::Ready(Some(Err(broken(&error)))),
                    }
                }
                BodyPhase::Ended => return Poll::Ready(None),
            }
        }
    }

    /// Passes an interim response, such as 103 Early Hints. h2 buffers it however little the client reads, so there may be only a few.
    pub(in crate::balancer::http) fn send_interim(&self, status: StatusCode, headers: &HeaderMap) {
        if self.interim.get() >= INTERIM_RESPONSES_MAX {
            return;
        }
        let mut interim = Response::new(());
        *interim.status_mut() = status;
        interim.headers_mut().clone_from(headers);
        self.interim.set(self.interim.get() + 1);
        if let Err(error) = self.reply.borrow_mut().send_informational(interim) {
            // the stream has ended, which the one who serves it sees too
            tracing::trace!(%error, "an interim response was not sent");
        }
    }

    /// Where the response is sent.
    pub(super) fn reply(&self) -> RefMut<'_, SendResponse<Bytes>> {
        self.reply.borrow_mut()
    }

    /// Resolves once the client has given up the stream, or its connection is gone.
    pub(super) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.reply.borrow_mut().poll_reset(cx).map(|_| ())
    }
}

impl StreamBody {
    fn take_in(&mut self, data: Bytes) -> Result<Frame<Bytes>, BodyError> {
        let length = data.len();
        if let Some(left) = &mut self.left {
            // h2 has compared the two
            *left = left.saturating_sub(length as u64);
        }
        self.stream.flow_control().release_capacity(length).map_err(|error| broken(&error))?;
        Ok(Frame::data(data))
    }
}

fn broken(error: &h2::Error) -> BodyError {
    tracing::trace!(%error, "a request's body broke off");
    BodyError::Broken
}
