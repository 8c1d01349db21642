//! Recent transactions, and the watches that read them.
//!
//! Every watch reads the one history at its own pace, so a slow reader costs no memory: once the history has moved past
//! it, it gets a resync.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::store::{Change, WatchEvent};

/// Most transactions kept: minutes at the pace of a busy rollout.
const HISTORY_MAX_TXNS: usize = 4096;
/// Most bytes of keys and values kept: what the idle daemon's memory budget leaves.
const HISTORY_MAX_BYTES: usize = 8 << 20;

/// The writing end: owned by the writer, so that watches end when it does.
pub(super) struct History {
    recent: Arc<Mutex<RecentTxns>>,
    /// The last revision watchers may know of.
    published: watch::Sender<u64>,
}

/// The reading end.
#[derive(Clone)]
pub(super) struct HistoryReader {
    recent: Arc<Mutex<RecentTxns>>,
    published: watch::Receiver<u64>,
}

/// Transactions in the order of their revisions, without a gap.
struct RecentTxns {
    /// Revision of the first one kept (or of the next to come, where none is).
    first: u64,
    txns: VecDeque<Arc<Vec<Change>>>,
    bytes: usize,
}

/// What a watch finds in the history.
enum HistoryLookup {
    /// A transaction with changes under its prefix.
    Found(u64, Vec<Change>),
    /// Nothing up to here.
    Nothing { next: u64 },
    /// What it asks for is no longer kept.
    Gone,
}

impl History {
    /// A history that begins after this revision.
    pub(super) fn after(revision: u64) -> (Self, HistoryReader) {
        let recent =
            Arc::new(Mutex::new(RecentTxns { first: revision + 1, txns: VecDeque::new(), bytes: 0 }));
        let (published, receiver) = watch::channel(revision);
        (Self { recent: recent.clone(), published }, HistoryReader { recent, published: receiver })
    }

    /// Adds durable transactions, whose revisions follow one another up to `last`, and wakes the watches.
    pub(super) fn publish(&self, txns: Vec<Vec<Change>>, last: u64) {
        if txns.is_empty() {
            return;
        }
        let mut recent = self.recent.lock();
        txns.into_iter().for_each(|changes| recent.push(changes));
        drop(recent);
        self.published.send_replace(last);
    }
}

impl RecentTxns {
    fn push(&mut self, changes: Vec<Change>) {
        self.bytes += size(&changes);
        self.txns.push_back(Arc::new(changes));
        while self.txns.len() > HISTORY_MAX_TXNS || self.bytes > HISTORY_MAX_BYTES {
            let Some(oldest) = self.txns.pop_front() else { break };
            self.bytes -= size(&oldest);
            self.first += 1;
        }
    }

    fn lookup(&self, prefix: &str, from: u64) -> HistoryLookup {
        let Some(skip) = from.checked_sub(self.first).and_then(|n| usize::try_from(n).ok()) else {
            return HistoryLookup::Gone;
        };
        let mut revision = from;
        for changes in self.txns.iter().skip(skip) {
            let wanted: Vec<Change> =
                changes.iter().filter(|c| c.key().starts_with(prefix)).cloned().collect();
            if !wanted.is_empty() {
                return HistoryLookup::Found(revision, wanted);
            }
            revision += 1;
        }
        HistoryLookup::Nothing { next: revision }
    }
}

fn size(changes: &[Change]) -> usize {
    let one = |change: &Change| match change {
        Change::Put(entry) => entry.key.len() + entry.value.len(),
        Change::Delete { key } => key.len(),
    };
    changes.iter().map(one).sum()
}

impl HistoryReader {
    /// Changes under a prefix from that revision on. Ends after a resync; the end of the store is one too.
    pub(super) fn watch(&self, prefix: &str, from: u64) -> BoxStream<'static, WatchEvent> {
        let state = Some((self.clone(), prefix.to_owned(), from));
        stream::unfold(state, async |state| {
            let (mut reader, prefix, from) = state?;
            match reader.next(&prefix, from).await {
                Some((revision, changes)) => {
                    let event = WatchEvent::Changes { revision, changes };
                    Some((event, Some((reader, prefix, revision + 1))))
                }
                None => Some((WatchEvent::Resync, None)),
            }
        })
        .boxed()
    }

    async fn next(&mut self, prefix: &str, mut from: u64) -> Option<(u64, Vec<Change>)> {
        loop {
            // Marked as seen before the lookup: what comes in between wakes the watch again.
            self.published.borrow_and_update();
            let lookup = self.recent.lock().lookup(prefix, from);
            match lookup {
                HistoryLookup::Found(revision, changes) => return Some((revision, changes)),
                HistoryLookup::Nothing { next } => from = next,
                HistoryLookup::Gone => return None,
            }
            self.published.changed().await.ok()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn gone(key: &str) -> Vec<Change> {
        vec![Change::Delete { key: key.to_owned() }]
    }

    #[test]
    fn watch_resyncs_once_the_history_has_passed_it() {
        let (history, reader) = History::after(10);
        let mut slow = reader.watch("a", 11);
        for n in 1..=HISTORY_MAX_TXNS as u64 + 1 {
            history.publish(vec![gone("a")], 10 + n);
        }
        assert_eq!(slow.next().now_or_never(), Some(Some(WatchEvent::Resync)));
        assert_eq!(slow.next().now_or_never(), Some(None));
        let first = reader.watch("a", 12).next().now_or_never();
        assert_eq!(first, Some(Some(WatchEvent::Changes { revision: 12, changes: gone("a") })));
    }

    #[test]
    fn history_is_bounded_by_bytes() {
        let (history, reader) = History::after(0);
        let long = "k".repeat(HISTORY_MAX_BYTES / 2 + 1);
        history.publish(vec![gone(&long), gone(&long)], 2);
        assert_eq!(reader.watch("", 1).next().now_or_never(), Some(Some(WatchEvent::Resync)));
        assert!(matches!(
            reader.watch("", 2).next().now_or_never(),
            Some(Some(WatchEvent::Changes { revision: 2, .. }))
        ));
    }
}
