//! The one writer: takes the pending requests as a group, applies them in order, commits once, then answers them.
//!
//! Invariants: no caller and no watcher learns of a write before its commit is on disk; each transaction has its own
//! revision; there is no commit after a failed one: what is on disk is then unknown, and a second fsync would not
//! report the failure of the first.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::group::{CommitState, GroupCommit, PendingReply, WriterRequest};
use super::history::History;
use super::lease::LeaseTable;
use super::shared::SharedDatabase;
use super::tables::StoredState;
use crate::clock::Clock;
use crate::model::{Millis, Mono};
use crate::store::{Change, StoreError};

/// Most requests that share one commit: bounds how long the first of them waits for the last.
const GROUP_MAX: usize = 128;
/// Most requests that wait; the next callers wait for room.
pub(super) const QUEUE_MAX: usize = 1024;

/// The writer between two commits.
pub(super) struct GroupWriter {
    shared: Arc<SharedDatabase>,
    history: History,
    state: CommitState,
    clock: Arc<dyn Clock>,
}

impl GroupWriter {
    /// A writer that continues where the last one stopped. Every stored lease has its full time.
    pub(super) fn new(
        shared: Arc<SharedDatabase>,
        history: History,
        start: StoredState,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let now = clock.mono();
        let mut leases = LeaseTable::default();
        for (id, ttl) in start.leases {
            leases.grant(id, ttl, now);
        }
        for (key, lease) in &start.attached {
            leases.attach(key, None, Some(*lease));
        }
        let state = CommitState { leases, revision: start.revision, last_lease: start.last_lease };
        Self { shared, history, state, clock }
    }

    /// Serves until the store is closed or its last handle is dropped, or a commit fails.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<WriterRequest>, closing: CancellationToken) {
        let shared = self.shared.clone();
        loop {
            let mut group = Vec::new();
            tokio::select! {
                // Pending keep-alives are served before leases lapse.
                biased;
                () = closing.cancelled() => break,
                taken = queue.recv_many(&mut group, GROUP_MAX) => if taken == 0 { break },
                () = self.next_lapse() => {}
            }
            match self.commit(group).await {
                Some(writer) => self = writer,
                None => break,
            }
        }
        // After a failed commit reads continue, as far as the database allows.
        if shared.failed.get().is_none() {
            shared.close();
        }
    }

    /// Commits one group, off the runtime's threads where it goes to a disk. `None` after a failure.
    async fn commit(mut self, group: Vec<WriterRequest>) -> Option<Self> {
        let shared = self.shared.clone();
        let now = self.clock.mono();
        let commit = move || self.commit_now(group, now).then_some(self);
        if shared.in_memory {
            return commit();
        }
        match tokio::task::spawn_blocking(commit).await {
            Ok(writer) => writer,
            Err(error) => {
                shared.fail(StoreError::Io(format!("the writer stopped: {error}")));
                None
            }
        }
    }

    /// Whether the writer may continue.
    fn commit_now(&mut self, group: Vec<WriterRequest>, now: Mono) -> bool {
        let mut answers = Vec::new();
        let outcome = self.write(group, now, &mut answers).map_err(|e| self.shared.store_error(e));
        let committed = match outcome {
            Ok(changes) => {
                self.history.publish(changes, self.state.revision);
                Ok(())
            }
            Err(error) => Err(self.shared.fail(error)),
        };
        answers.into_iter().for_each(|answer| answer(committed.clone()));
        committed.is_ok()
    }

    fn write(
        &mut self,
        group: Vec<WriterRequest>,
        now: Mono,
        answers: &mut Vec<PendingReply>,
    ) -> Result<Vec<Vec<Change>>, redb::Error> {
        let txn = self.shared.begin_write()?;
        let mut commit = GroupCommit::begin(&txn, &mut self.state, now)?;
        for work in group {
            answers.push(commit.serve(work)?);
        }
        commit.end_lapsed_leases()?;
        let (changes, dirty) = commit.end()?;
        if dirty {
            txn.commit()?;
        } else {
            txn.abort()?;
        }
        Ok(changes)
    }

    /// Waits until a lease lapses; without any lease, forever.
    async fn next_lapse(&self) {
        let Some(lapses_at) = self.state.leases.next_lapse() else { return std::future::pending().await };
        let Millis(left) = lapses_at.since(self.clock.mono());
        tokio::time::sleep(Duration::from_millis(left)).await;
    }
}
