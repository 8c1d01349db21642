//! `ctl history`: the revisions of a service, and what became of each.

use coxswain::model::ServiceName;

use super::get::{Kind, Output, REVISIONS, Target, View};
use crate::error::CliError;
use crate::names;
use crate::session::Session;

/// Show the kept revisions of a service: what became of each, who made it, when and how
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The service
    #[arg(value_parser = names::service)]
    service: ServiceName,
    /// How to show them; json, yaml and name are for programs
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let items = session.client.revisions(Some(&args.service)).await?;
    let target = Target { kind: Kind::Revisions, names: Vec::new() };
    let view = View { session, target: &target, output: args.output, watch: false };
    view.show(&items, &REVISIONS)
}
