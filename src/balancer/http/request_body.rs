//! The body of a request on its way from the client to an endpoint; it holds the claim until its last byte.

use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

use super::activity::ClientActivity;
use super::codec::BodyError;
use super::forwarding::strip_claims;
use super::request_source::RequestSource;
use crate::balancer::claim::Claim;
use crate::balancer::route_gate::RouteGate;
use crate::clock::Clock;
use crate::model::{MemorySize, Mono};

/// How far an endpoint has taken in a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UploadState {
    /// The last piece was taken at this time.
    Since(Mono),
    Ended,
}

/// The progress of a request's body, shared with the task that waits for the response.
pub(super) struct UploadProgress {
    pub(super) state: Cell<UploadState>,
    /// Whether the endpoint did not get the whole body because the client aborted it or sent an invalid one.
    pub(super) is_broken: Cell<bool>,
    /// The most bytes that it may have, if it had more.
    pub(super) exceeded: Cell<Option<MemorySize>>,
    ended: Notify,
}

impl UploadProgress {
    /// Resolves once the body has ended.
    pub(super) async fn ended(&self) {
        while self.state.get() != UploadState::Ended {
            self.ended.notified().await;
        }
    }
}

pub(super) enum RequestBody {
    Empty,
    Stream(Box<UploadStream>),
    /// All of a body, which is sent a second time.
    Read(VecDeque<Bytes>),
}

pub(super) struct UploadStream {
    source: RequestSource,
    /// What comes first: it was read, and no endpoint has looked at it.
    untaken: VecDeque<Bytes>,
    activity: Rc<ClientActivity>,
    clock: Arc<dyn Clock>,
    progress: Rc<UploadProgress>,
    /// Whether it was read to the end.
    is_read: bool,
    /// Of the endpoint that it is sent to.
    claim: Option<Rc<Claim>>,
    /// Of the route that it is sent by.
    gate: Option<Arc<RouteGate>>,
    /// The most bytes that it may have.
    limit: Option<MemorySize>,
    /// Bytes that were read.
    length: u64,
}

impl RequestBody {
    /// The body of the request whose head was read last.
    pub(super) fn new(source: &RequestSource, activity: &Rc<ClientActivity>, clock: &Arc<dyn Clock>) -> Self {
        if source.is_body_read() {
            return Self::Empty;
        }
        activity.begin_body();
        let progress = UploadProgress {
            state: Cell::new(UploadState::Since(clock.mono())),
            is_broken: Cell::new(false),
            exceeded: Cell::new(None),
            ended: Notify::new(),
        };
        Self::Stream(Box::new(UploadStream {
            source: source.clone(),
            untaken: VecDeque::new(),
            activity: Rc::clone(activity),
            clock: Arc::clone(clock),
            progress: Rc::new(progress),
            is_read: false,
            claim: None,
            gate: None,
            limit: None,
            length: 0,
        }))
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// From now on it belongs to this claim, and the gate changes its trailers.
    pub(super) fn set_claim(&mut self, claim: &Rc<Claim>, gate: Option<&Arc<RouteGate>>) {
        if let Self::Stream(stream) = self {
            stream.claim = Some(Rc::clone(claim));
            stream.gate = gate.cloned();
        }
    }

    /// It may have this many bytes.
    ///
    /// # Errors
    /// If it is known to have more.
    pub(super) fn limit(&mut self, most: MemorySize) -> Result<(), MemorySize> {
        if self.size_hint().lower() > most.0 {
            return Err(most);
        }
        if let Self::Stream(stream) = self {
            stream.limit = Some(most);
        }
        Ok(())
    }

    /// Of the client that sends it.
    pub(super) fn activity(&self) -> Option<Rc<ClientActivity>> {
        match self {
            Self::Empty | Self::Read(_) => None,
            Self::Stream(stream) => Some(Rc::clone(&stream.activity)),
        }
    }

    /// The body with these pieces before what is left of it: no endpoint has looked at them.
    pub(super) fn with_pieces(mut self, pieces: impl IntoIterator<Item = Bytes>) -> Self {
        match &mut self {
            Self::Stream(stream) => {
                let mut untaken: VecDeque<Bytes> = pieces.into_iter().collect();
                untaken.append(&mut stream.untaken);
                stream.untaken = untaken;
                // the endpoint has no part in it
                stream.claim = None;
                self
            }
            Self::Empty | Self::Read(_) => {
                let pieces: VecDeque<Bytes> = pieces.into_iter().collect();
                if pieces.is_empty() { self } else { Self::Read(pieces) }
            }
        }
    }

    pub(super) fn progress(&self) -> Option<Rc<UploadProgress>> {
        match self {
            Self::Empty | Self::Read(_) => None,
            Self::Stream(stream) => Some(Rc::clone(&stream.progress)),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let stream = match self.get_mut() {
            Self::Empty => return Poll::Ready(None),
            Self::Read(pieces) => return Poll::Ready(pieces.pop_front().map(|piece| Ok(Frame::data(piece)))),
            Self::Stream(stream) => stream,
        };
        if let Some(piece) = stream.untaken.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let mut polled = stream.source.poll_body(cx);
        if let Poll::Ready(Some(Ok(frame))) = &mut polled
            && let Some(trailers) = frame.trailers_mut()
        {
            strip_claims(trailers);
            if let Some(gate) = &stream.gate {
                gate.strip_request_trailers(trailers);
            }
        }
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            stream.length += frame.data_ref().map_or(0, Bytes::len) as u64;
            if let Some(limit) = stream.limit.filter(|limit| stream.length > limit.0) {
                stream.progress.exceeded.set(Some(limit));
                stream.progress.is_broken.set(true);
                return Poll::Ready(Some(Err(BodyError::TooLarge)));
            }
        }
        match &polled {
            Poll::Pending => stream.activity.wait_for_body(),
            Poll::Ready(Some(Ok(frame))) => {
                stream.activity.note_body_bytes(frame.data_ref().map_or(0, Bytes::len));
                stream.is_read = frame.is_trailers();
                stream.progress.state.set(UploadState::Since(stream.clock.mono()));
            }
            // all is read
            Poll::Ready(None) => stream.is_read = true,
            Poll::Ready(Some(Err(_))) => {
                stream.is_read = true;
                stream.progress.is_broken.set(true);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Read(pieces) => pieces.is_empty(),
            Self::Stream(stream) => stream.untaken.is_empty() && stream.source.is_body_read(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Read(pieces) => SizeHint::with_exact(length_of(pieces)),
            Self::Stream(stream) => match stream.source.body_size().exact() {
                Some(left) => SizeHint::with_exact(length_of(&stream.untaken) + left),
                None => SizeHint::default(),
            },
        }
    }
}

fn length_of(pieces: &VecDeque<Bytes>) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}

impl Drop for UploadStream {
    fn drop(&mut self) {
        self.activity.end_body(self.is_read || self.source.is_body_read());
        self.progress.state.set(UploadState::Ended);
        self.progress.ended.notify_waiters();
    }
}
