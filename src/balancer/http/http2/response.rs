//! Writes a response to a client's stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::header::{CONTENT_LENGTH, DATE, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Body, Frame};

use super::client_stream::ClientStream;
use super::send_room::poll_room;
use crate::balancer::http::activity::ClientActivity;
use crate::balancer::http::headers;
use crate::balancer::http::response_body::ResponseBody;

/// The response is less than it was to be, and its stream is reset: the client, or the endpoint, broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BrokenStream;

/// Writes a response to its end, and sends the rest of its request to the endpoint.
pub(super) async fn write_response(
    stream: &ClientStream,
    activity: &ClientActivity,
    answers_head: bool,
    response: Response<ResponseBody>,
    date: HeaderValue,
) -> Result<(), BrokenStream> {
    let (mut head, body) = response.into_parts();
    let has_none =
        answers_head || head.status == StatusCode::NO_CONTENT || head.status == StatusCode::NOT_MODIFIED;
    let headers = &mut head.headers;
    // those of the balancer's own replies, and of a hop: HTTP/2 has none (RFC 9113, section 8.2.2)
    headers::strip_hop_by_hop(headers);
    headers.entry(DATE).or_insert(date);
    if head.status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
    } else if !has_none && let Some(length) = body.size_hint().exact() {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let is_whole = has_none || body.is_end_stream();
    let sent = stream.reply().send_response(Response::from_parts(head, ()), is_whole);
    let send = sent.map_err(|error| {
        tracing::debug!(%error, "a response could not be sent");
        BrokenStream
    })?;
    let mut writer = StreamWriter { send, body, unsent: Bytes::new(), is_ended: is_whole };
    let written = std::future::poll_fn(|cx| writer.poll_write(activity, cx)).await;
    if written.is_err() {
        writer.send.send_reset(Reason::INTERNAL_ERROR);
        return written;
    }
    std::future::poll_fn(|cx| writer.body.poll_upload(cx)).await.map_err(|_| BrokenStream)
}

struct StreamWriter {
    send: SendStream<Bytes>,
    body: ResponseBody,
    /// What the client's window has no room for yet.
    unsent: Bytes,
    is_ended: bool,
}

impl StreamWriter {
    /// Writes until the end of the stream has been queued.
    fn poll_write(
        &mut self,
        activity: &ClientActivity,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), BrokenStream>> {
        // a client may read only after it has sent everything, so its request is forwarded even while it reads nothing
        if let Poll::Ready(Err(_)) = self.body.poll_upload(cx) {
            return Poll::Ready(Err(BrokenStream));
        }
        while !self.is_ended {
            if self.send.poll_reset(cx).is_ready() {
                return Poll::Ready(Err(BrokenStream));
            }
            if !self.unsent.is_empty() {
                ready!(self.poll_send(activity, cx))?;
                continue;
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => self.push(frame)?,
                Some(Err(error)) => {
                    tracing::debug!(%error, "a response broke off");
                    return Poll::Ready(Err(BrokenStream));
                }
                None => self.end(Bytes::new())?,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn push(&mut self, frame: Frame<Bytes>) -> Result<(), BrokenStream> {
        match frame.into_data() {
            Ok(data) if data.is_empty() && self.body.is_end_stream() => self.end(data),
            Ok(data) => {
                self.unsent = data;
                Ok(())
            }
            Err(frame) => {
                let mut trailers = frame.into_trailers().unwrap_or_default();
                headers::strip_from_trailers(&mut trailers);
                self.is_ended = true;
                self.send.send_trailers(trailers).map_err(|error| broken(&error))
            }
        }
    }

    /// Sends as much as the client's window has room for.
    fn poll_send(
        &mut self,
        activity: &ClientActivity,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), BrokenStream>> {
        let room = poll_room(&mut self.send, self.unsent.len(), cx);
        activity.note_write(room.is_pending());
        let Some(room) = ready!(room) else { return Poll::Ready(Err(BrokenStream)) };
        let data = self.unsent.split_to(room);
        let is_last = self.unsent.is_empty() && self.body.is_end_stream();
        if is_last {
            return Poll::Ready(self.end(data));
        }
        Poll::Ready(self.send.send_data(data, false).map_err(|error| broken(&error)))
    }

    fn end(&mut self, data: Bytes) -> Result<(), BrokenStream> {
        self.is_ended = true;
        self.send.send_data(data, true).map_err(|error| broken(&error))
    }
}

fn broken(error: &h2::Error) -> BrokenStream {
    tracing::trace!(%error, "a client's stream broke");
    BrokenStream
}
