//! The loops: what wakes a pass, and the passes themselves.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::controller::Controller;
use crate::controller::service_state::ServiceState;
use crate::model::{Millis, ServiceName, key};
use crate::store::{StoreError, WatchEvent};

/// Every service is looked at this often, whatever woke us or not.
const RESYNC: Duration = Duration::from_secs(30);
/// Pause after the store failed, before it is asked again.
const STORE_RETRY: Millis = Millis(500);

impl Controller {
    /// Runs until told to stop; containers go on running. The agent runs beside it, on its own.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let all: [futures::future::BoxFuture<'_, ()>; 5] = [
            Box::pin(self.pass_when_woken()),
            Box::pin(self.mark_what_the_store_says()),
            Box::pin(self.mark_what_the_balancer_says()),
            Box::pin(self.mark_all_now_and_then()),
            Box::pin(self.remove_volumes_when_asked()),
        ];
        tokio::select! {
            () = shutdown.cancelled() => {}
            _ = futures::future::join_all(all) => {}
        }
    }

    /// One pass over every service that wants one; returns how many went through. A service whose pass failed is looked
    /// at again after a pause, so that one that cannot be read does not keep the others waiting. For simulations, which
    /// have no loop.
    ///
    /// # Errors
    /// The store's first one.
    pub async fn pass_marked(&self) -> Result<usize, StoreError> {
        let (mut passes, mut first_error) = (0, None);
        while let Some(name) = self.queued(|queue| queue.pop(self.clock.mono())) {
            match self.pass(&name).await {
                Ok(()) => passes += 1,
                Err(error) => {
                    tracing::error!(service = %name, %error, "a pass failed");
                    let again = self.clock.mono().after(STORE_RETRY);
                    self.queued(|queue| queue.mark_at(name, Some(again)));
                    first_error.get_or_insert(error);
                }
            }
        }
        if passes > 0 {
            self.moved.send_modify(|n| *n += 1);
        }
        first_error.map_or(Ok(passes), Err)
    }

    /// Wants a pass over every service.
    ///
    /// # Errors
    /// The store's.
    pub async fn mark_all(&self) -> Result<(), StoreError> {
        for name in ServiceState::names(self.store.as_ref()).await? {
            self.mark(name);
        }
        Ok(())
    }

    async fn pass_when_woken(&self) {
        loop {
            let notified = self.wake.notified();
            // What failed is logged and comes again by itself.
            if self.pass_marked().await.is_err() {
                tokio::time::sleep(STORE_RETRY.std()).await;
            }
            let due = self.queued(|queue| queue.next_due());
            let wait = due.map_or(Millis::secs(3_600), |due| due.since(self.clock.mono()));
            tokio::select! {
                () = notified => {}
                () = tokio::time::sleep(wait.std()) => {}
            }
        }
    }

    async fn mark_what_the_store_says(&self) {
        loop {
            if let Err(error) = self.follow_store().await {
                tracing::error!(%error, "watching the store failed");
            }
            tokio::time::sleep(STORE_RETRY.std()).await;
        }
    }

    async fn follow_store(&self) -> Result<(), StoreError> {
        let listing = self.store.list(key::SERVICES).await?;
        let mut changes = self.store.watch("", listing.revision + 1).await?;
        for entry in &listing.entries {
            key::service_of(&entry.key).into_iter().for_each(|name| self.mark(name));
        }
        while let Some(event) = changes.next().await {
            let WatchEvent::Changes { changes, .. } = event else { break };
            let names: std::collections::BTreeSet<ServiceName> =
                changes.iter().filter_map(|change| key::service_of(change.key())).collect();
            names.into_iter().for_each(|name| self.mark(name));
        }
        Ok(())
    }

    async fn mark_what_the_balancer_says(&self) {
        let mut reports = self.reports.clone();
        let mut state = self.state.clone();
        loop {
            let connected = reports.borrow_and_update().is_some();
            let told_in = self.balancer_away().observe(connected, self.clock.mono());
            let changed = tokio::select! {
                changed = reports.changed() => changed,
                changed = state.changed() => changed,
                () = tokio::time::sleep(told_in.unwrap_or_default().std()), if told_in.is_some() => Ok(()),
            };
            if changed.is_err() {
                return; // the senders are gone: the daemon is stopping
            }
            let waiting = self.awaiting().clone();
            waiting.into_iter().for_each(|name| self.mark(name));
            self.moved.send_modify(|n| *n += 1);
        }
    }

    async fn mark_all_now_and_then(&self) {
        loop {
            tokio::time::sleep(RESYNC).await;
            if let Err(error) = self.mark_all().await {
                tracing::error!(%error, "listing services failed");
            }
        }
    }
}
