//! `ctl abort`: aborts a rollout.

use coxswain::api::types::{Awaited, RolloutChange};
use coxswain::model::ServiceName;

use crate::error::CliError;
use crate::names;
use crate::operation::{WaitArgs, wait};
use crate::session::Session;
use crate::writes::change_rollout;

/// Abort a rollout: roll back to the last completed revision and wait for it
///
/// Running replicas of that revision are never stopped. The spec still asks for the aborted release: applying the same
/// manifest again reports the abort, and `ctl rollout NAME --retry` tries the release again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the service
    #[arg(value_parser = names::service)]
    service: ServiceName,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let results = change_rollout(session, args.service, RolloutChange::Abort).await?;
    wait(session, &results, Awaited::Count, &args.wait).await
}
