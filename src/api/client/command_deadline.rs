//! `--timeout`: when a whole command times out.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Shared by all calls of a command, and extended while a person is asked: the time that they take to read is not the daemon's.
#[derive(Debug, Clone, Default)]
pub struct CommandDeadline(Arc<Mutex<Option<Instant>>>);

impl CommandDeadline {
    /// `None` for a command without `--timeout`.
    pub fn new(at: Option<Instant>) -> Self {
        Self(Arc::new(Mutex::new(at)))
    }

    /// When it passes, if ever.
    pub fn at(&self) -> Option<Instant> {
        *self.0.lock()
    }

    /// It passes that much later.
    pub fn extend(&self, by: Duration) {
        if let Some(at) = self.0.lock().as_mut() {
            *at += by;
        }
    }
}
