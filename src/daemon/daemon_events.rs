//! Events of the daemon's own processes.

use std::sync::Arc;

use crate::clock::Clock;
use crate::events::{EventWriter, append_to};
use crate::model::{Event, EventKind, EventReason, key};
use crate::store::{Store, StoreError, Txn};

/// Where the controller writes events of the daemon.
#[derive(Clone)]
pub(super) struct DaemonEvents {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
}

impl DaemonEvents {
    /// Writes a warning about a part of the daemon: `balancer`.
    pub(super) async fn warn(
        &self,
        part: &str,
        reason: EventReason,
        message: String,
    ) -> Result<(), StoreError> {
        let event = Event {
            at: self.clock.wall(),
            object: format!("daemon/{part}"),
            kind: EventKind::Warning,
            reason,
            message,
            cut: Vec::new(),
        };
        let ops = append_to(&*self.store, &key::daemon_events(), EventWriter::Daemon, &[event]).await?;
        self.store.txn(Txn { compare: Vec::new(), ops }).await.map(|_| ())
    }
}
