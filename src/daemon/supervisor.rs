//! The supervisor: binds, locks, starts the two children and keeps them running until it is told to stop.
//!
//! Invariants: one thread; no state but the children's; the balancer outlives the controller when all stops, so that what
//! the controller still withdraws is obeyed.
//! Deliberately absent: everything else, because whatever could crash here would take the listening sockets along.

use std::cell::Cell;
use std::convert::Infallible;

use anyhow::{Context, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::child::{Ending, Nursery};
use super::listeners::{Listeners, activated};
use super::restart::Deaths;
use super::role::EXIT_REFUSED;
use super::state_dir::{StateDir, balancer_user};
use super::{Role, ServeOptions, priority, telemetry};
use crate::clock::{Clock, RealClock};

/// Runs the daemon until SIGTERM or SIGINT; containers go on running.
///
/// Call it before the process has a second thread.
///
/// # Errors
/// [`super::StartError`] where something stands in the way; or a child refused to start.
pub fn serve(options: ServeOptions) -> anyhow::Result<()> {
    telemetry::start("supervisor");
    priority::raise();
    let activated = activated()?;
    let balancer_user = balancer_user();
    let state = StateDir::open(&options.state_dir, balancer_user)?;
    let listeners = Listeners::bind(&options, activated, &state, balancer_user)?;
    if balancer_user.is_none() {
        tracing::warn!("not started as root: the balancer runs as the same user as the controller");
    }
    let nursery = Nursery { options, listeners, state, balancer_user };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before there is a child: from here on a signal ends all of them.
        let signals = Signals::watch()?;
        supervise(&nursery, signals).await
    })
}

/// The signals that stop the daemon.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn watch() -> anyhow::Result<Self> {
        let told = "cannot watch for signals";
        let terminate = signal(SignalKind::terminate()).context(told)?;
        let interrupt = signal(SignalKind::interrupt()).context(told)?;
        Ok(Self { terminate, interrupt })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// What ends a child.
#[derive(Debug, Clone, Default)]
struct Orders {
    stop: CancellationToken,
    kill: CancellationToken,
}

/// Why a role is no longer kept.
enum Over {
    Stopped,
    Refused,
}

async fn supervise(nursery: &Nursery, signals: Signals) -> anyhow::Result<()> {
    let kill = CancellationToken::new();
    let controller = Orders { stop: CancellationToken::new(), kill: kill.clone() };
    let balancer = Orders { stop: CancellationToken::new(), kill: kill.clone() };
    let keep_controller = async {
        let over = keep(nursery, Role::Controller, &controller).await;
        balancer.stop.cancel();
        over
    };
    let keep_balancer = async {
        let over = keep(nursery, Role::Balancer, &balancer).await;
        controller.stop.cancel();
        over
    };
    let children = async { tokio::join!(keep_controller, keep_balancer) };
    tokio::select! {
        (first, second) = children => match (first, second) {
            (Over::Stopped, Over::Stopped) => {
                tracing::info!("stopped; containers go on running");
                Ok(())
            }
            (Over::Refused, _) => bail!("the controller refused to start; the log above says why"),
            (_, Over::Refused) => bail!("the balancer refused to start; the log above says why"),
        },
        never = obey(signals, &controller.stop, &kill) => match never {},
    }
}

/// The first signal stops, the second kills.
async fn obey(mut signals: Signals, stop: &CancellationToken, kill: &CancellationToken) -> Infallible {
    for order in [stop, kill] {
        signals.next().await;
        tracing::info!("{}", if stop.is_cancelled() { "killing the children" } else { "stopping" });
        order.cancel();
    }
    std::future::pending().await
}

/// Keeps one role running until it is told to stop, or refuses to start.
async fn keep(nursery: &Nursery, role: Role, orders: &Orders) -> Over {
    let clock = RealClock::new();
    let mut deaths = Deaths::default();
    let lived = Cell::new(false);
    while !orders.stop.is_cancelled() {
        let born = clock.mono();
        let ending = match nursery.start(role, !lived.get()) {
            Ok(child) => child.watch(&orders.stop, &orders.kill, &lived).await,
            Err(error) => Err(error),
        };
        match ending {
            Ok(Ending::Stopped) => break,
            // Someone signalled the whole group: the child obeyed before it was asked.
            Ok(Ending::Exited(_)) if orders.stop.is_cancelled() => break,
            Ok(Ending::Exited(status)) if status.code() == Some(EXIT_REFUSED) && !lived.get() => {
                return Over::Refused;
            }
            Ok(Ending::Exited(status)) => tracing::warn!(%role, "ended ({status}); starting it again"),
            Ok(Ending::Silent) => {
                tracing::warn!(%role, "gave no sign of life and was killed; starting it again")
            }
            Err(error) => tracing::error!(%role, "cannot run: {error:#}"),
        }
        let delay = deaths.note(born, clock.mono());
        if !delay.is_zero() {
            tracing::warn!(%role, "dies too often; next start in {delay:?}");
        }
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = orders.stop.cancelled() => {}
        }
    }
    Over::Stopped
}
