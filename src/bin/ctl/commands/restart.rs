//! `ctl restart`: the same release in new containers.

use coxswain::api::types::RolloutChange;
use coxswain::model::ServiceName;

use super::rollout::roll;
use crate::error::CliError;
use crate::names;
use crate::operation::WaitArgs;
use crate::session::Session;

/// Replace every container by a new one of the same release, and wait for it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The service
    #[arg(value_parser = names::service)]
    service: ServiceName,
    #[command(flatten)]
    wait: WaitArgs,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    roll(session, args.service, RolloutChange::Restart, &args.wait).await
}
