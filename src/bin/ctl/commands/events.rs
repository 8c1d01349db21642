//! `ctl events`: prints events, one per line.

use coxswain::api::types::EventObject;
use coxswain::model::ServiceName;
use futures::StreamExt;

use crate::error::CliError;
use crate::event_stream::EventSource;
use crate::output::events;
use crate::session::Session;
use crate::{names, reconnect};

/// Show events, oldest first
///
/// With --follow, a restart of the daemon is noted on standard error, and no event is lost or printed twice.
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
    let print = |event: EventObject| session.ui.out(&events::event(&event));
    if args.follow {
        let source = EventSource::new(session.client.clone(), args.service.clone());
        return reconnect::for_each(session, source, print).await;
    }
    let mut stream = session.client.events(args.service.as_ref(), false).await?;
    while let Some(event) = stream.next().await {
        print(event?)?;
    }
    Ok(())
}
