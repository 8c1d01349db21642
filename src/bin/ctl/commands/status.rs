//! `ctl status`: the daemon in a few lines.

use crate::error::CliError;
use crate::output::summary;
use crate::session::Session;

/// Show how the daemon, its host and its balancer are
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(session: &Session<'_>, Args {}: &Args) -> Result<(), CliError> {
    let status = session.client.status().await?;
    session.ui.out(&summary::daemon(&status))
}
