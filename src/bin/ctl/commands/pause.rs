//! `ctl pause`: a rollout stands still.

use coxswain::api::types::RolloutChange;
use coxswain::model::ServiceName;

use super::rollout::steer;
use crate::error::CliError;
use crate::names;
use crate::session::Session;

/// Let a rollout stand still: nothing is replaced and no deadline runs until it is resumed or aborted
///
/// The number of replicas is still kept, and can be changed. Another release ends the pause with the rollout.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The service
    #[arg(value_parser = names::service)]
    service: ServiceName,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    steer(session, args.service, RolloutChange::Pause).await.map(drop)
}
