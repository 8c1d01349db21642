//! `ctl wait`: waits until a service reaches a state; for scripts.

use std::str::FromStr;

use coxswain::api::codes;
use coxswain::api::types::{ErrorDetail, ServiceObject};
use coxswain::model::{Millis, ServiceName};
use futures::StreamExt;

use crate::error::CliError;
use crate::names;
use crate::operation::{deadline, passed};
use crate::session::Session;

mod condition;

use condition::{WaitAnswer, WaitCondition};

/// Wait until a service is ready, at a revision or deleted
///
/// Exits with 1 if that can no longer happen, and with 6 on a timeout.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the service
    #[arg(value_parser = names::service)]
    service: ServiceName,
    /// Condition to wait for: `ready`, `revision=N` or `deleted`
    #[arg(long = "for", value_name = "CONDITION", value_parser = WaitCondition::from_str)]
    wanted: WaitCondition,
    /// Stop waiting after DURATION (`90s`, `5m`)
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<Millis>,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let deadline = deadline(args.timeout);
    tokio::select! {
        answer = watch(session, &args) => answer,
        () = passed(deadline) => {
            let what = format!("timed out waiting for {} to be {}", args.service, args.wanted);
            let next = vec![format!("ctl get {}", args.service)];
            Err(ErrorDetail { next, ..codes::TIMED_OUT.detail(what) }.into())
        }
        _ = tokio::signal::ctrl_c() => Err(CliError::Detached(format!("stopped waiting for {}", args.service))),
    }
}

/// Checks each state that the daemon sends until one decides.
async fn watch(session: &Session<'_>, args: &Args) -> Result<(), CliError> {
    let mut seen = false;
    let mut states = session.client.watch::<ServiceObject>().await?;
    while let Some(state) = states.next().await {
        let services = state?.items;
        let service: Option<&ServiceObject> = services.iter().find(|s| s.metadata.name == args.service);
        match args.wanted.answer(service, seen) {
            WaitAnswer::Yes => return session.ui.out(&format!("✓ {} is {}", args.service, args.wanted)),
            WaitAnswer::NotYet => seen = true,
            WaitAnswer::Unknown => {
                let what = format!("no service named {}", args.service);
                let next = vec!["ctl get services".to_owned()];
                return Err(ErrorDetail { next, ..codes::NOT_FOUND.detail(what) }.into());
            }
            WaitAnswer::Never(why) => {
                let what = format!("{} can no longer be {}", args.service, args.wanted);
                return Err(ErrorDetail { why: vec![why], ..codes::NEVER.detail(what) }.into());
            }
        }
    }
    Err(codes::stream_ended().into())
}
