//! The supervisor: binds the sockets, locks the state directory, and keeps the two children running until it is stopped.
//!
//! Invariants: one thread, which no child and no search can hold up once there are children; at shutdown the balancer
//! outlives the controller, so that it still obeys the controller's last tables.
//! Deliberately absent: everything else, because a crash here would close the listening sockets.

use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::pin;

use anyhow::{Context, bail};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::child::{ChildExit, ChildSignals, Heartbeats};
use super::child_records::ChildRecords;
use super::command_server::{Supervised, serve_commands};
use super::incidents::Incidents;
use super::left_balancers::LeftBalancers;
use super::listeners::Listeners;
use super::run_role::EXIT_REFUSED;
use super::service_manager::{DaemonState, ServiceManager};
use super::signals::{SignalMeaning, Signals};
use super::socket_delivery::deliver_sockets;
use super::socket_watch::keep_sockets;
use super::spawner::ChildSpawner;
use super::start_retry::while_ending;
use super::state_dir::{StateDir, balancer_user};
use super::tcp_sockets::activated;
use super::unix_sockets::{bind_api, bind_plane};
use super::{Role, ServeOptions, open_files, priority, telemetry};
use crate::clock::RealClock;

/// Runs the daemon until a signal stops it; containers keep running.
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
    open_files::raise()?;
    let dir = &options.state_dir;
    let listeners = while_ending(dir, || Listeners::bind(&options.http, activated.as_ref()))?;
    let api = RefCell::new(while_ending(dir, || bind_api(&options.socket))?);
    let plane = RefCell::new(while_ending(dir, || bind_plane(&state, balancer_user))?);
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

/// Why a role is no longer kept running.
enum RoleEnd {
    Stopped,
    Refused,
}

async fn supervise(spawner: &ChildSpawner, signals: Signals) -> anyhow::Result<()> {
    let left =
        LeftBalancers::find(&spawner.state.balancer_locks).context("cannot list the balancers that run")?;
    let incidents = Incidents::default();
    let kill = CancellationToken::new();
    let controller = ChildSignals { kill: kill.clone(), ..ChildSignals::default() };
    let balancer = ChildSignals { kill: kill.clone(), ..ChildSignals::default() };
    let records = ChildRecords::default();
    let clock = RealClock::new();
    let heartbeats = RoleHeartbeats::default();
    let service_manager = ServiceManager::from_env();
    let supervision = Supervision {
        spawner,
        about: Supervised {
            listeners: &spawner.listeners,
            children: &records,
            incidents: &incidents,
            clock: &clock,
        },
    };
    let keep_controller = async {
        let end = supervision.keep_running(Role::Controller, &controller, &heartbeats.controller).await;
        balancer.stop.cancel();
        end
    };
    let keep_balancer = async {
        let end = supervision.keep_running(Role::Balancer, &balancer, &heartbeats.balancer).await;
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
        never = obey_signals(signals, &controller.stop, &kill, &service_manager) => match never {},
        never = keep_sockets(spawner, &records, &incidents) => match never {},
        never = left.end(&incidents) => match never {},
        never = report_states(&heartbeats, &service_manager) => match never {},
    }
}

#[derive(Debug, Default)]
struct RoleHeartbeats {
    controller: Heartbeats,
    balancer: Heartbeats,
}

/// Reports to the service manager what the children do.
async fn report_states(heartbeats: &RoleHeartbeats, service_manager: &ServiceManager) -> Infallible {
    let RoleHeartbeats { controller, balancer } = heartbeats;
    let (sender, states) = watch::channel(DaemonState::default());
    let follow = async {
        loop {
            sender.send_replace(DaemonState { controller: controller.state(), balancer: balancer.state() });
            tokio::select! {
                () = controller.changed.notified() => {}
                () = balancer.changed.notified() => {}
            }
        }
    };
    tokio::select! {
        never = follow => never,
        () = service_manager.report(states) => std::future::pending().await,
    }
}

/// The first signal to stop stops, the second kills.
async fn obey_signals(
    mut signals: Signals,
    stop: &CancellationToken,
    kill: &CancellationToken,
    service_manager: &ServiceManager,
) -> Infallible {
    loop {
        let received = signals.next().await;
        let signal = received.name;
        match received.meaning {
            SignalMeaning::Stop if stop.is_cancelled() => {
                tracing::info!(signal, "killing the children");
                kill.cancel();
            }
            SignalMeaning::Stop => {
                tracing::info!(signal, "stopping");
                service_manager.stopping();
                stop.cancel();
            }
            SignalMeaning::Reload => {
                tracing::warn!(signal, "ignored: this version cannot reload; restart it");
            }
            SignalMeaning::Nothing => tracing::warn!(signal, "ignored: it has no meaning here"),
        }
    }
}

/// What keeps the children running.
struct Supervision<'a> {
    spawner: &'a ChildSpawner,
    about: Supervised<'a>,
}

impl Supervision<'_> {
    /// Runs one child of a role until it has ended.
    async fn run_child(
        &self,
        role: Role,
        signals: &ChildSignals,
        heartbeats: &Heartbeats,
    ) -> anyhow::Result<ChildExit> {
        let listeners = &self.spawner.listeners;
        let (child, channel) = self.spawner.start(role, !heartbeats.have_started())?;
        let pid = child.pid;
        self.about.children.started(role, pid);
        let serve_channel = async {
            match role {
                Role::Controller => match serve_commands(&channel, pid, self.about).await {},
                // one that does not read hangs, as one that sends no heartbeat
                Role::Balancer => deliver_sockets(&channel, listeners, role.heartbeat_timeout()).await,
            }
        };
        child.watch(signals, heartbeats, pin!(serve_channel)).await
    }

    /// Keeps one role running until it is stopped, or refuses to start.
    async fn keep_running(&self, role: Role, signals: &ChildSignals, heartbeats: &Heartbeats) -> RoleEnd {
        while !signals.stop.is_cancelled() {
            let exit = self.run_child(role, signals, heartbeats).await;
            heartbeats.end();
            let how = match exit {
                Ok(ChildExit::Stopped) => break,
                // the whole process group was signalled: the child obeyed before it was asked
                Ok(ChildExit::Exited(_)) if signals.stop.is_cancelled() => break,
                Ok(ChildExit::Exited(status))
                    if status.code() == Some(EXIT_REFUSED) && !heartbeats.have_started() =>
                {
                    return RoleEnd::Refused;
                }
                Ok(ChildExit::Exited(status)) => format!("ended ({status})"),
                Ok(ChildExit::Hung) => "sent no heartbeat and was killed".to_owned(),
                Err(error) => format!("cannot run: {error:#}"),
            };
            tracing::warn!(%role, "{how}; restarting it");
            let clock = self.about.clock;
            let wait = self.about.children.ended(role, how, heartbeats.had_served(), clock.mono());
            if let Some(child) =
                self.about.children.crash_looping(clock.mono()).iter().find(|c| c.role == role)
            {
                tracing::warn!(%role, exits = child.exits, "is crash-looping; next start in {:?}", wait.std());
            }
            tokio::select! {
                () = tokio::time::sleep(wait.std()) => {}
                () = signals.stop.cancelled() => {}
            }
        }
        RoleEnd::Stopped
    }
}
