//! The supervisor: keeps the two children running until it is stopped, and lets the installed program continue in a reload.
//!
//! Invariants: one thread, which no child, search or disk can hold up once there are children; at shutdown the balancer outlives the
//! controller, so that it still obeys the controller's last tables.
//! Deliberately absent: everything else, because a crash here would close the listening sockets.

use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::{Pin, pin};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Role;
use super::balancer_replacement::watch_draining;
use super::child::{Child, ChildDuty, ChildSignals};
use super::child_records::ChildRecords;
use super::command_server::Supervised;
use super::hand_over::{HandOverDescription, HandedChild};
use super::handed_descriptors::{HandOver, Leaving};
use super::incidents::Incidents;
use super::left_balancers::LeftBalancers;
use super::program_exec::execute;
use super::reload::Reloader;
use super::reloads::Reloads;
use super::role_health::RolesHealth;
use super::role_keeper::{ChildReplacement, RoleEnd, RoleKeeper};
use super::service_manager::{DaemonState, ServiceManager};
use super::signals::{ReceivedSignal, SignalMeaning, Signals};
use super::socket_watch::keep_sockets;
use super::spawner::ChildSpawner;
use super::supervision_end::SupervisionEnd;
use crate::clock::{Clock, RealClock};
use crate::model::ProcessState;
use crate::plane::PROTOCOL;

/// What a supervisor begins with.
pub(super) struct SupervisorParts {
    pub(super) spawner: ChildSpawner,
    /// Where the program is that a reload executes.
    pub(super) program: Option<PathBuf>,
    pub(super) reloads: Reloads,
    pub(super) health: RolesHealth,
    pub(super) incidents: Incidents,
}

/// Everything that outlives the children.
pub(super) struct Supervisor {
    spawner: ChildSpawner,
    program: Option<PathBuf>,
    reloads: Reloads,
    records: ChildRecords,
    incidents: Incidents,
    clock: RealClock,
    health: RolesHealth,
    service_manager: ServiceManager,
    controller: ChildSignals,
    balancer: ChildSignals,
    /// Whether this program took over from an earlier one.
    has_continued: bool,
}

impl Supervisor {
    pub(super) fn new(parts: SupervisorParts) -> Self {
        let SupervisorParts { spawner, program, reloads, health, incidents } = parts;
        let has_continued = reloads.report().is_some();
        let kill = CancellationToken::new();
        let signals = || ChildSignals { stop: CancellationToken::new(), kill: kill.clone() };
        Self {
            spawner,
            program,
            reloads,
            records: ChildRecords::default(),
            incidents,
            clock: RealClock::new(),
            health,
            service_manager: ServiceManager::from_env(),
            controller: signals(),
            balancer: signals(),
            has_continued,
        }
    }

    /// A child of an earlier program of this process.
    pub(super) fn add_child(&self, role: Role, pid: i32, version: &str, state: ProcessState) {
        self.records.add(role, pid, version, state);
    }

    /// Runs until it is stopped. Executes the installed program when a reload asks for it, and continues if that fails.
    ///
    /// # Errors
    /// When a child refused to start.
    pub(super) async fn run(&self, mut signals: Signals, mut children: Vec<Child>) -> anyhow::Result<()> {
        let own: Vec<i32> = children.iter().map(|child| child.pid).collect();
        let locks = &self.spawner.state.balancer_locks;
        // an error must not end the children of an earlier program
        let left = LeftBalancers::find(locks, &own).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot list the balancers that run");
            LeftBalancers::none(locks)
        });
        let mut left = pin!(left.end(&self.incidents));
        loop {
            children = match self.supervise(&mut signals, left.as_mut(), children).await? {
                SupervisionEnd::Stopped => {
                    tracing::info!("stopped; containers keep running");
                    return Ok(());
                }
                SupervisionEnd::HandOver(children) => children,
            };
            // what comes from now on waits for the next program
            signals.hold();
            while let Some(received) = signals.pending().await {
                self.obey(received);
            }
            if self.controller.stop.is_cancelled() {
                self.reloads.stopped();
                signals.release();
                continue;
            }
            let error = self.execute(&children);
            signals.release();
            self.reloads.could_not_execute(&error);
            self.service_manager.reloaded();
        }
    }

    fn execute(&self, children: &[Child]) -> std::io::Error {
        let Some(program) = self.program.clone() else { return std::io::ErrorKind::NotFound.into() };
        let Some(reload) = self.reloads.report() else { return std::io::ErrorKind::NotFound.into() };
        if !self.reloads.is_checked(&program) {
            return std::io::Error::other("it was replaced after it was checked");
        }
        let listeners = self.spawner.listeners.subscribe().borrow().clone();
        let api = self.spawner.api.borrow();
        let plane = self.spawner.plane.borrow();
        let leaving =
            Leaving { spawner: &self.spawner, api: &api, plane: &plane, listeners: &listeners, children };
        let mut hand_over = HandOver::new(&leaving, program, self.started(), reload);
        hand_over.description.incidents = self.incidents.log();
        execute(&hand_over)
    }

    fn started(&self) -> Vec<Role> {
        let roles = [(Role::Controller, &self.health.controller), (Role::Balancer, &self.health.balancer)];
        roles.into_iter().filter(|(_, health)| health.has_started()).map(|(role, _)| role).collect()
    }

    /// What would be handed over now, but for what only the watch over each child knows.
    fn draft(&self, program: PathBuf) -> HandOverDescription {
        let children = self.records.processes().iter().filter_map(HandedChild::draft).collect();
        let listeners = self.spawner.listeners.subscribe().borrow().clone();
        let reload = self.reloads.report_or_first(self.clock.wall());
        let bound = &self.spawner.listeners;
        HandOverDescription::new(program, bound, &listeners, children, self.started(), reload)
    }

    fn about(&self) -> Supervised<'_> {
        Supervised {
            listeners: &self.spawner.listeners,
            children: &self.records,
            incidents: &self.incidents,
            clock: &self.clock,
            reloads: &self.reloads,
        }
    }

    /// Keeps the children running until they are stopped or handed over.
    async fn supervise(
        &self,
        signals: &mut Signals,
        left: Pin<&mut impl Future<Output = Infallible>>,
        children: Vec<Child>,
    ) -> anyhow::Result<SupervisionEnd> {
        let hand_over = CancellationToken::new();
        let (ask_controller, of_controller) = mpsc::channel(1);
        let (ask_balancer, of_balancer) = mpsc::channel(1);
        let (draining, retired) = mpsc::unbounded_channel();
        let is_old = |child: &&Child| child.role == Role::Controller && child.plane != PROTOCOL;
        let speaks_to_controller = !children.iter().any(|child| is_old(&child));
        let mut controller = None;
        let mut balancer = None;
        for child in children {
            match (child.role, child.duty) {
                (Role::Controller, _) => controller = Some(child),
                // the receiver is in this function
                (Role::Balancer, ChildDuty::Drain) => drop(draining.send(child)),
                (Role::Balancer, ChildDuty::Serve | ChildDuty::Prepare) => balancer = Some(child),
            }
        }
        let of_controller = self.keeper(Role::Controller, of_controller, draining.clone(), &hand_over);
        let keep_controller = async {
            let end = of_controller.keep(controller).await;
            if !matches!(end, RoleEnd::HandedOver(_)) {
                self.balancer.stop.cancel();
            }
            end
        };
        let of_balancer = self.keeper(Role::Balancer, of_balancer, draining, &hand_over);
        let keep_balancer = async {
            let end = of_balancer.keep(balancer).await;
            if !matches!(end, RoleEnd::HandedOver(_)) {
                self.controller.stop.cancel();
            }
            end
        };
        let keep_draining = watch_draining(retired, self.about(), &self.balancer, &hand_over);
        let children = async { tokio::join!(keep_controller, keep_balancer, keep_draining) };
        let reloader = Reloader {
            reloads: &self.reloads,
            service_manager: &self.service_manager,
            program: self.program.clone(),
            describe: &|program| self.draft(program),
            hand_over: &hand_over,
            controller: ask_controller,
            balancer: ask_balancer,
            speaks_to_controller,
        };
        tokio::select! {
            (controller, balancer, retired) = children => SupervisionEnd::of_roles(controller, balancer, retired),
            never = self.obey_signals(signals) => match never {},
            never = keep_sockets(&self.spawner, &self.records, &self.incidents) => match never {},
            never = left => match never {},
            never = self.report_states() => match never {},
            never = reloader.run() => match never {},
        }
    }

    fn keeper<'a>(
        &'a self,
        role: Role,
        replacements: mpsc::Receiver<ChildReplacement>,
        draining: mpsc::UnboundedSender<Child>,
        hand_over: &'a CancellationToken,
    ) -> RoleKeeper<'a> {
        let signals = match role {
            Role::Controller => &self.controller,
            Role::Balancer => &self.balancer,
        };
        RoleKeeper {
            role,
            spawner: &self.spawner,
            about: self.about(),
            signals,
            health: &self.health,
            hand_over,
            replacements,
            draining,
        }
    }

    async fn obey_signals(&self, signals: &mut Signals) -> Infallible {
        loop {
            let received = signals.next().await;
            self.obey(received);
        }
    }

    /// The first signal to stop stops, the second kills.
    fn obey(&self, received: ReceivedSignal) {
        let signal = received.name;
        match received.meaning {
            SignalMeaning::Stop if self.controller.stop.is_cancelled() => {
                tracing::info!(signal, "killing the children");
                self.controller.kill.cancel();
            }
            SignalMeaning::Stop => {
                tracing::info!(signal, "stopping");
                self.service_manager.stopping();
                self.reloads.stop.cancel();
                self.controller.stop.cancel();
            }
            SignalMeaning::Reload => match self.reloads.request(&self.records, self.clock.wall()) {
                Ok(_) => tracing::info!(signal, "reloading"),
                Err(reason) => tracing::warn!(signal, "ignored: {reason}"),
            },
            SignalMeaning::Nothing => tracing::warn!(signal, "ignored: it has no meaning here"),
        }
    }

    /// Reports to the service manager what the children do.
    async fn report_states(&self) -> Infallible {
        let RolesHealth { controller, balancer } = &self.health;
        let (sender, states) = watch::channel(DaemonState::default());
        let follow = async {
            loop {
                sender
                    .send_replace(DaemonState { controller: controller.state(), balancer: balancer.state() });
                tokio::select! {
                    () = controller.changed.notified() => {}
                    () = balancer.changed.notified() => {}
                }
            }
        };
        tokio::select! {
            never = follow => never,
            () = self.service_manager.report(states, self.has_continued) => std::future::pending().await,
        }
    }
}
