//! The balancer process: hands the sockets to the data plane and tells it when to drain.
//!
//! Deliberately absent: Docker, the store, secrets. The process cannot reach them either: as root it runs under a user of
//! its own, without groups, and may gain no privileges.

use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::sockets::BalancerSockets;
use super::{Life, priority};
use crate::balancer::{self, BalancerConfig, BalancerLimits};
use crate::clock::RealClock;

/// Changes at each boot of the machine; addresses in the table file mean nothing after it changed.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Serves until SIGTERM or until the supervisor is gone, then drains.
///
/// # Errors
/// When the data plane cannot start or one of its threads failed.
pub(super) fn run(sockets: BalancerSockets) -> anyhow::Result<()> {
    let BalancerSockets { threads, directory, life } = sockets;
    let boot_id = std::fs::read_to_string(BOOT_ID).with_context(|| format!("cannot read {BOOT_ID}"))?;
    let stop = CancellationToken::new();
    watch(life.clone(), stop.clone())?;
    balancer::run(BalancerConfig {
        threads,
        plane: directory.join("plane.sock"),
        table_file: directory.join("table.json"),
        boot_id: boot_id.trim().to_owned(),
        clock: Arc::new(RealClock::new()),
        limits: BalancerLimits::default(),
        on_thread: priority::back_to_usual,
        heartbeat: Box::new(move || life.beat()),
        stop,
    })?;
    Ok(())
}

/// Watches for the two reasons to end, on a thread of its own: the data plane's threads have other work.
fn watch(life: Life, stop: CancellationToken) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut terminate = {
        let _entered = runtime.enter();
        signal(SignalKind::terminate()).context("cannot watch for signals")?
    };
    let watch = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            end = life.ended() => match end {
                Ok(()) => tracing::warn!("the supervisor is gone; draining"),
                Err(error) => tracing::error!(%error, "cannot see whether the supervisor lives; draining"),
            },
        }
        stop.cancel();
    };
    std::thread::Builder::new().name("life".to_owned()).spawn(move || runtime.block_on(watch))?;
    Ok(())
}
