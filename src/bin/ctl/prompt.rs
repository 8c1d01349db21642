//! Asks for confirmation before a command that deletes data or causes downtime.

use coxswain::api::codes;
use coxswain::api::types::ErrorDetail;
use tokio::time::Instant;

use crate::error::CliError;
use crate::session::Session;

/// Asks the question; `--timeout` does not run meanwhile. Without a terminal the error names `-y`.
pub(crate) fn ask(
    session: &Session<'_>,
    question: &str,
    action: &str,
    declined: &'static str,
) -> Result<(), CliError> {
    let asked_at = Instant::now();
    let answer = session.ui.ask(question);
    session.deadline.extend(asked_at.elapsed());
    match answer {
        Some(true) => Ok(()),
        Some(false) => Err(CliError::Declined(declined)),
        None => {
            let next = vec![format!("ctl {} -y", session.author.command)];
            let error = codes::USAGE.detail(format!("{action} needs confirmation: pass -y (not a terminal)"));
            Err(ErrorDetail { next, ..error }.into())
        }
    }
}
