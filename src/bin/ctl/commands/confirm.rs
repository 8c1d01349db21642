//! `ctl confirm`: releases what the deletion brake holds.

use coxswain::api::codes;
use coxswain::api::types::{ApiError, ConfirmRequest};
use coxswain::daemon::request_id;
use coxswain::model::Reason;

use crate::error::CliError;
use crate::session::Session;

/// Let removals happen that the deletion brake holds
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(session: &Session<'_>, args: &Args) -> Result<(), CliError> {
    let status = session.client.status().await?;
    let held = status.conditions.iter().filter(|c| c.reason == Reason::DeletionHeld && c.status);
    let held: Vec<String> = held.map(|held| format!("! {}  {}", held.reason, held.message)).collect();
    if held.is_empty() {
        return session.ui.out("= nothing is held");
    }
    held.iter().for_each(|line| session.ui.note(line));
    if !args.yes {
        match session.ui.ask("let these removals happen?") {
            Some(true) => {}
            Some(false) => return Err(CliError::of(&codes::USAGE, "nothing was removed")),
            None => {
                let next = vec!["ctl confirm -y".to_owned()];
                let error = codes::USAGE.error("letting removals happen needs -y where nobody can be asked");
                return Err(ApiError { next, ..error }.into());
            }
        }
    }
    let response = session.client.confirm(&ConfirmRequest { request_id: request_id() }).await?;
    if response.released.is_empty() {
        return session.ui.out("= nothing is held any more");
    }
    let lines: Vec<String> = response.released.iter().map(|name| format!("- {name}  goes now")).collect();
    session.ui.out(&lines.join("\n"))
}
