//! Sends the body of a request to an endpoint that speaks HTTP/2.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;
use http_body::{Body, Frame};

use super::send_room::poll_room;
use crate::balancer::http::activity::ClientActivity;
use crate::balancer::http::headers;
use crate::balancer::http::request_body::RequestBody;
use crate::balancer::http::upload::UploadError;
use crate::balancer::limits::HTTP2_REPLAY_MAX;

/// A body of which some is still to be sent.
pub(in crate::balancer::http) struct Http2Upload {
    send: SendStream<Bytes>,
    body: RequestBody,
    /// What the endpoint's window has no room for yet.
    unsent: Bytes,
    /// What was read from the client; `None` once it is too much to be sent again, or need not be.
    read: Option<Vec<Bytes>>,
    is_ended: bool,
    /// Whether the endpoint takes no more: it may answer before it has read everything.
    is_write_closed: bool,
    /// Of the client whose body it is.
    activity: Option<Rc<ClientActivity>>,
}

impl Http2Upload {
    pub(super) fn new(send: SendStream<Bytes>, body: RequestBody) -> Self {
        let activity = body.activity();
        let is_ended = body.is_empty();
        Self {
            send,
            body,
            unsent: Bytes::new(),
            read: Some(Vec::new()),
            is_ended,
            is_write_closed: false,
            activity,
        }
    }

    /// Whether the endpoint takes no more of it.
    pub(in crate::balancer::http) fn is_write_closed(&self) -> bool {
        self.is_write_closed
    }

    /// The endpoint has begun to answer, so that nothing of the body is sent again.
    pub(super) fn without_replay(self) -> Self {
        let mut upload = self;
        upload.read = None;
        upload
    }

    /// The body from its beginning, if it can be sent again.
    pub(super) fn take_whole_body(&mut self) -> Option<RequestBody> {
        let read = self.read.take()?;
        let rest = std::mem::replace(&mut self.body, RequestBody::Empty);
        Some(rest.with_pieces(read))
    }

    /// Sends until all is sent, or the endpoint takes no more.
    pub(in crate::balancer::http) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), UploadError>> {
        while !self.is_ended && !self.is_write_closed {
            if self.unsent.is_empty() {
                match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                    Some(Ok(frame)) => self.push(frame),
                    Some(Err(_)) => {
                        self.send.send_reset(h2::Reason::CANCEL);
                        return Poll::Ready(Err(UploadError::Body));
                    }
                    None => self.end(Bytes::new()),
                }
            } else {
                ready!(self.poll_write(cx));
            }
        }
        self.note_write(false, true);
        Poll::Ready(Ok(()))
    }

    fn push(&mut self, frame: Frame<Bytes>) {
        match frame.into_data() {
            Ok(data) => {
                self.remember(&data);
                self.unsent = data;
            }
            Err(frame) => {
                self.read = None;
                let mut trailers = frame.into_trailers().unwrap_or_default();
                headers::strip_from_trailers(&mut trailers);
                self.is_ended = true;
                let sent = self.send.send_trailers(trailers);
                self.note_end(sent);
            }
        }
    }

    fn remember(&mut self, data: &Bytes) {
        let Some(mut read) = self.read.take() else { return };
        let length: usize = read.iter().map(Bytes::len).sum();
        if length + data.len() <= HTTP2_REPLAY_MAX {
            read.push(data.clone());
            self.read = Some(read);
        }
    }

    /// Sends as much as the endpoint's window has room for.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let room = poll_room(&mut self.send, self.unsent.len(), cx);
        self.note_write(room.is_pending(), room.is_ready());
        let Some(room) = ready!(room) else {
            self.close_write();
            return Poll::Ready(());
        };
        let data = self.unsent.split_to(room);
        if self.unsent.is_empty() && self.body.is_end_stream() {
            self.end(data);
        } else {
            let sent = self.send.send_data(data, false);
            self.note_end(sent);
        }
        Poll::Ready(())
    }

    fn end(&mut self, data: Bytes) {
        self.is_ended = true;
        let sent = self.send.send_data(data, true);
        self.note_end(sent);
        self.body = RequestBody::Empty;
    }

    fn note_end(&mut self, sent: Result<(), h2::Error>) {
        if let Err(error) = sent {
            tracing::trace!(%error, "an endpoint takes no more of a request");
            self.close_write();
        }
    }

    /// What is left of the body is not read.
    fn close_write(&mut self) {
        self.is_write_closed = true;
        self.read = None;
        self.body = RequestBody::Empty;
    }

    fn note_write(&self, is_blocked: bool, has_progressed: bool) {
        if let Some(activity) = &self.activity {
            activity.note_upload(is_blocked, has_progressed);
        }
    }
}

impl Drop for Http2Upload {
    fn drop(&mut self) {
        self.note_write(false, true);
    }
}
