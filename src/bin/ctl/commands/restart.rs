//! `ctl restart`: replaces all containers of a service without changing its release.

use coxswain::api::types::RolloutChange;
use coxswain::model::ServiceName;

use crate::error::CliError;
use crate::names;
use crate::operation::WaitArgs;
use crate::session::Session;
use crate::writes::change_rollout_and_wait;

/// Replace every container with a new one of the same release and wait until they are ready
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the service
    #[arg(value_parser = names::service)]
    service: ServiceName,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    change_rollout_and_wait(session, args.service, RolloutChange::Restart, &args.wait).await
}
