//! Writes that several commands share: sends a rollout request and prints the result of a write per service.

use coxswain::api::types::{Awaited, RolloutChange, RolloutRequest, WrittenObject};
use coxswain::clock::{request_id, wall_time};
use coxswain::model::ServiceName;

use crate::error::CliError;
use crate::operation::{WaitArgs, wait};
use crate::output::changes;
use crate::session::Session;

/// Prints what a write changed, or would change, per service.
pub(crate) fn print_results(
    session: &Session<'_>,
    results: &[WrittenObject],
    dry_run: bool,
) -> Result<(), CliError> {
    let now = wall_time();
    let lines: Vec<String> =
        results.iter().flat_map(|result| changes::result(result, dry_run, now)).collect();
    if lines.is_empty() { Ok(()) } else { session.ui.out(&lines.join("\n")) }
}

/// Sends a rollout change and prints its result.
pub(crate) async fn change_rollout(
    session: &Session<'_>,
    service: ServiceName,
    change: RolloutChange,
) -> Result<Vec<WrittenObject>, CliError> {
    let by = session.author.clone();
    let request = RolloutRequest { request_id: request_id(), service, change, by };
    let response = session.client.rollout(&request).await?;
    print_results(session, &response.results, false)?;
    Ok(response.results)
}

/// Sends a rollout change, prints its result and waits for the release.
pub(crate) async fn change_rollout_and_wait(
    session: &Session<'_>,
    service: ServiceName,
    change: RolloutChange,
    args: &WaitArgs,
) -> Result<(), CliError> {
    let results = change_rollout(session, service, change).await?;
    wait(session, &results, Awaited::Release, args).await
}
