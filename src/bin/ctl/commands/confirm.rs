//! `ctl confirm`: allows the removals that the deletion guard holds back, and empty volumes in place of lost ones.

use coxswain::api::types::ConfirmRequest;
use coxswain::clock::request_id;
use coxswain::model::Reason;

use crate::error::CliError;
use crate::prompt::ask;
use crate::session::Session;

/// Confirm removals held back by the deletion guard, and the loss of volumes
///
/// Lists the removals, and volumes that held data and no longer exist, and prompts before it allows the removals and lets
/// replicas start with empty volumes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not prompt for confirmation
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(session: &Session<'_>, args: &Args) -> Result<(), CliError> {
    let status = session.client.status().await?;
    let is_held = |reason| matches!(reason, Reason::DeletionHeld | Reason::VolumeMissing);
    let held = status.conditions.iter().filter(|c| is_held(c.reason) && c.status);
    let held: Vec<String> = held.map(|held| format!("! {}  {}", held.reason, held.message)).collect();
    if held.is_empty() {
        return session.ui.out("= nothing is waiting for confirmation");
    }
    held.iter().for_each(|line| session.ui.note(line));
    if !args.yes {
        ask(session, "confirm these?", "confirming these", "nothing was changed")?;
    }
    let response = session.client.confirm(&ConfirmRequest { request_id: request_id() }).await?;
    if response.released.is_empty() {
        return session.ui.out("= nothing is waiting for confirmation any more");
    }
    let lines: Vec<String> = response.released.iter().map(|name| format!("- {name}  confirmed")).collect();
    session.ui.out(&lines.join("\n"))
}
