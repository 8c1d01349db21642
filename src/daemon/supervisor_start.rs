//! How a supervisor begins: it binds the sockets and locks the state directory, or continues where an earlier program of this
//! process left off.

use std::cell::RefCell;
use std::os::fd::OwnedFd;

use super::child::Child;
use super::hand_over::{HandOverDescription, HandedChild};
use super::handed_descriptors::TakenOver;
use super::incidents::Incidents;
use super::left_balancers::bind_despite_hanging;
use super::listeners::Listeners;
use super::program::own_path;
use super::reloads::Reloads;
use super::role_health::{RoleHealth, RolesHealth};
use super::signals::Signals;
use super::spawner::ChildSpawner;
use super::start_retry::while_ending;
use super::state_dir::{StateDir, balancer_user};
use super::supervisor::{Supervisor, SupervisorParts};
use super::tcp_sockets::activated;
use super::unix_sockets::{bind_api, bind_plane};
use super::{Role, ServeOptions, VERSION, open_files, priority, telemetry};
use crate::model::ProcessState;

/// Runs the daemon until a signal stops it; containers keep running.
///
/// Call it before the process has a second thread.
///
/// # Errors
/// [`super::StartError`] if the daemon cannot start here; or a child refused to start.
pub fn serve(options: ServeOptions) -> anyhow::Result<()> {
    telemetry::start("supervisor");
    priority::raise();
    let start = match TakenOver::from_env(&options.state_dir)? {
        Some(taken) => SupervisorStart::continued(options, taken),
        None => SupervisorStart::first(options)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // before there is a child: from here on a signal ends all of them
        let signals = Signals::watch()?;
        let SupervisorStart { supervisor, children } = start;
        let children = children.into_iter().map(|(child, liveness, channel)| {
            let HandedChild { role, pid, is_draining, .. } = child;
            let state = if is_draining { ProcessState::Draining } else { ProcessState::Serving };
            supervisor.add_child(role, pid, &child.version, state);
            Child::adopt(child, liveness, channel)
        });
        let children = children.collect::<std::io::Result<_>>().unwrap_or_else(|error| leave(&error));
        supervisor.run(signals, children).await
    })
}

/// Ends this process without ending its children, as a crash does: they drain, and the service manager starts the daemon again.
fn leave(error: &std::io::Error) -> ! {
    tracing::error!(%error, "cannot continue with the children of the earlier program");
    std::process::exit(1)
}

/// How the daemon begins.
struct SupervisorStart {
    supervisor: Supervisor,
    /// Of an earlier program of this process.
    children: Vec<(HandedChild, OwnedFd, OwnedFd)>,
}

impl SupervisorStart {
    /// Binds and locks everything.
    fn first(options: ServeOptions) -> anyhow::Result<Self> {
        let program = own_path();
        let activated = activated()?;
        let balancer_user = balancer_user();
        let state = StateDir::open(&options.state_dir, balancer_user)?;
        // a socket per listener, address and balancer thread can exceed the soft limit
        open_files::raise()?;
        let dir = &options.state_dir;
        let incidents = Incidents::default();
        let listeners = bind_despite_hanging(&state.balancer_locks, &incidents, || {
            while_ending(dir, || Listeners::bind(&options.http, &options.https, activated.as_ref()))
        })?;
        let api = RefCell::new(while_ending(dir, || bind_api(&options.socket))?);
        let plane = RefCell::new(while_ending(dir, || bind_plane(&state, balancer_user))?);
        if balancer_user.is_none() {
            tracing::warn!("not started as root: the balancer runs as the same user as the controller");
        }
        let spawner = ChildSpawner { options, listeners, api, plane, state, balancer_user };
        let reloads = Reloads::default();
        let health = RolesHealth::default();
        let parts = SupervisorParts { spawner, program, reloads, health, incidents };
        Ok(Self { supervisor: Supervisor::new(parts), children: Vec::new() })
    }

    /// Continues where an earlier program left off.
    fn continued(options: ServeOptions, taken: TakenOver) -> Self {
        let TakenOver { description, state, api, plane, listeners, children } = taken;
        let HandOverDescription { version, program, started, reload, incidents, .. } = description;
        tracing::info!(from = version, to = VERSION, "the supervisor continues with the installed program");
        let balancer_user = balancer_user();
        let api = RefCell::new(api);
        let plane = RefCell::new(plane);
        let spawner = ChildSpawner { options, listeners, api, plane, state, balancer_user };
        let health = |role: Role| {
            let is_there = children.iter().any(|(child, ..)| child.role == role && !child.is_draining);
            let has_started = started.contains(&role);
            RoleHealth::continued(has_started, has_started && is_there)
        };
        let health = RolesHealth { controller: health(Role::Controller), balancer: health(Role::Balancer) };
        let reloads = Reloads::continued(reload);
        let incidents = Incidents::continued(incidents);
        let parts = SupervisorParts { spawner, program: Some(program), reloads, health, incidents };
        Self { supervisor: Supervisor::new(parts), children }
    }
}
