//! Shows that the disk of the store is full.

use std::path::PathBuf;
use std::sync::Arc;

use crate::controller::DaemonConditions;
use crate::model::{Condition, Millis, Reason};
use crate::store::EmbeddedStore;

/// A condition is shown, and ends, within this time.
const LOOK_EVERY: Millis = Millis(500);

/// Keeps the condition up to date, for as long as it is polled.
pub(super) async fn watch_disk(
    store: Arc<EmbeddedStore>,
    directory: PathBuf,
    conditions: Arc<DaemonConditions>,
) {
    loop {
        let message = || {
            format!(
                "the disk of {} is full; the store uses space that it kept for that, then waits; traffic and reads continue; \
                 free at least 10 MB there",
                directory.display()
            )
        };
        let full = store.is_disk_full().then(|| Condition::degraded(Reason::StoreFull, message()));
        conditions.set(Reason::StoreFull, full.into_iter().collect());
        tokio::time::sleep(LOOK_EVERY.std()).await;
    }
}
