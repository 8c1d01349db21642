//! One file per verb: its arguments, whose doc comments are the help, and what it does.

pub(crate) mod abort;
pub(crate) mod apply;
pub(crate) mod completion;
pub(crate) mod confirm;
pub(crate) mod delete;
pub(crate) mod describe;
pub(crate) mod diff;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod get;
pub(crate) mod history;
pub(crate) mod logs;
pub(crate) mod pause;
pub(crate) mod restart;
pub(crate) mod resume;
pub(crate) mod rollout;
pub(crate) mod scale;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod undo;
pub(crate) mod validate;
pub(crate) mod verify;
pub(crate) mod version;
pub(crate) mod wait;

use coxswain::api::client::ApiClient;
use coxswain::api::codes;
use coxswain::api::types::{ApiError, WriteResult};
use coxswain::daemon::wall_time;
use coxswain::model::Author;

use crate::args::{Args, Command};
use crate::author::Identity;
use crate::error::CliError;
use crate::output::{Ui, changes};
use crate::places::Environment;
use crate::session::{Session, typed};

/// Runs one command.
pub(crate) fn run(args: Args, ui: &Ui) -> Result<(), CliError> {
    let environment = Environment::of_process();
    let socket = args.socket.unwrap_or_else(|| environment.socket());
    // The daemon makes its own runtimes, and takes over its sockets before there is a second thread.
    if let Command::Serve(args) = args.command {
        return serve::run(args, socket, &environment);
    }
    let author = Author { command: typed(std::env::args().skip(1)), user: Identity::of_process().user() };
    let session = Session { ui, client: ApiClient::new(socket), author };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(dispatch(&session, args.command))
}

async fn dispatch(session: &Session<'_>, command: Command) -> Result<(), CliError> {
    match command {
        Command::Serve(_) => Ok(()), // has been run
        Command::Apply(args) => apply::run(session, args).await,
        Command::Validate(args) => validate::run(session, &args),
        Command::Get(args) => get::run(session, args).await,
        Command::Describe(args) => describe::run(session, args).await,
        Command::Why(args) => describe::why(session, args).await,
        Command::Status(args) => status::run(session, &args).await,
        Command::Scale(args) => scale::run(session, args).await,
        Command::Rollout(args) => rollout::run(session, args).await,
        Command::History(args) => history::run(session, args).await,
        Command::Diff(args) => diff::run(session, args).await,
        Command::Undo(args) => undo::run(session, args).await,
        Command::Pause(args) => pause::run(session, args).await,
        Command::Resume(args) => resume::run(session, args).await,
        Command::Abort(args) => abort::run(session, args).await,
        Command::Restart(args) => restart::run(session, args).await,
        Command::Delete(args) => delete::run(session, args).await,
        Command::Logs(args) => logs::run(session, args).await,
        Command::Events(args) => events::run(session, &args).await,
        Command::Wait(args) => wait::run(session, args).await,
        Command::Verify(args) => verify::run(session, args).await,
        Command::Confirm(args) => confirm::run(session, &args).await,
        Command::Explain(args) => explain::run(session, &args),
        Command::Schema(args) => schema::run(session, &args),
        Command::Completion(args) => completion::run(session, &args),
        Command::Version(args) => version::run(session, &args).await,
    }
}

/// Asks before what costs something. Where nobody can be asked, the error names `-y`.
fn ask(session: &Session<'_>, question: &str, doing: &str, declined: &'static str) -> Result<(), CliError> {
    match session.ui.ask(question) {
        Some(true) => Ok(()),
        Some(false) => Err(CliError::Declined(declined)),
        None => {
            let next = vec![format!("ctl {} -y", session.author.command)];
            let error = codes::USAGE.error(format!("{doing} needs -y where nobody can be asked"));
            Err(ApiError { next, ..error }.into())
        }
    }
}

/// Says what a write did to each service.
fn written(session: &Session<'_>, results: &[WriteResult], dry_run: bool) -> Result<(), CliError> {
    let now = wall_time();
    let lines: Vec<String> =
        results.iter().flat_map(|result| changes::result(result, dry_run, now)).collect();
    if lines.is_empty() { Ok(()) } else { session.ui.out(&lines.join("\n")) }
}
