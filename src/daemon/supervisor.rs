//! The supervisor: binds the sockets, locks the state directory, and keeps the two children running until it is stopped.
//!
//! Invariants: one thread, which no child and no search can hold up once there are children; at shutdown the balancer
//! outlives the controller, so that it still obeys the controller's last tables.
//! Deliberately absent: everything else, because a crash here would close the listening sockets.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::pin;

use anyhow::{Context, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::child::{ChildExit, ChildSignals};
use super::command_server::serve_commands;
use super::listeners::Listeners;
use super::restart_backoff::RestartBackoff;
use super::role::{EXIT_REFUSED, raise_open_files};
use super::socket_delivery::deliver_sockets;
use super::spawner::ChildSpawner;
use super::state_dir::{StateDir, balancer_user};
use super::tcp_sockets::activated;
use super::unix_sockets::{bind_api, bind_plane};
use super::{Role, ServeOptions, priority, telemetry};
use crate::clock::{Clock, RealClock};
use crate::model::Millis;

/// Runs the daemon until SIGTERM or SIGINT; containers keep running.
///
/// Call it before the process has a second thread.
///
/// # Errors
/// [`super::StartError`] if the daemon cannot start here; or a child refused to start.
pub fn serve(options: ServeOptions) -> anyhow::Result<()> {
    telemetry::start("supervisor");
    priority::raise();
    let activated = activated()?;
    let balancer_user = balancer_user();
    let state = StateDir::open(&options.state_dir, balancer_user)?;
    // a socket per listener, address and balancer thread can exceed the soft limit
    raise_open_files()?;
    let listeners = Listeners::bind(&options.http, activated.as_ref())?;
    let api = bind_api(&options.socket)?;
    let plane = bind_plane(&state, balancer_user)?;
    if balancer_user.is_none() {
        tracing::warn!("not started as root: the balancer runs as the same user as the controller");
    }
    let spawner = ChildSpawner { options, listeners, api, plane, state, balancer_user };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // before there is a child: from here on a signal ends all of them
        let signals = Signals::watch()?;
        supervise(&spawner, signals).await
    })
}

/// The signals that stop the daemon.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn watch() -> anyhow::Result<Self> {
        let context = "cannot watch for signals";
        let terminate = signal(SignalKind::terminate()).context(context)?;
        let interrupt = signal(SignalKind::interrupt()).context(context)?;
        Ok(Self { terminate, interrupt })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Why a role is no longer kept running.
enum RoleEnd {
    Stopped,
    Refused,
}

async fn supervise(spawner: &ChildSpawner, signals: Signals) -> anyhow::Result<()> {
    let kill = CancellationToken::new();
    let controller = ChildSignals { kill: kill.clone(), ..ChildSignals::default() };
    let balancer = ChildSignals { kill: kill.clone(), ..ChildSignals::default() };
    let keep_controller = async {
        let end = keep_running(spawner, Role::Controller, &controller).await;
        balancer.stop.cancel();
        end
    };
    let keep_balancer = async {
        let end = keep_running(spawner, Role::Balancer, &balancer).await;
        controller.stop.cancel();
        end
    };
    let children = async { tokio::join!(keep_controller, keep_balancer) };
    tokio::select! {
        ends = children => match ends {
            (RoleEnd::Stopped, RoleEnd::Stopped) => {
                tracing::info!("stopped; containers keep running");
                Ok(())
            }
            (RoleEnd::Refused, _) => bail!("the controller refused to start; the log above says why"),
            (_, RoleEnd::Refused) => bail!("the balancer refused to start; the log above says why"),
        },
        never = forward_signals(signals, &controller.stop, &kill) => match never {},
    }
}

/// The first signal stops, the second kills.
async fn forward_signals(
    mut signals: Signals,
    stop: &CancellationToken,
    kill: &CancellationToken,
) -> Infallible {
    signals.next().await;
    tracing::info!("stopping");
    stop.cancel();
    signals.next().await;
    tracing::info!("killing the children");
    kill.cancel();
    std::future::pending().await
}

/// Runs one child of a role until it has ended.
async fn run_child(
    spawner: &ChildSpawner,
    role: Role,
    signals: &ChildSignals,
    has_started: &Cell<bool>,
) -> anyhow::Result<ChildExit> {
    let (child, channel) = spawner.start(role, !has_started.get())?;
    let pid = child.pid;
    let serve_channel = async {
        match role {
            Role::Controller => match serve_commands(&channel, pid, &spawner.listeners).await {},
            // one that does not read hangs, as one that sends no heartbeat
            Role::Balancer => deliver_sockets(&channel, &spawner.listeners, role.heartbeat_timeout()).await,
        }
    };
    child.watch(signals, has_started, pin!(serve_channel)).await
}

/// Keeps one role running until it is stopped, or refuses to start.
async fn keep_running(spawner: &ChildSpawner, role: Role, signals: &ChildSignals) -> RoleEnd {
    let clock = RealClock::new();
    let mut backoff = RestartBackoff::default();
    let has_started = Cell::new(false);
    while !signals.stop.is_cancelled() {
        let started_at = clock.mono();
        let exit = run_child(spawner, role, signals, &has_started).await;
        match exit {
            Ok(ChildExit::Stopped) => break,
            // the whole process group was signalled: the child obeyed before it was asked
            Ok(ChildExit::Exited(_)) if signals.stop.is_cancelled() => break,
            Ok(ChildExit::Exited(status)) if status.code() == Some(EXIT_REFUSED) && !has_started.get() => {
                return RoleEnd::Refused;
            }
            Ok(ChildExit::Exited(status)) => tracing::warn!(%role, "ended ({status}); restarting it"),
            Ok(ChildExit::Hung) => tracing::warn!(%role, "sent no heartbeat and was killed; restarting it"),
            Err(error) => tracing::error!(%role, "cannot run: {error:#}"),
        }
        let wait = backoff.record_exit(started_at, clock.mono());
        if wait > Millis(0) {
            tracing::warn!(%role, "is crash-looping; next start in {:?}", wait.std());
        }
        tokio::select! {
            () = tokio::time::sleep(wait.std()) => {}
            () = signals.stop.cancelled() => {}
        }
    }
    RoleEnd::Stopped
}
