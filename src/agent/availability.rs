//! Whether the Engine answers, and when it is asked again. Pure.

use super::handle::EngineState;
use crate::engine::{EngineError, EngineInfo};
use crate::model::{Millis, Mono};

/// First wait after the Engine went away.
const RETRY_FIRST: Millis = Millis(200);
/// Longest wait between two questions to an Engine that is away.
const RETRY_MAX: Millis = Millis::secs(5);

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

    /// Whether it answered last time.
    pub(super) fn answers(&self) -> bool {
        matches!(self.state, EngineState::Available(_))
    }

    /// It is away. Says whether that is new.
    pub(super) fn away(&mut self, error: EngineError, now: Mono) -> bool {
        let new = !matches!(self.state, EngineState::Away(_));
        self.failures = if new { 1 } else { self.failures.saturating_add(1) };
        let wait = Millis(RETRY_FIRST.0 << (self.failures - 1).min(8)).min(RETRY_MAX);
        self.retry_at = now.after(wait);
        self.state = EngineState::Away(error);
        new
    }

    /// It answers.
    pub(super) fn back(&mut self, info: Option<EngineInfo>) {
        if let Some(info) = info {
            self.state = EngineState::Available(info);
        }
    }

    /// Whether it may be asked now.
    pub(super) fn may_look(&self, now: Mono) -> bool {
        !matches!(self.state, EngineState::Away(_)) || now >= self.retry_at
    }

    /// How long until the next full look is due.
    pub(super) fn next_look(&self, looked_at: Option<Mono>, every: Millis, now: Mono) -> Millis {
        let due = match (&self.state, looked_at) {
            (EngineState::Away(_), _) => self.retry_at,
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
    fn an_absent_engine_is_asked_from_200_ms_to_5_s() {
        let mut availability = Availability::default();
        let error = EngineError::Stopped { socket: "s".to_owned() };
        let mut now = Mono(0);
        let mut waits = Vec::new();
        for _ in 0..7 {
            availability.away(error.clone(), now);
            let wait = availability.next_look(None, Millis::secs(30), now);
            assert!(!availability.may_look(now));
            waits.push(wait.0);
            now = now.after(wait);
            assert!(availability.may_look(now));
        }
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 5000, 5000]);
    }
}
