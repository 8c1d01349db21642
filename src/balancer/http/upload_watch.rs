//! What happens to a client that is late with a request's body.

use std::cell::Cell;
use std::task::Poll;

/// What a client has failed to do in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientOverdue {
    /// Its connection is to be cut.
    Cut,
    /// The request that is being sent is to be answered.
    Answered,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum UploadEnd {
    /// The connection is cut: the response has begun, or none is to come.
    #[default]
    Cut,
    /// A response says that the client was late.
    Answered,
    /// It has come to that.
    TimedOut,
    /// Not at all: both sides may pause for as long as they like.
    Never,
}

/// How a pause of a client in its request's body ends.
#[derive(Debug, Default)]
pub(super) struct UploadWatch(Cell<UploadEnd>);

impl UploadWatch {
    /// Another request begins.
    pub(super) fn reset(&self) {
        self.0.set(UploadEnd::Cut);
    }

    /// From now on no pause ends the request.
    pub(super) fn never_ends(&self) {
        self.0.set(UploadEnd::Never);
    }

    /// Resolves once the client has been late; while this is awaited, the request is answered then. Wakes nothing: it is polled
    /// with the task that serves the connection, which finds the client late.
    pub(super) async fn timed_out(&self) {
        if self.0.get() != UploadEnd::Never {
            self.0.set(UploadEnd::Answered);
        }
        let _cut = CutGuard(&self.0);
        std::future::poll_fn(|_| match self.0.get() {
            UploadEnd::TimedOut => Poll::Ready(()),
            UploadEnd::Answered | UploadEnd::Cut | UploadEnd::Never => Poll::Pending,
        })
        .await;
    }

    /// The client is late.
    pub(super) fn overdue(&self) -> Option<ClientOverdue> {
        match self.0.get() {
            UploadEnd::Cut => Some(ClientOverdue::Cut),
            UploadEnd::Answered => {
                self.0.set(UploadEnd::TimedOut);
                Some(ClientOverdue::Answered)
            }
            UploadEnd::TimedOut | UploadEnd::Never => None,
        }
    }

    /// Whether a pause would cut the connection.
    pub(super) fn cuts(&self) -> bool {
        self.0.get() == UploadEnd::Cut
    }

    /// Whether the client was late, or cannot be.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.0.get(), UploadEnd::TimedOut | UploadEnd::Never)
    }
}

/// The upload is no longer answered.
struct CutGuard<'a>(&'a Cell<UploadEnd>);

impl Drop for CutGuard<'_> {
    fn drop(&mut self) {
        if self.0.get() == UploadEnd::Answered {
            self.0.set(UploadEnd::Cut);
        }
    }
}

/// Watches for the end of a connection until it is dropped.
pub(super) struct EndWatch<'a>(&'a Cell<bool>);

impl<'a> EndWatch<'a> {
    pub(super) fn new(is_watched: &'a Cell<bool>) -> Self {
        is_watched.set(true);
        Self(is_watched)
    }
}

impl Drop for EndWatch<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}
