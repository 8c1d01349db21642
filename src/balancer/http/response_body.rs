//! The body of a response on its way to the client; it holds the claim and the connection until its last byte.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::codec::{BodyDecoder, BodyError, DecodedBody};
use super::exchange::Exchange;
use super::upload::{Upload, UploadError};
use super::upstream::{HttpConnection, HttpLease};
use crate::balancer::claim::Claim;
use crate::balancer::client_limit::ClientSlot;

/// What the client gets; the exchange ends when it is dropped.
pub(super) struct ResponseBody {
    content: ResponseContent,
    exchange: Exchange,
}

enum ResponseContent {
    /// A local reply.
    Text(Option<Bytes>),
    Upstream(Box<UpstreamResponseBody>),
}

/// An endpoint's body. The connection returns to its pool once the body has been read to the end, and the request has been
/// sent to its end; the claim is dropped with the body.
pub(super) struct UpstreamResponseBody {
    decoder: BodyDecoder,
    /// `None` once it is back in its pool, or broken.
    lease: Option<HttpLease>,
    keeps_alive: bool,
    /// What of the request is still to be sent.
    upload: Option<Upload>,
    claim: Rc<Claim>,
}

/// A connection to an endpoint that speaks another protocol.
pub(super) struct EndpointTunnel {
    pub(super) connection: HttpConnection,
    pub(super) claim: Rc<Claim>,
    /// Of the client that a trusted proxy named.
    pub(super) slot: Option<ClientSlot>,
    /// Whether the protocol is WebSocket.
    pub(super) is_websocket: bool,
}

impl ResponseBody {
    pub(super) fn text(text: String, exchange: Exchange) -> Self {
        Self { content: ResponseContent::Text(Some(text.into())), exchange }
    }

    pub(super) fn upstream(body: UpstreamResponseBody, exchange: Exchange) -> Self {
        Self { content: ResponseContent::Upstream(Box::new(body)), exchange }
    }

    /// The connection to the endpoint, once that has switched to another protocol; it no longer counts as a request in flight.
    pub(super) fn take_tunnel(&mut self, is_websocket: bool) -> Option<EndpointTunnel> {
        let ResponseContent::Upstream(body) = &mut self.content else { return None };
        let connection = body.lease.take()?.into_connection();
        Some(EndpointTunnel {
            connection,
            claim: Rc::clone(&body.claim),
            slot: self.exchange.slot.take(),
            is_websocket,
        })
    }

    /// Whether the rest of the request will not be sent, because the endpoint closes its connection after the response.
    pub(super) fn abandons_upload(&self) -> bool {
        match &self.content {
            ResponseContent::Text(_) => false,
            ResponseContent::Upstream(body) => {
                body.upload.as_ref().is_some_and(|upload| !body.keeps_alive || upload.is_write_closed())
            }
        }
    }

    /// Sends the rest of the request, after the response has ended: an endpoint may answer before it has all of it.
    /// Must be polled while the response is being read too.
    pub(super) fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UploadError>> {
        let abandons = self.abandons_upload();
        let ResponseContent::Upstream(body) = &mut self.content else { return Poll::Ready(Ok(())) };
        if abandons && body.decoder.is_ended() {
            return Poll::Ready(Ok(()));
        }
        let sent = ready!(body.poll_upload(cx));
        if sent.is_ok() && body.decoder.is_ended() {
            body.give_back();
        }
        Poll::Ready(sent)
    }
}

impl UpstreamResponseBody {
    pub(super) fn new(
        decoder: BodyDecoder,
        lease: HttpLease,
        keeps_alive: bool,
        upload: Option<Upload>,
        claim: Rc<Claim>,
    ) -> Self {
        Self { decoder, lease: Some(lease), keeps_alive, upload, claim }
    }

    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UploadError>> {
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

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
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
                self.claim.mark_failed();
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

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.get_mut().content {
            ResponseContent::Text(text) => Poll::Ready(text.take().map(|bytes| Ok(Frame::data(bytes)))),
            ResponseContent::Upstream(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            ResponseContent::Text(text) => text.is_none(),
            ResponseContent::Upstream(body) => body.decoder.is_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            ResponseContent::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |t| t.len() as u64)),
            ResponseContent::Upstream(body) => body.decoder.size_hint(),
        }
    }
}

impl Drop for UpstreamResponseBody {
    fn drop(&mut self) {
        // one whose length is known may not be polled for its end
        if self.decoder.is_ended() {
            self.give_back();
        }
    }
}
