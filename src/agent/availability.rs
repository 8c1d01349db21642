//! Whether the Engine answers, and when the agent tries again. Pure.

use super::handle::EngineState;
use crate::engine::{EngineError, EngineInfo};
use crate::model::{Backoff, Millis, Mono};

/// Waits between two attempts to reach an Engine that is away.
const RETRY: Backoff = Backoff::new(Millis(200), Millis::secs(5));

/// Whether the Engine answers.
#[derive(Debug, Default)]
pub(super) struct Availability {
    state: EngineState,
    failures: u32,
    retry_at: Mono,
}

impl Availability {
    pub(super) fn state(&self) -> &EngineState {
        &self.state
    }

    /// Whether it answered the last call.
    pub(super) fn answers(&self) -> bool {
        matches!(self.state, EngineState::Available(_))
    }

    /// A call found it away; returns whether that is new.
    pub(super) fn away(&mut self, error: EngineError, now: Mono) -> bool {
        let new = !matches!(self.state, EngineState::Unavailable(_));
        self.failures = if new { 1 } else { self.failures.saturating_add(1) };
        self.retry_at = now.after(RETRY.wait(self.failures));
        self.state = EngineState::Unavailable(error);
        new
    }

    /// A call was answered.
    pub(super) fn back(&mut self, info: Option<EngineInfo>) {
        if let Some(info) = info {
            self.state = EngineState::Available(info);
        }
    }

    /// Whether the agent may call it now.
    pub(super) fn may_list(&self, now: Mono) -> bool {
        !matches!(self.state, EngineState::Unavailable(_)) || now >= self.retry_at
    }

    /// How long until the next full listing is due.
    pub(super) fn next_listing(&self, listed_at: Option<Mono>, every: Millis, now: Mono) -> Millis {
        let due = match (&self.state, listed_at) {
            (EngineState::Unavailable(_), _) => self.retry_at,
            (_, Some(at)) => at.after(every),
            (_, None) => now,
        };
        due.since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn availability_backs_off_from_200_ms_to_5_s() {
        let mut availability = Availability::default();
        let error = EngineError::Stopped { socket: "s".to_owned() };
        let mut now = Mono(0);
        let mut waits = Vec::new();
        for _ in 0..7 {
            availability.away(error.clone(), now);
            let wait = availability.next_listing(None, Millis::secs(30), now);
            assert!(!availability.may_list(now));
            waits.push(wait.0);
            now = now.after(wait);
            assert!(availability.may_list(now));
        }
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 5000, 5000]);
    }
}
