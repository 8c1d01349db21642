//! `ctl undo`: rolls back to an earlier revision; `ctl rollout undo` is the same command.

use coxswain::api::types::RolloutChange;
use coxswain::model::{RevisionNumber, ServiceName};

use crate::error::CliError;
use crate::names;
use crate::operation::WaitArgs;
use crate::session::Session;
use crate::writes::change_rollout_and_wait;

/// Roll back a service to an earlier revision and wait until it is ready
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the service
    #[arg(value_parser = names::service)]
    service: ServiceName,
    /// Revision to roll back to [default: what served before the last release]
    #[arg(long, value_name = "REVISION")]
    to: Option<u64>,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let change = RolloutChange::Undo { to: args.to.map(RevisionNumber) };
    change_rollout_and_wait(session, args.service, change, &args.wait).await
}
