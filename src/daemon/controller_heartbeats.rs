//! The heartbeats of the controller process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

use super::LivenessPipe;
use super::liveness::{ChildHealth, HEARTBEAT_INTERVAL};

/// Sends heartbeats from the runtime that does the work; those before `started` say that the child may still refuse.
pub(super) fn send_heartbeats(liveness: LivenessPipe, started: Arc<AtomicBool>, shutdown: CancellationToken) {
    tokio::spawn(async move {
        let mut every = tokio::time::interval(HEARTBEAT_INTERVAL);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = every.tick() => match started.load(Ordering::Relaxed) {
                    true => liveness.beat(ChildHealth::Alive),
                    false => liveness.beat(ChildHealth::Starting),
                },
            }
        }
    });
}
