//! Runs a child of the supervisor: the beginning that both roles share.

use super::refusal::Refusal;
use super::{Role, ServeOptions, balancer_role, controller_role, sockets, telemetry};

/// Exit status of a child that refuses to serve for a reason that a restart cannot fix (`EX_CONFIG` of sysexits.h).
pub(super) const EXIT_REFUSED: i32 = 78;

/// Runs a child with the sockets that the supervisor handed to this process; returns when it was asked to stop.
///
/// Call it before the process has a second thread: it reads the sockets from the environment. A [`Refusal`] ends the
/// process from here, with an exit status that the supervisor knows.
///
/// # Errors
/// When the process was not started by a supervisor, or when the role fails.
pub fn run_role(role: Role, options: ServeOptions) -> anyhow::Result<()> {
    telemetry::start(role.as_str());
    nix::sys::prctl::set_no_new_privs()?;
    nix::sys::prctl::set_name(match role {
        Role::Controller => c"ctl-controller",
        Role::Balancer => c"ctl-balancer",
    })?;
    let mut inherited = sockets::Inherited::from_env()?;
    let outcome = match role {
        Role::Controller => controller_role::run(inherited.controller()?, &options),
        Role::Balancer => balancer_role::run(inherited.balancer()?, &options),
    };
    match outcome {
        Err(error) if error.is::<Refusal>() => {
            tracing::error!("{error:#}");
            std::process::exit(EXIT_REFUSED)
        }
        outcome => outcome,
    }
}
