//! The balancer process: passes the sockets to the data plane and stops it.
//!
//! Deliberately absent: Docker, the store, secrets. The process cannot reach them either: as root it runs under a separate
//! user, without groups, and may gain no privileges.

use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::boot_id::boot_id;
use super::sockets::BalancerSockets;
use super::{LivenessPipe, priority};
use crate::balancer::{self, BalancerConfig, BalancerLimits};
use crate::clock::RealClock;

/// Serves until SIGTERM or until the supervisor has ended, then drains.
///
/// # Errors
/// When the data plane cannot start or one of its threads failed.
pub(super) fn run(sockets: BalancerSockets) -> anyhow::Result<()> {
    let BalancerSockets { threads, directory, liveness } = sockets;
    let stop = CancellationToken::new();
    watch(liveness.clone(), stop.clone())?;
    balancer::run(BalancerConfig {
        threads,
        plane: directory.join("plane.sock"),
        table_file: directory.join("table.json"),
        boot_id: boot_id()?,
        clock: Arc::new(RealClock::new()),
        limits: BalancerLimits::default(),
        on_thread: priority::back_to_usual,
        heartbeat: Box::new(move || liveness.beat()),
        stop,
    })?;
    Ok(())
}

/// Watches for the two reasons to stop, on a separate thread: the data plane's threads have other work.
fn watch(liveness: LivenessPipe, stop: CancellationToken) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut terminate = {
        let _entered = runtime.enter();
        signal(SignalKind::terminate()).context("cannot watch for signals")?
    };
    let watch = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            end = liveness.ended() => match end {
                Ok(()) => tracing::warn!("the supervisor has ended; draining"),
                Err(error) => tracing::error!(%error, "cannot watch the supervisor; draining"),
            },
        }
        stop.cancel();
    };
    std::thread::Builder::new().name("liveness".to_owned()).spawn(move || runtime.block_on(watch))?;
    Ok(())
}
