//! A reload: this process executes the installed program, which then replaces balancer and controller, one after the other.
//!
//! Invariants: the old balancer accepts until the new one has the sockets; nothing is changed before the installed program has said
//! that it can continue; a reload that fails leaves processes that serve.
//! Deliberately absent: a way back to the old program, whose file is gone.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Role;
use super::hand_over::HandOverDescription;
use super::liveness::ChildHealth;
use super::program_check::check;
use super::reloads::Reloads;
use super::role_keeper::{ChildReplacement, Replaced};
use super::service_manager::ServiceManager;
use crate::model::{ReloadOutcome, ReloadStep};

/// Includes the time that the old controller has to end, and a large store that is checked.
const CONTROLLER_SERVES_WITHIN: Duration = Duration::from_secs(120);
/// For an answer of a role's keeper: the longest that the steps in between may take.
const REPLACED_WITHIN: Duration = Duration::from_secs(60);

/// What a reload needs of the supervisor.
pub(super) struct Reloader<'a> {
    pub(super) reloads: &'a Reloads,
    pub(super) service_manager: &'a ServiceManager,
    /// Where the installed program is; `None` if it cannot be found out.
    pub(super) program: Option<PathBuf>,
    /// What would be handed over now.
    pub(super) describe: &'a dyn Fn(PathBuf) -> HandOverDescription,
    /// Cancelled to let the installed program continue.
    pub(super) hand_over: &'a CancellationToken,
    pub(super) controller: mpsc::Sender<ChildReplacement>,
    pub(super) balancer: mpsc::Sender<ChildReplacement>,
    /// Whether the old controller speaks the protocol of this program's balancers.
    pub(super) speaks_to_controller: bool,
}

impl Reloader<'_> {
    /// Continues the reload that is under way, then obeys requests.
    pub(super) async fn run(&self) -> Infallible {
        if self.reloads.report().is_some_and(|report| report.is_under_way()) {
            let outcome = match self.replace_children().await {
                Ok(()) => ReloadOutcome::Done,
                Err(reason) => ReloadOutcome::Failed { reason },
            };
            self.end(outcome);
        }
        loop {
            self.reloads.requested().await;
            self.service_manager.reloading();
            match self.begin().await {
                Ok(never) => match never {},
                Err(reason) => self.end(ReloadOutcome::Refused { reason }),
            }
        }
    }

    fn end(&self, outcome: ReloadOutcome) {
        self.reloads.end(outcome);
        self.service_manager.reloaded();
    }

    /// Lets the installed program continue; returns only if it cannot.
    async fn begin(&self) -> Result<Infallible, String> {
        let unknown = "it is not known where the program of this daemon is; restart it instead";
        let path = self.program.clone().ok_or(unknown)?;
        let checked = check(&path, &(self.describe)(path.clone())).await?;
        self.reloads.set_checked(checked.file);
        let program = path.display().to_string();
        self.reloads.step(ReloadStep::Checked { program, version: checked.version });
        self.hand_over.cancel();
        std::future::pending().await
    }

    async fn replace_children(&self) -> Result<(), String> {
        let pid = i32::try_from(std::process::id()).unwrap_or_default();
        self.reloads.step(ReloadStep::SupervisorReplaced { pid });
        let balancer = self.replace(Role::Balancer, &self.balancer).await;
        match &balancer {
            Ok(Replaced { pid, draining, .. }) => {
                self.reloads.step(ReloadStep::BalancerReplaced { pid: *pid, draining: *draining });
            }
            // a balancer of this version may need the controller of this version
            Err(reason) if self.speaks_to_controller => return Err(reason.clone()),
            Err(reason) => tracing::error!("{reason}; replacing the controller, whose protocol differs"),
        }
        self.replace_controller().await?;
        balancer.map(drop)
    }

    async fn replace_controller(&self) -> Result<(), String> {
        let Replaced { pid, mut health, .. } = self.replace(Role::Controller, &self.controller).await?;
        let serves = health.wait_for(|health| *health >= ChildHealth::Alive);
        match timeout(CONTROLLER_SERVES_WITHIN, serves).await {
            Ok(Ok(_)) => {
                self.reloads.step(ReloadStep::ControllerReplaced { pid });
                Ok(())
            }
            Ok(Err(_)) => Err(format!("the new controller (process {pid}) ended; the log says why")),
            Err(_) => Err(format!(
                "the new controller (process {pid}) does not serve after {CONTROLLER_SERVES_WITHIN:?}"
            )),
        }
    }

    /// Replaces the process of a role, unless this program has started it.
    async fn replace(&self, role: Role, keeper: &mpsc::Sender<ChildReplacement>) -> Result<Replaced, String> {
        let speaks_to_controller = self.speaks_to_controller;
        let (done, replaced) = oneshot::channel();
        let lost = || format!("the {role} was not replaced; the log says why");
        keeper.send(ChildReplacement { speaks_to_controller, done }).await.map_err(|_| lost())?;
        match timeout(REPLACED_WITHIN, replaced).await {
            Ok(Ok(replaced)) => replaced,
            Ok(Err(_)) | Err(_) => Err(lost()),
        }
    }
}
