//! `ctl confirm`: allows the removals that the deletion guard holds back.

use coxswain::api::types::ConfirmRequest;
use coxswain::clock::request_id;
use coxswain::model::Reason;

use crate::error::CliError;
use crate::prompt::ask;
use crate::session::Session;

/// Confirm removals held back by the deletion guard
///
/// Lists the removals and prompts before it allows them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not prompt for confirmation
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(session: &Session<'_>, args: &Args) -> Result<(), CliError> {
    let status = session.client.status().await?;
    let held = status.conditions.iter().filter(|c| c.reason == Reason::DeletionHeld && c.status);
    let held: Vec<String> = held.map(|held| format!("! {}  {}", held.reason, held.message)).collect();
    if held.is_empty() {
        return session.ui.out("= nothing is waiting for confirmation");
    }
    held.iter().for_each(|line| session.ui.note(line));
    if !args.yes {
        ask(session, "remove these?", "removing these", "nothing was removed")?;
    }
    let response = session.client.confirm(&ConfirmRequest { request_id: request_id() }).await?;
    if response.released.is_empty() {
        return session.ui.out("= nothing is waiting for confirmation any more");
    }
    let lines: Vec<String> = response.released.iter().map(|name| format!("- {name}  removing")).collect();
    session.ui.out(&lines.join("\n"))
}
