//! Runs the command that was parsed: builds its session and runtime, then calls its file in `commands/`.

use clap::CommandFactory;
use coxswain::api::client::{ApiClient, CommandDeadline};
use coxswain::model::Author;

use crate::args::{Args, CtlCommand};
use crate::author::UserIdentity;
use crate::commands::{
    abort, apply, certificate, completion, confirm, delete, describe, diff, events, explain, get, history,
    logs, pause, reload, restart, resume, rollout, route, scale, schema, serve, status, store, system, undo,
    validate, verify, version, wait,
};
use crate::error::CliError;
use crate::operation::deadline;
use crate::output::Ui;
use crate::paths::Environment;
use crate::session::{Session, typed};
use crate::supervisor_signal::socket_of;

pub(crate) fn run(args: Args, ui: &Ui) -> Result<(), CliError> {
    let environment = Environment::of_process();
    let of_supervisor = match &args.command {
        CtlCommand::Reload(reload) => reload.pid.and_then(socket_of),
        _ => None,
    };
    let socket = args.socket.or(of_supervisor).unwrap_or_else(|| environment.socket());
    // The daemon builds its own runtimes and takes over its sockets before any second thread exists.
    if let CtlCommand::Serve(args) = args.command {
        return serve::run(args, socket, &environment);
    }
    let author = Author { command: typed(std::env::args().skip(1)), user: UserIdentity::of_process().user() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let deadline = CommandDeadline::new(deadline(args.command.timeout()));
    drop(entered);
    let client = ApiClient::new(socket).bounded(deadline.clone());
    let session = Session { ui, client, author, deadline };
    runtime.block_on(dispatch(&session, args.command))
}

async fn dispatch(session: &Session<'_>, command: CtlCommand) -> Result<(), CliError> {
    match command {
        CtlCommand::Serve(_) => Ok(()),        // handled in `run`
        CtlCommand::CheckGateway(_) => Ok(()), // handled in `main`
        CtlCommand::Apply(args) => apply::run(session, args).await,
        CtlCommand::Validate(args) => validate::run(session, &args),
        CtlCommand::Get(args) => get::run(session, args).await,
        CtlCommand::Describe(args) => describe::run(session, args).await,
        CtlCommand::Why(args) => describe::why(session, args).await,
        CtlCommand::Status(args) => status::run(session, &args).await,
        CtlCommand::Store(args) => store::run(session, args).await,
        CtlCommand::Certificate(args) => certificate::run(session, args).await,
        CtlCommand::Scale(args) => scale::run(session, args).await,
        CtlCommand::Rollout(args) => rollout::run(session, args).await,
        CtlCommand::History(args) => history::run(session, args).await,
        CtlCommand::Diff(args) => diff::run(session, args).await,
        CtlCommand::Undo(args) => undo::run(session, args).await,
        CtlCommand::Pause(args) => pause::run(session, args).await,
        CtlCommand::Resume(args) => resume::run(session, args).await,
        CtlCommand::Abort(args) => abort::run(session, args).await,
        CtlCommand::Restart(args) => restart::run(session, args).await,
        CtlCommand::Delete(args) => delete::run(session, args).await,
        CtlCommand::Logs(args) => logs::run(session, args).await,
        CtlCommand::Events(args) => events::run(session, &args).await,
        CtlCommand::Route(args) => route::run(session, args).await,
        CtlCommand::Wait(args) => wait::run(session, args).await,
        CtlCommand::Verify(args) => verify::run(session, args).await,
        CtlCommand::Confirm(args) => confirm::run(session, &args).await,
        CtlCommand::Reload(args) => reload::run(session, &args).await,
        CtlCommand::System(args) => system::run(session, &args, &Args::command()).await,
        CtlCommand::Explain(args) => explain::run(session, &args),
        CtlCommand::Schema(args) => schema::run(session, &args),
        CtlCommand::Completion(args) => completion::run(session, &args, &Args::command()),
        CtlCommand::Version(args) => version::run(session, &args).await,
    }
}
