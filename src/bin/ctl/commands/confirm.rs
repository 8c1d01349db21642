//! `ctl confirm`: allows the removals that the deletion guard holds back.

use coxswain::api::codes;
use coxswain::api::types::{ConfirmRequest, ErrorDetail};
use coxswain::clock::request_id;
use coxswain::model::Reason;

use crate::error::CliError;
use crate::session::Session;

/// Confirm removals held back by the deletion guard
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
        match session.ui.ask("remove these?") {
            Some(true) => {}
            Some(false) => return Err(CliError::of(&codes::USAGE, "nothing was removed")),
            None => {
                let next = vec!["ctl confirm -y".to_owned()];
                let error = codes::USAGE.detail("confirming removals needs -y (not a terminal)");
                return Err(ErrorDetail { next, ..error }.into());
            }
        }
    }
    let response = session.client.confirm(&ConfirmRequest { request_id: request_id() }).await?;
    if response.released.is_empty() {
        return session.ui.out("= nothing is waiting for confirmation any more");
    }
    let lines: Vec<String> = response.released.iter().map(|name| format!("- {name}  removing")).collect();
    session.ui.out(&lines.join("\n"))
}
