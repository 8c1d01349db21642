//! `ctl resume`: a paused rollout goes on.

use coxswain::api::types::RolloutChange;
use coxswain::model::ServiceName;

use super::rollout::steer;
use crate::error::CliError;
use crate::names;
use crate::session::Session;

/// Let a paused rollout go on, with its whole deadline before it
///
/// `ctl rollout NAME` follows it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The service
    #[arg(value_parser = names::service)]
    service: ServiceName,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    steer(session, args.service, RolloutChange::Resume).await.map(drop)
}
