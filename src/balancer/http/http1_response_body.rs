//! The body of a response from an endpoint that speaks HTTP/1.1.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::codec::{BodyDecoder, BodyError, BodyFraming, DecodedBody};
use super::upload::{Upload, UploadError};
use super::upstream::{HttpConnection, HttpLease};
use crate::balancer::claim::Claim;

/// The connection returns to its pool once the body has been read to the end, and the request has been sent to its end.
pub(super) struct Http1ResponseBody {
    decoder: BodyDecoder,
    /// `None` once it is back in its pool, or broken.
    lease: Option<HttpLease>,
    keeps_alive: bool,
    /// What of the request is still to be sent.
    upload: Option<Upload>,
}

impl Http1ResponseBody {
    pub(super) fn new(
        framing: BodyFraming,
        lease: HttpLease,
        keeps_alive: bool,
        upload: Option<Upload>,
    ) -> Self {
        Self { decoder: BodyDecoder::new(framing), lease: Some(lease), keeps_alive, upload }
    }

    /// The connection, for good.
    pub(super) fn take_connection(&mut self) -> Option<HttpConnection> {
        self.lease.take().map(HttpLease::into_connection)
    }

    pub(super) fn is_ended(&self) -> bool {
        self.decoder.is_ended()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.decoder.size_hint()
    }

    /// Whether the rest of the request will not be sent, because the endpoint closes its connection after the response.
    pub(super) fn abandons_upload(&self) -> bool {
        self.upload.as_ref().is_some_and(|upload| !self.keeps_alive || upload.is_write_closed())
    }

    /// Sends the rest of the request.
    pub(super) fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UploadError>> {
        let sent = ready!(self.poll_send(cx));
        if sent.is_ok() && self.decoder.is_ended() {
            self.give_back();
        }
        Poll::Ready(sent)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UploadError>> {
        if let (Some(upload), Some(lease)) = (&mut self.upload, &mut self.lease) {
            let sent = ready!(lease.connection.poll_send(upload, cx));
            if !upload.is_write_closed() {
                self.upload = None;
            }
            if sent.is_err() {
                // the endpoint has half a request, so that no other may follow on the connection
                self.lease = None;
            }
            return Poll::Ready(sent);
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_frame(
        &mut self,
        claim: &Claim,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(lease) = &mut self.lease else {
            let broke_off = !self.decoder.is_ended();
            return Poll::Ready(broke_off.then_some(Err(BodyError::Incomplete)));
        };
        match ready!(lease.connection.poll_body(&mut self.decoder, cx)) {
            Ok(DecodedBody::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Ok(DecodedBody::End(trailers)) => {
                self.give_back();
                Poll::Ready((!trailers.is_empty()).then(|| Ok(Frame::trailers(trailers))))
            }
            Ok(DecodedBody::NeedsMore) => Poll::Pending,
            Err(error) => {
                claim.mark_failed();
                self.lease = None;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    /// Ends the use of the connection, unless the request is still being sent.
    fn give_back(&mut self) {
        if self.upload.is_some() {
            return;
        }
        if let Some(lease) = self.lease.take()
            && self.keeps_alive
        {
            lease.give_back();
        }
    }
}

impl Drop for Http1ResponseBody {
    fn drop(&mut self) {
        // one whose length is known may not be polled for its end
        if self.decoder.is_ended() {
            self.give_back();
        }
    }
}
