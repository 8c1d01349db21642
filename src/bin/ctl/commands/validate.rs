//! `ctl validate`: checks manifests offline, as apply does first.

use crate::error::CliError;
use crate::files::FileArgs;
use crate::manifests::LoadedManifests;
use crate::session::Session;

/// Check manifests without a daemon; exits with 1 if they are invalid
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    files: FileArgs,
}

const EXIT_INVALID: u8 = 1;

pub(crate) fn run(session: &Session<'_>, args: &Args) -> Result<(), CliError> {
    let manifests = LoadedManifests::load(&args.files, session.ui).map_err(|error| match error {
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
