//! `ctl history`: lists the revisions of a service with their outcomes.

use coxswain::model::ServiceName;

use super::get::{ObjectPrinter, OutputFormat, REVISIONS};
use crate::error::CliError;
use crate::names;
use crate::selection::{ObjectSelection, ResourceKind};
use crate::session::Session;

/// Show the revisions of a service: outcome, image, author, time and command
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the service
    #[arg(value_parser = names::service)]
    service: ServiceName,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: OutputFormat,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let items = session.client.revisions(Some(&args.service)).await?;
    let selection = ObjectSelection { kind: ResourceKind::Revisions, names: Vec::new() };
    ObjectPrinter { session, selection: &selection, output: args.output }.print(&items, &REVISIONS)
}
