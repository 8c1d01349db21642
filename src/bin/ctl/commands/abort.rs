//! `ctl abort`: a rollout goes back.

use coxswain::api::types::{Awaited, RolloutChange};
use coxswain::model::ServiceName;

use super::rollout::steer;
use crate::error::CliError;
use crate::names;
use crate::operation::{WaitArgs, wait};
use crate::session::Session;

/// End a rollout: go back to the last revision that completed, and wait for it
///
/// What serves of that revision is never stopped. The file still asks for what was aborted: applying it again says so,
/// and `ctl rollout NAME --retry` tries it again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The service
    #[arg(value_parser = names::service)]
    service: ServiceName,
    #[command(flatten)]
    wait: WaitArgs,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let results = steer(session, args.service, RolloutChange::Abort).await?;
    wait(session, &results, Awaited::Count, &args.wait).await
}
