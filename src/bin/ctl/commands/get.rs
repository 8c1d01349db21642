//! `ctl get`: lists objects as tables for people or as JSON, YAML and names for programs.

use crate::error::CliError;
use crate::event_stream::EventSource;
use crate::selection::{ObjectSelection, ResourceKind};
use crate::session::Session;

mod kinds;
mod printer;
mod watch;

pub(super) use self::kinds::REVISIONS;
use self::kinds::{CERTIFICATES, ENDPOINTS, EVENTS, NODES, REPLICAS, ROUTES, SERVICES, VOLUMES};
pub(super) use self::printer::{ObjectPrinter, OutputFormat};

/// Display one or many objects
///
/// KIND is one of services (the default), replicas, endpoints, routes, nodes, volumes, certificates, revisions, events. Names of
/// services select the objects that belong to them.
///
/// With --watch on a terminal the table is redrawn. Otherwise each change prints a row, and a deleted object prints `NAME
/// gone`, or an object with its name and `status: {gone: true}`. After a restart of the daemon, which is noted on
/// standard error, changes made meanwhile are printed like any other.
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
    if args.watch {
        return watch(&printer).await;
    }
    let client = &session.client;
    match selection.kind {
        ResourceKind::Services => printer.select_and_print(client.services().await?, &SERVICES),
        ResourceKind::Replicas => printer.select_and_print(client.replicas(None).await?, &REPLICAS),
        ResourceKind::Endpoints => printer.select_and_print(client.endpoints(None).await?, &ENDPOINTS),
        ResourceKind::Routes => printer.select_and_print(client.services().await?, &ROUTES),
        ResourceKind::Nodes => printer.select_and_print(client.nodes().await?, &NODES),
        ResourceKind::Volumes => printer.select_and_print(client.volumes().await?, &VOLUMES),
        ResourceKind::Certificates => printer.select_and_print(client.certificates().await?, &CERTIFICATES),
        ResourceKind::Revisions => printer.select_and_print(client.revisions(None).await?, &REVISIONS),
        ResourceKind::Events => {
            let service = selection.at_most_one()?;
            let events = client.events(service.as_ref(), false).await?;
            let events: Vec<_> = futures::TryStreamExt::try_collect(events).await?;
            printer.print(&events, &EVENTS)
        }
    }
}

async fn watch(printer: &ObjectPrinter<'_>) -> Result<(), CliError> {
    match printer.selection.kind {
        ResourceKind::Services => watch::lists(printer, &SERVICES).await,
        ResourceKind::Replicas => watch::lists(printer, &REPLICAS).await,
        ResourceKind::Endpoints => watch::lists(printer, &ENDPOINTS).await,
        ResourceKind::Routes => watch::lists(printer, &ROUTES).await,
        ResourceKind::Nodes => watch::lists(printer, &NODES).await,
        ResourceKind::Volumes => watch::lists(printer, &VOLUMES).await,
        ResourceKind::Certificates => watch::lists(printer, &CERTIFICATES).await,
        ResourceKind::Revisions => watch::lists(printer, &REVISIONS).await,
        ResourceKind::Events => {
            let source = EventSource::new(printer.session.client.clone(), printer.selection.at_most_one()?);
            watch::events(printer, &EVENTS, source).await
        }
    }
}
