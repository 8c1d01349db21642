//! Keeps the process of one role running: restarts it when it ends, replaces it in a reload, stops it at the end.
//!
//! Invariants: a child is reaped before its successor starts, except that a balancer's successor serves before the balancer is
//! asked to drain; no wait here holds up the end of the daemon.

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::child::{Child, ChildExit, ChildSignals};
use super::command_server::Supervised;
use super::liveness::ChildHealth;
use super::role_health::{RoleHealth, RolesHealth};
use super::run_role::EXIT_REFUSED;
use super::spawner::ChildSpawner;
use super::{Role, VERSION};

/// Why a role is no longer kept running.
pub(super) enum RoleEnd {
    Stopped,
    Refused,
    /// Another program of this process continues, with this child; with none if none runs.
    HandedOver(Vec<Child>),
}

/// Replaces the process of a role by one of this program's version.
pub(super) struct ChildReplacement {
    /// The balancer must be as useful as the one it replaces, which needs a controller that speaks its protocol.
    pub(super) speaks_to_controller: bool,
    pub(super) done: oneshot::Sender<Result<Replaced, String>>,
}

/// A process that took the place of another one.
#[derive(Debug)]
pub(super) struct Replaced {
    pub(super) pid: i32,
    pub(super) health: watch::Receiver<ChildHealth>,
    /// The balancer that finishes its requests.
    pub(super) draining: Option<i32>,
}

impl Replaced {
    pub(super) fn by(child: &Child, draining: Option<i32>) -> Self {
        Self { pid: child.pid, health: child.health(), draining }
    }
}

/// What ends the watch over a child.
enum Turn {
    Ended(anyhow::Result<ChildExit>),
    Stop,
    HandOver,
    Replace(ChildReplacement),
}

/// Keeps one role running.
pub(super) struct RoleKeeper<'a> {
    pub(super) role: Role,
    pub(super) spawner: &'a ChildSpawner,
    pub(super) about: Supervised<'a>,
    pub(super) signals: &'a ChildSignals,
    pub(super) health: &'a RolesHealth,
    /// Cancelled when another program continues.
    pub(super) hand_over: &'a CancellationToken,
    pub(super) replacements: mpsc::Receiver<ChildReplacement>,
    /// Takes balancers that finish their requests.
    pub(super) draining: mpsc::UnboundedSender<Child>,
}

impl RoleKeeper<'_> {
    /// Keeps the role running until it is stopped, handed over, or refuses to start. Begins with the child of an earlier program, if
    /// there is one.
    pub(super) async fn keep(mut self, mut current: Option<Child>) -> RoleEnd {
        loop {
            if self.signals.stop.is_cancelled() {
                if let Some(child) = current {
                    self.stop(child).await;
                }
                return RoleEnd::Stopped;
            }
            if self.hand_over.is_cancelled() {
                return RoleEnd::HandedOver(current.into_iter().collect());
            }
            let mut child = match current.take().map_or_else(|| self.start(), Ok) {
                Ok(child) => child,
                Err(error) => {
                    current = self.ended(format!("cannot run: {error:#}"), false).await;
                    continue;
                }
            };
            match self.watch(&mut child).await {
                Turn::Stop => {
                    self.stop(child).await;
                    return RoleEnd::Stopped;
                }
                Turn::HandOver => return RoleEnd::HandedOver(vec![child]),
                Turn::Replace(replacement) => current = self.replace(child, replacement).await,
                // the whole process group was signalled: the child obeyed before it was asked
                Turn::Ended(_) if self.signals.stop.is_cancelled() => return RoleEnd::Stopped,
                Turn::Ended(exit) => {
                    self.of_role().end();
                    if is_refusal(&exit) && !self.of_role().has_started() {
                        return RoleEnd::Refused;
                    }
                    self.about.children.gone(child.pid);
                    let had_served = child.had_served();
                    drop(child);
                    current = self.ended(describe(exit), had_served).await;
                }
            }
        }
    }

    pub(super) fn of_role(&self) -> &RoleHealth {
        match self.role {
            Role::Controller => &self.health.controller,
            Role::Balancer => &self.health.balancer,
        }
    }

    pub(super) fn start(&self) -> anyhow::Result<Child> {
        let child = self.spawner.start(self.role, !self.of_role().has_started())?;
        self.about.children.started(self.role, child.pid, VERSION);
        Ok(child)
    }

    async fn watch(&mut self, child: &mut Child) -> Turn {
        let health = match self.role {
            Role::Controller => &self.health.controller,
            Role::Balancer => &self.health.balancer,
        };
        tokio::select! {
            exit = child.run(self.about, health) => Turn::Ended(exit),
            () = self.signals.stop.cancelled() => Turn::Stop,
            () = self.signals.kill.cancelled() => Turn::Stop,
            () = self.hand_over.cancelled() => Turn::HandOver,
            Some(replacement) = self.replacements.recv() => Turn::Replace(replacement),
        }
    }

    async fn stop(&self, mut child: Child) {
        if self.role == Role::Balancer {
            // from now on only the balancer accepts: its sockets close with it
            self.about.listeners.release();
        }
        if let Err(error) = child.stop(&self.signals.kill).await {
            tracing::warn!(role = %self.role, pid = child.pid, %error, "cannot stop it");
        }
        self.about.children.gone(child.pid);
    }

    /// Waits before the next start, or starts a child that is asked for meanwhile.
    async fn ended(&mut self, how: String, had_served: bool) -> Option<Child> {
        let role = self.role;
        tracing::warn!(%role, "{how}; restarting it");
        let Supervised { children, clock, .. } = self.about;
        let wait = children.ended(role, how, had_served, clock.mono());
        if let Some(child) = children.crash_looping(clock.mono()).iter().find(|child| child.role == role) {
            tracing::warn!(%role, exits = child.exits, "is crash-looping; next start in {:?}", wait.std());
        }
        tokio::select! {
            () = tokio::time::sleep(wait.std()) => None,
            () = self.signals.stop.cancelled() => None,
            () = self.hand_over.cancelled() => None,
            Some(replacement) = self.replacements.recv() => self.start_as_asked(replacement),
        }
    }

    async fn replace(&mut self, mut child: Child, replacement: ChildReplacement) -> Option<Child> {
        if child.is_own {
            // the earlier program's has ended by itself
            let _ = replacement.done.send(Ok(Replaced::by(&child, None)));
            return Some(child);
        }
        match self.role {
            Role::Balancer => self.replace_balancer(child, replacement).await,
            Role::Controller => {
                // two controllers cannot have the store open
                if let Err(error) = child.stop(&self.signals.kill).await {
                    let _ = replacement.done.send(Err(format!("cannot stop the controller: {error}")));
                    return Some(child);
                }
                self.of_role().end();
                self.about.children.gone(child.pid);
                self.start_as_asked(replacement)
            }
        }
    }

    /// Starts a child where there is none.
    fn start_as_asked(&self, replacement: ChildReplacement) -> Option<Child> {
        match self.start() {
            Ok(child) => {
                let _ = replacement.done.send(Ok(Replaced::by(&child, None)));
                Some(child)
            }
            Err(error) => {
                let _ = replacement.done.send(Err(format!("cannot start the {}: {error:#}", self.role)));
                None
            }
        }
    }

    /// The balancer serves while another one finishes its requests.
    pub(super) fn let_drain(&self, old: Child) {
        self.about.children.drains(old.pid);
        // its receiver lives as long as this
        let _ = self.draining.send(old);
    }
}

fn is_refusal(exit: &anyhow::Result<ChildExit>) -> bool {
    matches!(exit, Ok(ChildExit::Exited(status)) if status.code() == Some(EXIT_REFUSED))
}

/// How a child ended, for the log and for users.
pub(super) fn describe(exit: anyhow::Result<ChildExit>) -> String {
    match exit {
        Ok(ChildExit::Exited(status)) => format!("ended ({status})"),
        Ok(ChildExit::Hung) => "sent no heartbeat and was killed".to_owned(),
        Err(error) => format!("cannot be watched: {error:#}"),
    }
}
