//! `--detach` and `--timeout`.

use std::time::Duration;

use coxswain::model::Millis;
use tokio::time::Instant;

/// Upper bound of `--timeout`: a year, so that adding it to a clock never overflows.
const TIMEOUT_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct WaitArgs {
    /// Return immediately; the operation continues in the daemon
    #[arg(long, conflicts_with = "timeout")]
    pub(crate) detach: bool,
    /// Stop waiting after DURATION (`90s`, `5m`); the operation continues in the daemon
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<Millis>,
}

/// When a wait that starts now times out.
pub(crate) fn deadline(timeout: Option<Millis>) -> Option<Instant> {
    timeout.map(|timeout| Instant::now() + Duration::from_millis(timeout.0).min(TIMEOUT_MAX))
}

/// Completes at the deadline; never without one.
pub(crate) async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
