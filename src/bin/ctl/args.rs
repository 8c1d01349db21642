//! The command-line grammar. Doc comments become the help text.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use coxswain::model::Millis;

use crate::commands::{
    abort, apply, certificate, check_gateway, completion, confirm, delete, describe, diff, events, explain,
    get, history, logs, pause, reload, restart, resume, rollout, route, scale, schema, serve, status, store,
    system, undo, validate, verify, version, wait,
};

/// Run services on plain Docker: declare them in YAML, update them without dropping a request.
#[derive(Debug, Parser)]
#[command(name = "ctl", version, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Args {
    /// Path of the daemon's socket [default: /run/coxswain/ctl.sock for root, otherwise under XDG_RUNTIME_DIR] [env:
    /// CTL_SOCKET]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: CtlCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CtlCommand {
    Serve(serve::Args),
    Apply(apply::Args),
    Validate(validate::Args),
    Get(get::Args),
    Describe(describe::Args),
    Why(describe::WhyArgs),
    Status(status::Args),
    Store(store::Args),
    Certificate(certificate::Args),
    Scale(scale::Args),
    Rollout(rollout::Args),
    History(history::Args),
    Diff(diff::Args),
    Undo(undo::Args),
    Pause(pause::Args),
    Resume(resume::Args),
    Abort(abort::Args),
    Restart(restart::Args),
    Delete(delete::Args),
    Logs(logs::Args),
    Events(events::Args),
    Route(route::Args),
    Wait(wait::Args),
    Verify(verify::Args),
    Confirm(confirm::Args),
    System(system::Args),
    Reload(reload::Args),
    Explain(explain::Args),
    Schema(schema::Args),
    Completion(completion::Args),
    Version(version::Args),
    #[command(hide = true)]
    CheckGateway(check_gateway::Args),
}

impl CtlCommand {
    /// For how long the whole command may take, if the user said so.
    pub(crate) fn timeout(&self) -> Option<Millis> {
        match self {
            Self::Apply(args) => args.wait.timeout,
            Self::Scale(args) => args.wait.timeout,
            Self::Rollout(args) => args.timeout(),
            Self::Undo(args) => args.wait.timeout,
            Self::Abort(args) => args.wait.timeout,
            Self::Restart(args) => args.wait.timeout,
            Self::Delete(args) => args.wait.timeout,
            Self::Wait(args) => args.timeout,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn args_grammar_is_valid() {
        super::Args::command().debug_assert();
    }
}
