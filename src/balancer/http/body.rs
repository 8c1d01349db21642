//! Bodies in passing. Each holds what must outlive it: the claim on the endpoint, the connection to it.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::sync::Notify;

use super::connection::{Activity, Exchange};
use super::headers;
use crate::balancer::target::Claim;
use crate::balancer::upstream::Lease;
use crate::clock::Clock;
use crate::model::Mono;

/// How far an endpoint is with taking in a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upload {
    /// The last piece was taken then.
    Since(Mono),
    /// It is over.
    Over,
}

/// A request body's progress, shared with who waits for the response.
#[derive(Debug)]
pub(super) struct Progress {
    upload: Cell<Upload>,
    /// Whether the client broke it off, or sent what is no body.
    broken: Cell<bool>,
    over: Notify,
}

impl Progress {
    pub(super) fn upload(&self) -> Upload {
        self.upload.get()
    }

    /// Whether the client is to blame that the endpoint did not get it whole.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// Resolves once the body is over.
    pub(super) async fn over(&self) {
        while self.upload.get() != Upload::Over {
            self.over.notified().await;
        }
    }
}

/// A client's body on its way to an endpoint.
#[derive(Debug)]
pub(in crate::balancer) enum RequestBody {
    /// There is none.
    Empty,
    /// As it comes.
    Stream(Box<Stream>),
}

pub(in crate::balancer) struct Stream {
    inner: Incoming,
    activity: Rc<Activity>,
    clock: Arc<dyn Clock>,
    progress: Rc<Progress>,
    /// Whether it was read to the end.
    is_read: bool,
    /// The endpoint that it is sent to; dropped with the body.
    claim: Option<Rc<Claim>>,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl RequestBody {
    pub(super) fn new(inner: Incoming, activity: &Rc<Activity>, clock: &Arc<dyn Clock>) -> Self {
        if inner.is_end_stream() {
            return Self::Empty;
        }
        let progress = Progress {
            upload: Cell::new(Upload::Since(clock.mono())),
            broken: Cell::new(false),
            over: Notify::new(),
        };
        Self::Stream(Box::new(Stream {
            inner,
            activity: Rc::clone(activity),
            clock: Arc::clone(clock),
            progress: Rc::new(progress),
            is_read: false,
            claim: None,
        }))
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// From now on it belongs to this claim.
    pub(super) fn claimed(&mut self, claim: &Rc<Claim>) {
        if let Self::Stream(stream) = self {
            stream.claim = Some(Rc::clone(claim));
        }
    }

    pub(super) fn progress(&self) -> Option<Rc<Progress>> {
        match self {
            Self::Empty => None,
            Self::Stream(stream) => Some(Rc::clone(&stream.progress)),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self::Stream(stream) = self.get_mut() else { return Poll::Ready(None) };
        let mut polled = Pin::new(&mut stream.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &mut polled
            && let Some(trailers) = frame.trailers_mut()
        {
            headers::strip_claims(trailers);
        }
        match &polled {
            Poll::Pending => stream.activity.waits_for_body(),
            Poll::Ready(Some(Ok(frame))) => {
                stream.activity.got_body(frame.data_ref().map_or(0, Bytes::len));
                stream.is_read = frame.is_trailers();
                stream.progress.upload.set(Upload::Since(stream.clock.mono()));
            }
            // there is no more to read
            Poll::Ready(None) => stream.is_read = true,
            Poll::Ready(Some(Err(_))) => {
                stream.is_read = true;
                stream.progress.broken.set(true);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Stream(stream) => stream.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Stream(stream) => stream.inner.size_hint(),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.activity.body_over(self.is_read || self.inner.is_end_stream());
        self.progress.upload.set(Upload::Over);
        self.progress.over.notify_waiters();
    }
}

/// A response's body on its way to the client; the exchange ends when it is dropped.
#[derive(Debug)]
pub(super) struct ResponseBody {
    content: Content,
    _exchange: Exchange,
}

#[derive(Debug)]
enum Content {
    /// The balancer's own.
    Text(Option<Bytes>),
    /// An endpoint's.
    Stream(Passing),
}

/// An endpoint's body. The connection goes back once it has been read to the end; the claim goes when it is dropped.
pub(super) struct Passing {
    inner: Incoming,
    lease: Option<Lease>,
    claim: Rc<Claim>,
}

impl std::fmt::Debug for Passing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passing").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl ResponseBody {
    pub(super) fn text(text: String, exchange: Exchange) -> Self {
        Self { content: Content::Text(Some(text.into())), _exchange: exchange }
    }

    pub(super) fn passing(passing: Passing, exchange: Exchange) -> Self {
        Self { content: Content::Stream(passing), _exchange: exchange }
    }
}

impl Passing {
    pub(super) fn new(inner: Incoming, lease: Lease, claim: Rc<Claim>) -> Self {
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
        let passing = match &mut self.get_mut().content {
            Content::Text(text) => return Poll::Ready(text.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Stream(passing) => passing,
        };
        let polled = Pin::new(&mut passing.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(None) => passing.give_back(),
            // nothing follows them, and hyper does not ask
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => passing.give_back(),
            Poll::Ready(Some(Err(_))) => {
                passing.claim.failed();
                passing.lease = None;
            }
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Text(text) => text.is_none(),
            Content::Stream(passing) => passing.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |t| t.len() as u64)),
            Content::Stream(passing) => passing.inner.size_hint(),
        }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        // hyper does not ask for the end of a body whose length it knows
        if self.inner.is_end_stream() {
            self.give_back();
        }
    }
}
