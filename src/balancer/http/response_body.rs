//! The body of a response on its way to the client; it holds the claim and the connection until its last byte.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::answer::AnswerContent;
use super::codec::BodyError;
use super::exchange::Exchange;
use super::upload::UploadError;
use super::upstream::HttpConnection;
use crate::balancer::claim::Claim;
use crate::balancer::client_limit::ClientSlot;
use crate::balancer::route_gate::RouteGate;

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

/// An endpoint's body; the claim is dropped with it.
pub(super) struct UpstreamResponseBody {
    content: AnswerContent,
    claim: Rc<Claim>,
    /// It changes the trailers.
    gate: Option<Arc<RouteGate>>,
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
    pub(super) fn text(text: Bytes, exchange: Exchange) -> Self {
        Self { content: ResponseContent::Text(Some(text)), exchange }
    }

    pub(super) fn upstream(body: UpstreamResponseBody, exchange: Exchange) -> Self {
        Self { content: ResponseContent::Upstream(Box::new(body)), exchange }
    }

    /// The connection to the endpoint, once that has switched to another protocol; it no longer counts as a request in flight.
    pub(super) fn take_tunnel(&mut self, is_websocket: bool) -> Option<EndpointTunnel> {
        let ResponseContent::Upstream(body) = &mut self.content else { return None };
        let AnswerContent::Http1(answer) = &mut body.content else { return None };
        let connection = answer.take_connection()?;
        Some(EndpointTunnel {
            connection,
            claim: Rc::clone(&body.claim),
            slot: self.exchange.slot.take(),
            is_websocket,
        })
    }

    /// Whether the rest of the request will not be sent, because the endpoint takes no more of it.
    pub(super) fn abandons_upload(&self) -> bool {
        match &self.content {
            ResponseContent::Text(_) => false,
            ResponseContent::Upstream(body) => match &body.content {
                AnswerContent::Http1(body) => body.abandons_upload(),
                AnswerContent::Http2(body) => body.abandons_upload(),
            },
        }
    }

    /// Sends the rest of the request, after the response has ended: an endpoint may answer before it has all of it.
    /// Must be polled while the response is being read too.
    pub(super) fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UploadError>> {
        let abandons = self.abandons_upload();
        let ResponseContent::Upstream(body) = &mut self.content else { return Poll::Ready(Ok(())) };
        if abandons && body.is_ended() {
            return Poll::Ready(Ok(()));
        }
        match &mut body.content {
            AnswerContent::Http1(body) => body.poll_upload(cx),
            AnswerContent::Http2(body) => body.poll_upload(cx),
        }
    }
}

impl UpstreamResponseBody {
    pub(super) fn new(content: AnswerContent, claim: Rc<Claim>, gate: Option<Arc<RouteGate>>) -> Self {
        Self { content, claim, gate }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut polled = match &mut self.content {
            AnswerContent::Http1(body) => body.poll_frame(&self.claim, cx),
            AnswerContent::Http2(body) => body.poll_frame(&self.claim, cx),
        };
        if let (Some(gate), Poll::Ready(Some(Ok(frame)))) = (&self.gate, &mut polled)
            && let Some(trailers) = frame.trailers_mut()
        {
            gate.strip_response(trailers);
        }
        polled
    }

    fn is_ended(&self) -> bool {
        match &self.content {
            AnswerContent::Http1(body) => body.is_ended(),
            AnswerContent::Http2(body) => body.is_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            AnswerContent::Http1(body) => body.size_hint(),
            AnswerContent::Http2(body) => body.size_hint(),
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
            ResponseContent::Upstream(body) => body.is_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            ResponseContent::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |t| t.len() as u64)),
            ResponseContent::Upstream(body) => body.size_hint(),
        }
    }
}
