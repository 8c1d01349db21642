//! What wakes the agent besides the Engine's events: the store and the balancer. A wake-up carries no meaning.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::{Notify, watch};

use crate::model::BalancerReports;
use crate::store::{Store, StoreError};

/// Wait before a watch of the store is reopened.
const STORE_RETRY: Duration = Duration::from_millis(200);

/// Waits for a balancer's report; forever once none can come.
pub(super) async fn changed(
    reports: &mut Option<watch::Receiver<BalancerReports>>,
) -> Result<(), watch::error::RecvError> {
    match reports {
        Some(reports) => reports.changed().await,
        None => std::future::pending().await,
    }
}

/// Wakes the agent when the store's replicas change, or its services: an app's network is removed with its last service.
pub(super) async fn follow_store(store: Arc<dyn Store>, wake: Arc<Notify>, prefix: &'static str) {
    loop {
        if let Err(error) = watch_once(store.as_ref(), &wake, prefix).await {
            tracing::warn!(%error, prefix, "cannot watch the store; the agent retries");
        }
        tokio::time::sleep(STORE_RETRY).await;
    }
}

/// Wakes the agent until the watch ends.
async fn watch_once(store: &dyn Store, wake: &Notify, prefix: &str) -> Result<(), StoreError> {
    let listing = store.list(prefix).await?;
    wake.notify_one();
    let mut changes = store.watch(prefix, listing.revision + 1).await?;
    while changes.next().await.is_some() {
        wake.notify_one();
    }
    Ok(())
}
