//! `ctl events`: prints events, one per line.

use coxswain::api::codes;
use coxswain::model::ServiceName;
use futures::StreamExt;

use crate::error::CliError;
use crate::names;
use crate::output::events;
use crate::session::Session;

/// Show events, oldest first
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only events of this service
    #[arg(value_parser = names::service)]
    service: Option<ServiceName>,
    /// Keep printing new events
    #[arg(short, long)]
    follow: bool,
}

pub(crate) async fn run(session: &Session<'_>, args: &Args) -> Result<(), CliError> {
    let mut stream = session.client.events(args.service.as_ref(), args.follow).await?;
    while let Some(event) = stream.next().await {
        session.ui.out(&events::event(&event?))?;
    }
    if args.follow { Err(codes::stream_ended().into()) } else { Ok(()) }
}
