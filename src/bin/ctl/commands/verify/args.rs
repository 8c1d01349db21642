//! The arguments of `ctl verify`.

use coxswain::model::{Millis, ServiceName};
use hyper::Method;

use crate::names;

/// Send requests to a service while scaling, restarting, killing and rolling it back, and count failures
///
/// Requests go through the HTTP listener to the service's first route. Half of the clients keep their connection, half
/// open a new one per request. A request fails if it gets no answer or a status of 400 or more. Exits with 1 if any
/// request failed. Afterwards the service has its original replica count and spec; restart and undo create revisions.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the service
    #[arg(value_parser = names::service)]
    pub(super) service: ServiceName,
    /// Path and query to request; must be below the service's first route [default: the route's path]
    #[arg(long)]
    pub(super) path: Option<String>,
    /// Number of concurrent clients
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(2..=256))]
    pub(super) concurrency: u16,
    /// HTTP method; safe methods only
    #[arg(long, default_value = "GET", ignore_case = true)]
    pub(super) method: SafeMethod,
    /// Steps to run, in order [default: scale,restart,kill,undo; without kill if there is one replica]
    #[arg(long = "step", value_name = "STEP,…", value_delimiter = ',')]
    pub(super) steps: Vec<VerifyStep>,
    /// Count correct answers slower than this as late
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    pub(super) late: Millis,
    /// Time limit per step; its requests may end later
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    pub(super) timeout: Millis,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(super) output: VerifyOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum VerifyStep {
    /// Add a replica, then remove it
    Scale,
    /// Replace every container with a new one of the same release
    Restart,
    /// Kill the container of one replica
    Kill,
    /// Roll back to the previous revision, then return to the original one
    Undo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum SafeMethod {
    #[value(name = "GET")]
    Get,
    #[value(name = "HEAD")]
    Head,
    #[value(name = "OPTIONS")]
    Options,
}

impl SafeMethod {
    pub(super) fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Head => Method::HEAD,
            Self::Options => Method::OPTIONS,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum VerifyOutput {
    Table,
    Json,
}
