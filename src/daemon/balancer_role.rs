//! The balancer process: passes the sockets to the data plane and stops it.
//!
//! Deliberately absent: Docker, the store, secrets. The process cannot reach them either: as root it runs under a separate
//! user, without groups, and may gain no privileges.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::{mpsc, watch};

use super::boot_id::boot_id;
use super::datagram_channel::DatagramChannel;
use super::signals::Signals;
use super::socket_delivery::receive_sockets;
use super::sockets::BalancerSockets;
use super::{LivenessPipe, ServeOptions, open_files, priority};
use crate::balancer::{self, BalancerConfig, BalancerLimits, DrainReason, SocketChange};
use crate::clock::RealClock;
use crate::model::TrustedProxies;

/// Changes that wait for the data plane; more wait in the channel from the supervisor.
const SOCKET_CHANGES_MAX: usize = 16;

/// Serves until it is stopped, has a successor, or its supervisor has ended; then drains.
///
/// # Errors
/// When the data plane cannot start or one of its threads failed.
pub(super) fn run(sockets: BalancerSockets, options: &ServeOptions) -> anyhow::Result<()> {
    let BalancerSockets { threads, delivery, directory, liveness } = sockets;
    let id = options.balancer_id.clone().context("the supervisor passed no `--balancer-id`")?;
    let (changes, sockets) = mpsc::channel(SOCKET_CHANGES_MAX);
    let descriptors = open_files::limit()?;
    warn_of_limits(descriptors, &options.trusted_proxies);
    let (reason, drain) = watch::channel(None);
    watch_supervisor(liveness.clone(), delivery, changes, reason)?;
    balancer::run(BalancerConfig {
        id,
        threads,
        sockets,
        plane: directory.join("plane.sock"),
        table_file: directory.join("table.json"),
        boot_id: boot_id()?,
        clock: Arc::new(RealClock::new()),
        limits: BalancerLimits {
            per_client: options.max_connections_per_client,
            descriptors,
            ..BalancerLimits::default()
        },
        trusted_proxies: options.trusted_proxies.clone(),
        on_thread: priority::back_to_usual,
        heartbeat: Box::new(move |health| liveness.beat(health.into())),
        drain,
    })?;
    Ok(())
}

/// Below this a busy site runs out of connections.
const FEW_DESCRIPTORS: usize = 4096;

fn warn_of_limits(descriptors: usize, trusted: &TrustedProxies) {
    if descriptors < FEW_DESCRIPTORS {
        tracing::warn!(
            descriptors,
            "the limit of open files leaves room for few connections; raise LimitNOFILE"
        );
    }
    if let Some(range) = trusted.of_everyone() {
        tracing::warn!(
            %range,
            "--trusted-proxies trusts every peer of this kind: any client can set its address, and none is limited"
        );
    }
}

fn report_end(end: std::io::Result<()>) {
    match end {
        Ok(()) => tracing::warn!("the supervisor has ended; draining"),
        Err(error) => tracing::error!(%error, "cannot watch the supervisor; draining"),
    }
}

/// Receives sockets and watches for the reasons to stop, on a separate thread: the data plane's threads have other work.
fn watch_supervisor(
    liveness: LivenessPipe,
    delivery: OwnedFd,
    changes: mpsc::Sender<SocketChange>,
    reason: watch::Sender<Option<DrainReason>>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let mut signals = Signals::watch()?;
    let delivery = DatagramChannel::new(delivery).context("cannot receive sockets")?;
    drop(entered);
    let watch = async move {
        let drains_for = tokio::select! {
            () = signals.stop() => DrainReason::Stopped,
            // connections to a missing socket would wait forever: a successor gets all sockets
            Err(error) = receive_sockets(delivery, changes, &reason) => {
                tracing::error!(%error, "cannot receive sockets of the supervisor; draining");
                DrainReason::Orphaned
            }
            end = liveness.ended() => {
                report_end(end);
                DrainReason::Orphaned
            }
        };
        reason.send_replace(Some(drains_for));
        if drains_for == DrainReason::Stopped {
            report_end(liveness.ended().await);
            reason.send_replace(Some(DrainReason::Orphaned));
        }
        // the data plane ends the process
        reason.closed().await;
    };
    std::thread::Builder::new().name("supervisor".to_owned()).spawn(move || runtime.block_on(watch))?;
    Ok(())
}
