//! `ctl get`: lists objects as tables for people or as JSON, YAML and names for programs.

use crate::error::CliError;
use crate::selection::{ObjectSelection, ResourceKind};
use crate::session::Session;

mod kinds;
mod printer;
mod watch;

pub(super) use self::kinds::REVISIONS;
use self::kinds::{ENDPOINTS, EVENTS, NODES, REPLICAS, ROUTES, SERVICES, VOLUMES};
pub(super) use self::printer::{ObjectPrinter, OutputFormat};

/// Display one or many objects
///
/// KIND is one of services (the default), replicas, endpoints, routes, nodes, volumes, revisions, events. Names of services select
/// the objects that belong to them.
///
/// With --watch on a terminal the table is redrawn. Otherwise each change prints a row, and a deleted object prints `NAME
/// gone`, or an object with its name and `status: {gone: true}`. If the daemon stops or restarts, the watch ends with exit
/// code 3.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kind of object, or a name, followed by more names
    #[arg(value_name = "KIND|NAME")]
    objects: Vec<String>,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: OutputFormat,
    /// Keep watching and print changes
    #[arg(short, long)]
    watch: bool,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let selection = ObjectSelection::parse(&args.objects)?;
    let printer = ObjectPrinter { session, selection: &selection, output: args.output };
    let client = &session.client;
    if args.watch {
        return match selection.kind {
            ResourceKind::Services => watch::lists(&printer, &SERVICES, client.watch_services().await?).await,
            ResourceKind::Replicas => watch::lists(&printer, &REPLICAS, client.watch_replicas().await?).await,
            ResourceKind::Endpoints => {
                watch::lists(&printer, &ENDPOINTS, client.watch_endpoints().await?).await
            }
            ResourceKind::Routes => watch::lists(&printer, &ROUTES, client.watch_services().await?).await,
            ResourceKind::Nodes => watch::lists(&printer, &NODES, client.watch_nodes().await?).await,
            ResourceKind::Volumes => watch::lists(&printer, &VOLUMES, client.watch_volumes().await?).await,
            ResourceKind::Revisions => {
                watch::lists(&printer, &REVISIONS, client.watch_revisions().await?).await
            }
            ResourceKind::Events => {
                let service = selection.at_most_one()?;
                watch::additions(&printer, &EVENTS, client.events(service.as_ref(), true).await?).await
            }
        };
    }
    match selection.kind {
        ResourceKind::Services => printer.select_and_print(client.services().await?, &SERVICES),
        ResourceKind::Replicas => printer.select_and_print(client.replicas(None).await?, &REPLICAS),
        ResourceKind::Endpoints => printer.select_and_print(client.endpoints(None).await?, &ENDPOINTS),
        ResourceKind::Routes => printer.select_and_print(client.services().await?, &ROUTES),
        ResourceKind::Nodes => printer.select_and_print(client.nodes().await?, &NODES),
        ResourceKind::Volumes => printer.select_and_print(client.volumes().await?, &VOLUMES),
        ResourceKind::Revisions => printer.select_and_print(client.revisions(None).await?, &REVISIONS),
        ResourceKind::Events => {
            let service = selection.at_most_one()?;
            let events = client.events(service.as_ref(), false).await?;
            let events: Vec<_> = futures::TryStreamExt::try_collect(events).await?;
            printer.print(&events, &EVENTS)
        }
    }
}
