//! Writes the table file in the background: the disk may be slow, and heartbeats and reports must not wait for it.

use std::error::Error;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::acknowledgement::Acknowledgement;
use super::file::{FileError, TableFile};
use super::limits::LOG_UNSAVED_EVERY;
use super::log_throttle::LogThrottle;
use crate::clock::Clock;

pub(super) struct TableSaver {
    file: TableFile,
    clock: Arc<dyn Clock>,
    write: Option<JoinHandle<Result<(), FileError>>>,
    failures: LogThrottle,
}

impl TableSaver {
    pub(super) fn new(file: TableFile, clock: Arc<dyn Clock>) -> Self {
        Self { file, clock, write: None, failures: LogThrottle::default() }
    }

    /// Starts to write the served table if its file is not in place.
    pub(super) fn start(&mut self, acknowledgement: &mut Acknowledgement) {
        if let Some(table) = acknowledgement.begin_save() {
            let file = self.file.clone();
            self.write = Some(tokio::task::spawn_blocking(move || file.save(&table)));
        }
    }

    /// Resolves when the write in progress has ended, and says whether it succeeded; never if there is none. The table is then
    /// acknowledged, or tried again at the next tick.
    pub(super) async fn finished(&mut self, acknowledgement: &mut Acknowledgement) -> bool {
        let Some(write) = &mut self.write else { return std::future::pending().await };
        let written = match write.await {
            Ok(written) => written.map_err(|error| {
                let source = error.source();
                source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
            }),
            Err(error) => Err(error.to_string()),
        };
        self.write = None;
        let is_saved = written.is_ok();
        match written {
            Ok(()) => {
                acknowledgement.saved();
                if self.failures.resolved() {
                    tracing::info!("the table file is written again");
                }
            }
            Err(reason) => {
                if let Some(failures) = self.failures.occurred(self.clock.mono(), LOG_UNSAVED_EVERY) {
                    tracing::error!(reason, failures, "the table is served but not acknowledged");
                }
                acknowledgement.save_failed(reason);
            }
        }
        is_saved
    }
}
