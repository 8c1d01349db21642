//! What wakes the agent beside the Engine's events: the store and the balancer. A wake-up carries no meaning.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::{Notify, watch};

use crate::model::BalancerReport;
use crate::store::Store;

/// Pause before a watch of the store that ended is opened again.
const STORE_RETRY: Duration = Duration::from_millis(200);

/// Waits for a balancer's word; for ever once nobody can bring one.
pub(super) async fn changed(
    reports: &mut Option<watch::Receiver<Option<BalancerReport>>>,
) -> Result<(), watch::error::RecvError> {
    match reports {
        Some(reports) => reports.changed().await,
        None => std::future::pending().await,
    }
}

/// Wakes the agent when the store has other replicas, or other services: with an app's last one its network goes.
pub(super) async fn follow_store(store: Arc<dyn Store>, wake: Arc<Notify>, prefix: &'static str) {
    loop {
        if let Ok(listing) = store.list(prefix).await {
            wake.notify_one();
            if let Ok(mut changes) = store.watch(prefix, listing.revision + 1).await {
                while changes.next().await.is_some() {
                    wake.notify_one();
                }
            }
        }
        tokio::time::sleep(STORE_RETRY).await;
    }
}
