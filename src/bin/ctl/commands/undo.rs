//! `ctl undo`: back to an earlier revision; `ctl rollout undo` is the same.

use coxswain::api::types::RolloutChange;
use coxswain::model::{RevisionNumber, ServiceName};

use super::rollout::roll;
use crate::error::CliError;
use crate::names;
use crate::operation::WaitArgs;
use crate::session::Session;

/// Roll a service back to an earlier revision, and wait for it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The service
    #[arg(value_parser = names::service)]
    service: ServiceName,
    /// The revision to go back to; without it the last good one before the current
    #[arg(long, value_name = "REVISION")]
    to: Option<u64>,
    #[command(flatten)]
    wait: WaitArgs,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let change = RolloutChange::Undo { to: args.to.map(RevisionNumber) };
    roll(session, args.service, change, &args.wait).await
}
