//! `ctl pause`: pauses a rollout.

use coxswain::api::types::RolloutChange;
use coxswain::model::ServiceName;

use crate::error::CliError;
use crate::names;
use crate::session::Session;
use crate::writes::change_rollout;

/// Pause a rollout: no replica is replaced and the deadline stops until it is resumed or aborted
///
/// The replica count is still maintained and can be changed. A new release replaces the paused rollout.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the service
    #[arg(value_parser = names::service)]
    service: ServiceName,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    change_rollout(session, args.service, RolloutChange::Pause).await.map(drop)
}
