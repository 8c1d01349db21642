//! Logs that a thread ran out of connections, in or out: file descriptors, most likely.

use std::cell::Cell;
use std::error::Error;
use std::sync::Arc;

use super::limits::LOG_SHORTAGE_EVERY;
use super::log_throttle::LogThrottle;
use crate::clock::Clock;

pub(super) struct ShortageLog {
    clock: Arc<dyn Clock>,
    throttle: Cell<LogThrottle>,
}

impl ShortageLog {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, throttle: Cell::default() }
    }

    /// Logs the error, or counts it if another was logged lately.
    pub(super) fn report(&self, error: &(dyn Error + 'static)) {
        let mut throttle = self.throttle.get();
        if let Some(count) = throttle.occurred(self.clock.mono(), LOG_SHORTAGE_EVERY) {
            tracing::warn!(error, count, "out of connections");
        }
        self.throttle.set(throttle);
    }
}
