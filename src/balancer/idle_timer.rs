//! The timer of a connection that may be idle.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::Sleep;

use crate::model::Mono;

/// A timer that is set again only when its time comes closer, so that bytes cost none.
pub(super) struct IdleTimer {
    sleep: Option<Pin<Box<Sleep>>>,
    set_to: Mono,
}

impl IdleTimer {
    pub(super) fn new(now: Mono) -> Self {
        Self { sleep: None, set_to: now }
    }

    /// Ready at the time that it was set to, which is `at` or earlier.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, at: Mono, now: Mono) -> Poll<()> {
        if self.sleep.is_none() || at < self.set_to {
            self.set_to = at;
            self.sleep = Some(Box::pin(tokio::time::sleep(at.since(now).std())));
        }
        let Some(sleep) = self.sleep.as_mut() else { return Poll::Pending };
        ready!(sleep.as_mut().poll(cx));
        self.sleep = None;
        Poll::Ready(())
    }
}
