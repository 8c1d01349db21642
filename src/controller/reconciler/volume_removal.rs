//! The removal of a deleted service's volumes.
//!
//! A pass requests it and does not wait: a loop removes the volumes, so that a slow Docker delays no other service.
//! Requests are kept in memory only. The deleted Service stays in the store until its volumes are gone, so a daemon that
//! restarts finds it and requests the removal again.

use std::collections::BTreeSet;

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::handle::Reconciler;
use crate::agent::backoff;
use crate::controller::shared_volumes::{declares, others_of_app};
use crate::model::{Mono, Service};
use crate::orchestrator::VolumeRemovalState;

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

    fn take_requested(&mut self) -> Option<Service> {
        match std::mem::replace(&mut self.step, RemovalStep::InProgress) {
            RemovalStep::Requested(service) => Some(*service),
            other => {
                self.step = other;
                None
            }
        }
    }

    /// An attempt ended; returns why it failed, if that was not so before.
    fn ended(&mut self, outcome: Result<(), String>, now: Mono) -> Option<String> {
        let failure = outcome.err();
        self.step = match &failure {
            None => RemovalStep::Done,
            Some(_) => {
                self.failures = self.failures.saturating_add(1);
                RemovalStep::RetryAt(now.after(backoff::retry(self.failures)))
            }
        };
        let before = std::mem::replace(&mut self.failure, failure.clone());
        failure.filter(|message| before.as_ref() != Some(message))
    }
}

impl Reconciler {
    /// Removes volumes as plans request it, services side by side, for as long as it is polled.
    pub async fn remove_requested_volumes(&self) {
        let mut under_way = FuturesUnordered::new();
        loop {
            under_way.extend(self.take_requested().into_iter().map(|service| self.attempt_removal(service)));
            tokio::select! {
                () = self.removal_requested.notified() => {}
                Some(()) = under_way.next() => {}
            }
        }
    }

    fn take_requested(&self) -> Vec<Service> {
        self.memory.lock().removals().filter_map(VolumeRemoval::take_requested).collect()
    }

    /// One attempt; its end wakes a pass.
    async fn attempt_removal(&self, service: Service) {
        let name = service.name();
        let outcome = self.remove_volumes(&service).await;
        let now = self.clock.mono();
        let failure = self.memory.lock().update(name, |memory| memory.removal.ended(outcome, now));
        if let Some(message) = failure {
            tracing::warn!(service = %name, message, "its volumes cannot be removed yet");
        }
        self.mark(name.clone());
    }

    /// Removes the volumes that the user named with the service, now that none of its containers is left. A volume that
    /// another service has declared in the meantime stays.
    ///
    /// # Errors
    /// A message: another container uses a volume, or the Engine or the store is away.
    async fn remove_volumes(&self, service: &Service) -> Result<(), String> {
        let others =
            others_of_app(self.store.as_ref(), service, &[]).await.map_err(|error| error.to_string())?;
        let unshared = service.spec.volumes.iter().map(|volume| volume.name.clone());
        let unshared: BTreeSet<String> =
            unshared.filter(|name| !others.iter().any(|other| declares(other, name))).collect();
        if unshared.is_empty() {
            return Ok(());
        }
        self.links.remove_volumes(&service.metadata.app, &unshared).await.map_err(|error| error.to_string())
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
