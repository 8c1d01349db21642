//! The loops that wake passes, and the loop that runs them.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{BoxFuture, join_all};
use tokio_util::sync::CancellationToken;

use super::handle::Reconciler;
use crate::controller::service_state::ServiceState;
use crate::model::{Millis, ServiceName, key};
use crate::store::{StoreError, WatchEvent};

/// Every service gets a pass this often, even if nothing wakes it.
const RESYNC: Duration = Duration::from_secs(30);
/// Pause after the store failed.
const STORE_RETRY: Millis = Millis(500);
/// Upper bound of the sleep between two passes.
const IDLE_MAX: Millis = Millis::secs(3_600);

impl Reconciler {
    /// Runs until `shutdown`; containers keep running. Leadership begins with this call and ends with it.
    pub async fn run(&self, shutdown: CancellationToken) {
        let loops: [BoxFuture<'_, ()>; 6] = [
            Box::pin(self.run_passes()),
            Box::pin(self.mark_on_store_changes()),
            Box::pin(self.mark_on_reports()),
            Box::pin(self.mark_all_periodically()),
            Box::pin(self.remove_requested_volumes()),
            Box::pin(self.expire_events()),
        ];
        tokio::select! {
            () = shutdown.cancelled() => {}
            _ = join_all(loops) => {}
        }
    }

    /// Runs every pass that is due and returns how many succeeded. A service whose pass failed is queued again after a
    /// pause, so that one that cannot be read does not hold up the others. For simulations, which do not run the loops.
    ///
    /// # Errors
    /// The store's first one.
    pub async fn pass_marked(&self) -> Result<usize, StoreError> {
        let mut passes = 0;
        let mut first_error = None;
        while let Some(name) = self.next_due() {
            match self.pass(&name).await {
                Ok(()) => passes += 1,
                Err(error) => {
                    tracing::error!(service = %name, %error, "a pass failed");
                    let retry_at = self.clock.mono().after(STORE_RETRY);
                    self.memory.lock().queue.mark_at(name, Some(retry_at));
                    first_error.get_or_insert(error);
                }
            }
        }
        if passes > 0 {
            self.version.send_modify(|version| *version += 1);
        }
        first_error.map_or(Ok(passes), Err)
    }

    fn next_due(&self) -> Option<ServiceName> {
        let now = self.clock.mono();
        self.memory.lock().queue.pop(now)
    }

    /// Queues a pass over every service.
    ///
    /// # Errors
    /// The store's.
    pub async fn mark_all(&self) -> Result<(), StoreError> {
        for name in ServiceState::names(self.store.as_ref()).await? {
            self.mark(name);
        }
        Ok(())
    }

    async fn run_passes(&self) {
        loop {
            let woken = self.wake.notified();
            // A failed pass is logged and queued again.
            if self.pass_marked().await.is_err() {
                tokio::time::sleep(STORE_RETRY.std()).await;
            }
            let due = self.memory.lock().queue.next_due();
            let wait = due.map_or(IDLE_MAX, |due| due.since(self.clock.mono()));
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(wait.std()) => {}
            }
        }
    }

    async fn mark_on_store_changes(&self) {
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
            let names: BTreeSet<ServiceName> =
                changes.iter().filter_map(|change| key::service_of(change.key())).collect();
            names.into_iter().for_each(|name| self.mark(name));
        }
        Ok(())
    }

    /// A report of a balancer, or an Engine that answers again, wakes the services that wait for a balancer.
    async fn mark_on_reports(&self) {
        let mut reports = self.registry.reports();
        let mut nodes = self.nodes.clone();
        loop {
            let is_running = tokio::select! {
                changed = reports.changed() => changed.is_ok(),
                is_running = nodes.changed() => is_running,
            };
            if !is_running {
                return;
            }
            let awaiting = self.memory.lock().awaiting.clone();
            awaiting.into_iter().for_each(|name| self.mark(name));
            self.version.send_modify(|version| *version += 1);
        }
    }

    async fn mark_all_periodically(&self) {
        loop {
            tokio::time::sleep(RESYNC).await;
            if let Err(error) = self.mark_all().await {
                tracing::error!(%error, "listing services failed");
            }
        }
    }
}
