//! Sends a request to an endpoint.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::TRANSFER_ENCODING;
use http::request::Parts;
use http_body::{Body, Frame};
use tokio::io::AsyncWrite;

use super::activity::ClientActivity;
use super::codec::{LAST_CHUNK, WriteQueue, write_chunk_size, write_request_head, write_trailers};
use super::headers;
use super::request_body::RequestBody;

/// A request of which some is still to be sent.
pub(super) struct Upload {
    queue: WriteQueue,
    body: RequestBody,
    is_chunked: bool,
    /// The first piece of the body, until something was written.
    first: Option<Bytes>,
    /// Whether the body can be taken back while nothing was written.
    is_whole: bool,
    /// Whether a write failed, so that nothing more is sent. An endpoint may answer before it has read the request's body, and
    /// close. Its response can still be read; if there is none, the read fails.
    is_write_closed: bool,
    /// Of the client whose body it is.
    activity: Option<Rc<ClientActivity>>,
}

/// Why a request is not sent to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UploadError {
    /// The connection took no byte of it.
    Unsent,
    /// The client aborted its body, or sent an invalid one.
    Body,
}

impl Upload {
    pub(super) fn new(head: &Parts, body: RequestBody) -> Self {
        let mut queue = WriteQueue::default();
        write_request_head(queue.tail(), &head.method, &head.uri, &head.headers);
        // what the head says: a body that is sent again may be known whole by now
        let is_chunked = head.headers.contains_key(TRANSFER_ENCODING);
        if is_chunked && body.is_empty() {
            queue.tail().extend_from_slice(LAST_CHUNK);
        }
        let activity = body.activity();
        Self { queue, body, is_chunked, first: None, is_whole: true, is_write_closed: false, activity }
    }

    /// Whether the endpoint takes no more of it.
    pub(super) fn is_write_closed(&self) -> bool {
        self.is_write_closed
    }

    /// The body, whole: for an upload of which nothing was sent.
    pub(super) fn into_body(mut self) -> RequestBody {
        let body = std::mem::replace(&mut self.body, RequestBody::Empty);
        body.with_pieces(self.first.take())
    }

    /// Sends until all is sent, or the endpoint takes no more.
    pub(super) fn poll_send(
        &mut self,
        mut stream: Pin<&mut impl AsyncWrite>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), UploadError>> {
        while !self.is_write_closed {
            let waits_for_client = self.fill(cx)?;
            let written = self.queue.written();
            let flushed = self.queue.poll_flush(stream.as_mut(), cx);
            self.note_write(flushed.is_pending(), self.queue.written() > written);
            let flushed = ready!(flushed);
            if let Err(error) = flushed {
                if self.queue.written() == 0 && self.is_whole {
                    return Poll::Ready(Err(UploadError::Unsent));
                }
                tracing::trace!(%error, "an endpoint closed its connection for writing");
                self.is_write_closed = true;
                // what is left of it is not read
                self.body = RequestBody::Empty;
                return Poll::Ready(Ok(()));
            }
            self.first = None;
            if self.body.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if waits_for_client {
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn note_write(&self, is_blocked: bool, has_progressed: bool) {
        if let Some(activity) = &self.activity {
            activity.note_upload(is_blocked, has_progressed);
        }
    }

    /// Queues what the client has sent, up to a bound; whether more must come from it.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<bool, UploadError> {
        // until the connection has taken something, one piece can be taken back
        while !self.body.is_empty() && !self.queue.is_full() && self.first.is_none() {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Ok(true),
                Poll::Ready(Some(Err(_))) => return Err(UploadError::Body),
                Poll::Ready(Some(Ok(frame))) => self.push(frame),
                Poll::Ready(None) => {
                    if self.is_chunked {
                        self.queue.tail().extend_from_slice(LAST_CHUNK);
                    }
                    self.end_body();
                }
            }
        }
        Ok(false)
    }

    fn push(&mut self, frame: Frame<Bytes>) {
        match frame.into_data() {
            Ok(data) => {
                if self.queue.written() == 0 {
                    self.first = Some(data.clone());
                }
                if self.is_chunked {
                    write_chunk_size(self.queue.tail(), data.len());
                    self.queue.push(data);
                    self.queue.tail().extend_from_slice(b"\r\n");
                } else {
                    self.queue.push(data);
                }
            }
            Err(frame) => {
                if let Ok(mut trailers) = frame.into_trailers()
                    && self.is_chunked
                {
                    headers::strip_from_trailers(&mut trailers);
                    write_trailers(self.queue.tail(), &trailers);
                }
                self.end_body();
            }
        }
    }

    fn end_body(&mut self) {
        self.is_whole = false;
        self.body = RequestBody::Empty;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.note_write(false, true);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use http::Request;

    use super::*;

    /// What is sent of a request.
    fn sent(framing: (&str, &str), body: RequestBody) -> String {
        let head = Request::post("/").header(framing.0, framing.1).body(()).unwrap().into_parts().0;
        let mut upload = Upload::new(&head, body);
        let mut written = Vec::new();
        let sending = std::future::poll_fn(|cx| upload.poll_send(Pin::new(&mut written), cx));
        sending.now_or_never().unwrap().unwrap();
        let text = String::from_utf8(written).unwrap();
        text.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    #[test]
    fn body_that_is_sent_again_has_the_form_that_its_head_says() {
        let again = || RequestBody::Empty.with_pieces(["0\r\n\r\nGET".into(), "/".into()]);
        assert_eq!(sent(("content-length", "9"), again()), "0\r\n\r\nGET/");
        assert_eq!(
            sent(("transfer-encoding", "chunked"), again()),
            "8\r\n0\r\n\r\nGET\r\n1\r\n/\r\n0\r\n\r\n"
        );
        assert_eq!(sent(("transfer-encoding", "chunked"), RequestBody::Empty), "0\r\n\r\n");
    }
}
