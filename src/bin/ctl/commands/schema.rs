//! `ctl schema`: the JSON Schema of manifests, for editors.

use coxswain::manifest;

use crate::error::CliError;
use crate::session::Session;

/// Print the JSON Schema (draft-07) of manifests, for editors
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(session: &Session<'_>, _: &Args) -> Result<(), CliError> {
    session.ui.raw(&format!("{:#}", manifest::schema()))
}
