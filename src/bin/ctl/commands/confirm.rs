//! `ctl confirm`: allows the removals that the deletion guard holds back, and empty volumes in place of lost ones.

use coxswain::api::types::{ConfirmRequest, ConfirmResponse, ObjectCondition};
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
    let waiting: Vec<&ObjectCondition> = status.conditions.iter().filter(|c| question(c).is_some()).collect();
    if waiting.is_empty() {
        return session.ui.out("= nothing is waiting for confirmation");
    }
    waiting.iter().for_each(|found| session.ui.note(&format!("! {}  {}", found.reason, found.message)));
    if !args.yes {
        for question in waiting.iter().filter_map(|found| question(found)) {
            ask(session, question, "confirming this", "nothing was changed")?;
        }
    }
    let lost_volumes = status.node.missing_volumes;
    let request = ConfirmRequest { request_id: request_id(), lost_volumes };
    let ConfirmResponse { removed, lost_volumes } = session.client.confirm(&request).await?;
    let removed = removed.iter().map(|name| format!("- {name}  confirmed"));
    let lost = lost_volumes.iter().map(|name| format!("- volume {name}  an empty one takes its place"));
    let lines: Vec<String> = removed.chain(lost).collect();
    match lines.is_empty() {
        true => session.ui.out("= nothing is waiting for confirmation any more"),
        false => session.ui.out(&lines.join("\n")),
    }
}

/// What to ask before that which a condition holds back; `None` if it holds back nothing.
fn question(condition: &ObjectCondition) -> Option<&'static str> {
    match condition.reason {
        _ if !condition.status => None,
        Reason::DeletionHeld => Some("remove these?"),
        Reason::VolumeMissing => Some("continue without this data?"),
        _ => None,
    }
}
