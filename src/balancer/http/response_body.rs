//! The body of a response on its way to the client; it holds the claim and the connection until its last byte.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};

use super::activity::Exchange;
use super::upstream::HttpLease;
use crate::balancer::claim::Claim;

/// What the client gets; the exchange ends when it is dropped.
pub(super) struct ResponseBody {
    content: ResponseContent,
    _exchange: Exchange,
}

enum ResponseContent {
    /// A local reply.
    Text(Option<Bytes>),
    Upstream(UpstreamResponseBody),
}

/// An endpoint's body. The connection returns to its pool once the body has been read to the end; the claim is dropped with
/// the body.
pub(super) struct UpstreamResponseBody {
    inner: Incoming,
    lease: Option<HttpLease>,
    claim: Rc<Claim>,
}

impl ResponseBody {
    pub(super) fn text(text: String, exchange: Exchange) -> Self {
        Self { content: ResponseContent::Text(Some(text.into())), _exchange: exchange }
    }

    pub(super) fn upstream(body: UpstreamResponseBody, exchange: Exchange) -> Self {
        Self { content: ResponseContent::Upstream(body), _exchange: exchange }
    }
}

impl UpstreamResponseBody {
    pub(super) fn new(inner: Incoming, lease: HttpLease, claim: Rc<Claim>) -> Self {
        Self { inner, lease: Some(lease), claim }
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let body = match &mut self.get_mut().content {
            ResponseContent::Text(text) => {
                return Poll::Ready(text.take().map(|bytes| Ok(Frame::data(bytes))));
            }
            ResponseContent::Upstream(body) => body,
        };
        let polled = Pin::new(&mut body.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(None) => body.give_back(),
            // nothing follows trailers, and hyper does not poll again
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => body.give_back(),
            Poll::Ready(Some(Err(_))) => {
                body.claim.mark_failed();
                body.lease = None;
            }
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            ResponseContent::Text(text) => text.is_none(),
            ResponseContent::Upstream(body) => body.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            ResponseContent::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |t| t.len() as u64)),
            ResponseContent::Upstream(body) => body.inner.size_hint(),
        }
    }
}

impl Drop for UpstreamResponseBody {
    fn drop(&mut self) {
        // hyper does not poll for the end of a body whose length it knows
        if self.inner.is_end_stream() {
            self.give_back();
        }
    }
}
