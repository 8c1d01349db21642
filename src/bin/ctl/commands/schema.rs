//! `ctl schema`: prints the JSON Schema of manifests.

use coxswain::manifest;

use crate::error::CliError;
use crate::session::Session;

/// Print the JSON Schema (draft-07) of manifests, for use in editors
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(session: &Session<'_>, _: &Args) -> Result<(), CliError> {
    session.ui.raw(&format!("{:#}", manifest::schema()))
}
