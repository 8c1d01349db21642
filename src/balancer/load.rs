//! Reads the table file in the background: the disk may be slow, and the controller's table must not wait for it.

use tokio::task::JoinHandle;

use super::file::{FileError, Saved, TableFile};

pub(super) struct TableLoader {
    file: TableFile,
    read: Option<JoinHandle<Result<Option<Saved>, FileError>>>,
}

impl TableLoader {
    pub(super) fn new(file: TableFile) -> Self {
        Self { file, read: None }
    }

    pub(super) fn start(&mut self) {
        let file = self.file.clone();
        self.read = Some(tokio::task::spawn_blocking(move || file.load()));
    }

    /// Resolves when the read in progress has ended, with what the file holds; never if there is none. Can be cancelled and
    /// called again.
    pub(super) async fn finished(&mut self) -> Option<Saved> {
        let Some(read) = &mut self.read else { return std::future::pending().await };
        let loaded = read.await;
        self.read = None;
        match loaded {
            Ok(Ok(Some(saved))) => return Some(saved),
            Ok(Ok(None)) => {
                tracing::info!("no usable table from the controller and no table file: waiting for a table");
            }
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the table file cannot be used");
            }
            Err(error) => tracing::error!(%error, "reading the table file failed"),
        }
        None
    }
}
