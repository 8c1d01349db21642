//! `ctl version`: versions of ctl and, if it answers, of the daemon.

use coxswain::api::codes;

use crate::error::CliError;
use crate::session::Session;

/// Show the versions of ctl and the daemon
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(session: &Session<'_>, Args {}: &Args) -> Result<(), CliError> {
    session.ui.out(&format!("ctl     {}", env!("CARGO_PKG_VERSION")))?;
    match session.client.status().await {
        Ok(status) => session.ui.out(&format!("daemon  {}", status.version)),
        Err(error) if error.code == codes::DAEMON_NOT_RUNNING.id => session.ui.out("daemon  not running"),
        Err(error) => session.ui.out(&format!("daemon  unknown: {error}")),
    }
}
