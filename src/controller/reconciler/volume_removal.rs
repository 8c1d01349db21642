//! How far the removal of a deleted service's volumes has come: a state machine. Pure.
//!
//! A pass requests the removal and does not wait (`volume_remover`). Requests are kept in memory only. The deleted
//! Service stays in the store until its volumes are gone, so a daemon that restarts finds it and requests the removal again.

use crate::model::{Backoff, Millis, Mono, Service};
use crate::orchestrator::VolumeRemovalState;

/// Waits after an attempt failed.
const RETRY: Backoff = Backoff::new(Millis::secs(1), Millis::secs(60));

/// How far the removal has come.
#[derive(Debug, Default)]
pub(super) struct VolumeRemoval {
    step: RemovalStep,
    /// Failed attempts in a row.
    failures: u32,
    failure: Option<String>,
}

#[derive(Debug, Default)]
enum RemovalStep {
    #[default]
    NotRequested,
    Requested(Box<Service>),
    InProgress,
    /// The last attempt failed; the next one is due then.
    RetryAt(Mono),
    Done,
}

impl VolumeRemoval {
    pub(super) fn state(&self, now: Mono) -> VolumeRemovalState {
        match &self.step {
            RemovalStep::NotRequested => VolumeRemovalState::NotRequested,
            RemovalStep::Requested(_) | RemovalStep::InProgress => VolumeRemovalState::InProgress,
            RemovalStep::RetryAt(at) => VolumeRemovalState::Failed { retry_after: at.since(now) },
            RemovalStep::Done => VolumeRemovalState::Done,
        }
    }

    /// Why the last attempt failed; kept while it is tried again.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    pub(super) fn request(&mut self, service: &Service) {
        self.step = RemovalStep::Requested(Box::new(service.clone()));
    }

    pub(super) fn take_requested(&mut self) -> Option<Service> {
        match std::mem::replace(&mut self.step, RemovalStep::InProgress) {
            RemovalStep::Requested(service) => Some(*service),
            other => {
                self.step = other;
                None
            }
        }
    }

    /// An attempt ended; returns why it failed, if that was not so before.
    pub(super) fn ended(&mut self, outcome: Result<(), String>, now: Mono) -> Option<String> {
        let failure = outcome.err();
        self.step = match &failure {
            None => RemovalStep::Done,
            Some(_) => {
                self.failures = self.failures.saturating_add(1);
                RemovalStep::RetryAt(now.after(RETRY.wait(self.failures)))
            }
        };
        let before = std::mem::replace(&mut self.failure, failure.clone());
        failure.filter(|message| before.as_ref() != Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Millis;
    use crate::testing;

    #[test]
    fn removal_is_retried_after_a_growing_wait_and_keeps_its_failure() {
        use VolumeRemovalState::{Done, Failed, InProgress, NotRequested};
        let mut removal = VolumeRemoval::default();
        assert_eq!(removal.state(Mono(0)), NotRequested);
        assert!(removal.take_requested().is_none());
        removal.request(&testing::service("users"));
        assert_eq!(removal.state(Mono(0)), InProgress);
        assert!(removal.take_requested().is_some());
        assert!(removal.take_requested().is_none(), "one attempt at a time");
        assert_eq!(removal.state(Mono(0)), InProgress);

        let in_use = || Err("in use".to_owned());
        assert_eq!(removal.ended(in_use(), Mono(0)), Some("in use".to_owned()));
        assert_eq!(removal.state(Mono(999)), Failed { retry_after: Millis(1) });
        assert_eq!(removal.state(Mono(1_000)), Failed { retry_after: Millis(0) });
        removal.request(&testing::service("users"));
        assert!(removal.take_requested().is_some());
        assert_eq!(removal.failure(), Some("in use"), "it shows while the removal is retried");
        assert_eq!(removal.ended(in_use(), Mono(1_000)), None, "the same failure is logged once");
        assert_eq!(removal.state(Mono(1_000)), Failed { retry_after: Millis(2_000) });
        removal.request(&testing::service("users"));
        assert!(removal.take_requested().is_some());
        assert_eq!(removal.ended(Ok(()), Mono(3_000)), None);
        assert_eq!(removal.state(Mono(3_000)), Done);
        assert_eq!(removal.failure(), None);
    }
}
