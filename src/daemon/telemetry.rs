//! Logs: to standard error, for each process under its role.
//!
//! Deliberately absent: files and rotation, which are the service manager's; colours.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::clock::{Clock, RealClock};

/// Variable that selects what is logged, in the syntax of `RUST_LOG`: `debug`, `coxswain::balancer=trace`, …
pub(super) const ENV_FILTER: &str = "COXSWAIN_LOG";

/// Each line starts with the wall time and the process's role.
struct Prefix {
    clock: RealClock,
    role: &'static str,
}

impl FormatTime for Prefix {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{:.3} {:<10}", self.clock.wall(), self.role)
    }
}

/// Starts logging for this process. A second call changes nothing, so that tests may start several daemons.
pub(super) fn start(role: &'static str) {
    let wanted = std::env::var(ENV_FILTER).unwrap_or_default();
    let parsed = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse(&wanted);
    let (filter, problem) = match parsed {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
    let started = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        // A line that cannot be written (a full disk, a reader that went away) is lost: reporting that on standard error
        // would panic, and end the daemon.
        .log_internal_errors(false)
        .with_ansi(false)
        .with_target(false)
        .with_timer(Prefix { clock: RealClock::new(), role })
        .with_env_filter(filter)
        .try_init();
    if let (Ok(()), Some(error)) = (started, problem) {
        tracing::warn!("{ENV_FILTER}={wanted:?} is not understood ({error}); logging at level info");
    }
}
