//! `ctl wait`: waits until a service reaches a state; for scripts.

use std::ops::ControlFlow;
use std::str::FromStr;

use coxswain::api::codes;
use coxswain::api::types::{ErrorDetail, ServiceObject};
use coxswain::model::{Millis, ServiceName};

use crate::error::CliError;
use crate::list_stream::ListSource;
use crate::operation::{deadline, passed};
use crate::session::Session;
use crate::{names, reconnect};

mod condition;

use condition::{WaitAnswer, WaitCondition};

/// Wait until a service is ready, at a revision or deleted
///
/// Exits with 1 if that can no longer happen, and with 6 on a timeout. A restart of the daemon is noted on standard error, and
/// does not end the wait.
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
    let source = ListSource::<ServiceObject>::new(&session.client);
    reconnect::until(session, source, |services| {
        let service = services.items.iter().find(|service| service.metadata.name == args.service);
        match args.wanted.answer(service, seen) {
            WaitAnswer::Yes => {
                session.ui.out(&format!("✓ {} is {}", args.service, args.wanted))?;
                Ok(ControlFlow::Break(()))
            }
            WaitAnswer::NotYet => {
                seen = true;
                Ok(ControlFlow::Continue(()))
            }
            WaitAnswer::Unknown => {
                let what = format!("no service named {}", args.service);
                let next = vec!["ctl get services".to_owned()];
                Err(ErrorDetail { next, ..codes::NOT_FOUND.detail(what) }.into())
            }
            WaitAnswer::Never(why) => {
                let what = format!("{} can no longer be {}", args.service, args.wanted);
                Err(ErrorDetail { why: vec![why], ..codes::NEVER.detail(what) }.into())
            }
        }
    })
    .await
}
