//! The event stream: its listeners, and the last events for those that subscribe later.

use std::collections::VecDeque;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{BoxStream, StreamExt};
use tokio::sync::mpsc;

use crate::engine::{EngineError, EngineEvent, EngineEventKind};
use crate::model::ContainerId;

/// Docker keeps this many events for `since`, and drops events for a listener with this many unread.
const KEPT: usize = 256;

type Item = Result<EngineEvent, EngineError>;

/// The listeners and the last events.
#[derive(Default)]
pub(super) struct Hub {
    listeners: Vec<mpsc::Sender<Item>>,
    kept: VecDeque<EngineEvent>,
    /// While set, events are lost and the streams stay open.
    pub(super) silent: bool,
}

impl Hub {
    pub(super) fn publish(&mut self, event: EngineEvent) {
        if self.silent {
            return;
        }
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(event.clone());
        // A full queue loses the event, as with Docker; a closed one is a listener that left.
        self.listeners
            .retain(|l| !matches!(l.try_send(Ok(event.clone())), Err(mpsc::error::TrySendError::Closed(_))));
    }

    pub(super) fn listen(&mut self, since: Option<jiff::Timestamp>) -> BoxStream<'static, Item> {
        let (sender, receiver) = mpsc::channel(KEPT);
        self.listeners.push(sender);
        let earlier: Vec<Item> = match since {
            Some(since) => self.kept.iter().filter(|e| e.at >= since).cloned().map(Ok).collect(),
            None => Vec::new(),
        };
        let later = futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|item| (item, receiver))
        });
        futures::stream::iter(earlier).chain(later).boxed()
    }

    /// Completes when this container exits.
    pub(super) fn end_of(&mut self, id: &ContainerId) -> BoxFuture<'static, ()> {
        let id = id.clone();
        let is_end = move |event: &EngineEvent| {
            event.container.as_ref() == Some(&id) && event.kind == EngineEventKind::Die
        };
        let is_other = move |item: &Item| std::future::ready(!item.as_ref().is_ok_and(&is_end));
        self.listen(None).take_while(is_other).for_each(|_| std::future::ready(())).boxed()
    }

    /// Ends every stream, with this error as its last item.
    pub(super) fn interrupt(&mut self, error: &EngineError) {
        for listener in self.listeners.drain(..) {
            // A listener with a full queue sees its stream end without the error.
            if listener.try_send(Err(error.clone())).is_err() {
                tracing::trace!("event stream ended without its last error");
            }
        }
    }
}
