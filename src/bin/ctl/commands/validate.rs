//! `ctl validate`: the check that apply begins with, without a daemon.

use crate::error::CliError;
use crate::files::FileArgs;
use crate::manifests::Manifests;
use crate::session::Session;

/// Check manifests without a daemon; exits with 1 if something is wrong with them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    files: FileArgs,
}

/// The answer to the question is no.
const EXIT_INVALID: u8 = 1;

pub(crate) fn run(session: &Session<'_>, args: &Args) -> Result<(), CliError> {
    let manifests = Manifests::load(&args.files, session.ui).map_err(|error| match error {
        CliError::Manifests { reports, mut error } => {
            error.exit = EXIT_INVALID;
            error.now = None;
            CliError::Manifests { reports, error }
        }
        other => other,
    })?;
    for document in &manifests.documents {
        session.ui.out(&format!("✓ {}  {}", document.name, document.origin()))?;
        for note in &document.notes {
            session.ui.out(&format!("    {note}"))?;
        }
    }
    Ok(())
}
