//! `ctl wait`: for scripts; watches the services until the question is answered.

use std::str::FromStr;

use coxswain::api::codes;
use coxswain::api::types::{ApiError, ServiceObject};
use coxswain::model::{Millis, ServiceName};
use futures::StreamExt;

use crate::error::CliError;
use crate::names;
use crate::operation::{deadline, passed};
use crate::session::Session;

mod condition;

use condition::{Answer, Wanted};

/// Wait until a service is ready, at a revision or deleted; exits with 1 once it cannot, 6 on a timeout
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The service
    #[arg(value_parser = names::service)]
    service: ServiceName,
    /// What to wait for: `ready`, `revision=N` or `deleted`
    #[arg(long = "for", value_name = "WHAT", value_parser = Wanted::from_str)]
    wanted: Wanted,
    /// Give up after this time (`90s`, `5m`)
    #[arg(long, value_name = "DURATION")]
    timeout: Option<Millis>,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let deadline = deadline(args.timeout);
    tokio::select! {
        answer = watch(session, &args) => answer,
        () = passed(deadline) => {
            let what = format!("timed out waiting for {} to be {}", args.service, args.wanted);
            let next = vec![format!("ctl get {}", args.service)];
            Err(ApiError { next, ..codes::TIMED_OUT.error(what) }.into())
        }
        _ = tokio::signal::ctrl_c() => Err(CliError::Detached(format!("{} is left as it is", args.service))),
    }
}

/// Looks at each state of the services that the daemon sends, until one answers.
async fn watch(session: &Session<'_>, args: &Args) -> Result<(), CliError> {
    let mut seen = false;
    let mut states = session.client.watch_services().await?;
    while let Some(state) = states.next().await {
        let services = state?.items;
        let service: Option<&ServiceObject> = services.iter().find(|s| s.metadata.name == args.service);
        match args.wanted.answer(service, seen) {
            Answer::Yes => return session.ui.out(&format!("✓ {} is {}", args.service, args.wanted)),
            Answer::NotYet => seen = true,
            Answer::Unknown => {
                let what = format!("there is no service named {}", args.service);
                let next = vec!["ctl get services".to_owned()];
                return Err(ApiError { next, ..codes::NOT_FOUND.error(what) }.into());
            }
            Answer::Never(why) => {
                let what = format!("{} will not be {} any more", args.service, args.wanted);
                return Err(ApiError { why: vec![why], ..codes::NEVER.error(what) }.into());
            }
        }
    }
    Err(codes::stream_ended().into())
}
