//! `ctl status`: a summary of the daemon.

use crate::error::CliError;
use crate::output::summary;
use crate::session::Session;

/// Show the health of the daemon, its node and its balancer
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(session: &Session<'_>, Args {}: &Args) -> Result<(), CliError> {
    let status = session.client.status().await?;
    // a daemon of an earlier version has no such call, and the supervisor may not answer
    let processes = session.client.daemon().await.ok();
    session.ui.out(&summary::daemon(&status, processes.as_ref()))
}
