//! `ctl resume`: resumes a paused rollout.

use coxswain::api::types::RolloutChange;
use coxswain::model::ServiceName;

use crate::error::CliError;
use crate::names;
use crate::session::Session;
use crate::writes::change_rollout;

/// Resume a paused rollout; its deadline starts over
///
/// Run `ctl rollout NAME` to follow it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the service
    #[arg(value_parser = names::service)]
    service: ServiceName,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    change_rollout(session, args.service, RolloutChange::Resume).await.map(drop)
}
