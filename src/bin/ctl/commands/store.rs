//! `ctl store`: checks, copies and replaces the daemon's store.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use coxswain::api::codes;
use coxswain::api::types::{ErrorDetail, SNAPSHOT_MAX_BYTES};
use coxswain::model::io_error_text;
use futures::StreamExt;

use crate::error::CliError;
use crate::new_file::NewFile;
use crate::prompt::ask;
use crate::session::Session;

/// Check, copy or replace the daemon's store
///
/// Works also while the daemon cannot open its store. A store that is replaced is set aside in the state directory, never deleted.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: StoreAction,
}

#[derive(Debug, Subcommand)]
enum StoreAction {
    /// Show whether the daemon can use its store, and why not
    Check,
    /// Write a copy of the store to a file
    Snapshot {
        /// The file; must not exist
        file: PathBuf,
    },
    /// Replace the store by a snapshot
    ///
    /// The daemon starts over from it and reconciles containers with it. Containers of any other store are left alone.
    Restore {
        /// A file that `ctl store snapshot` wrote
        file: PathBuf,
        /// Do not prompt for confirmation
        #[arg(short, long)]
        yes: bool,
    },
    /// Replace the store by an empty one
    ///
    /// Containers of the old store keep running, are left alone for good, and get no more requests.
    New {
        /// Do not prompt for confirmation
        #[arg(short, long)]
        yes: bool,
    },
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    match args.action {
        StoreAction::Check => check(session).await,
        StoreAction::Snapshot { file } => snapshot(session, &file).await,
        StoreAction::Restore { file, yes } => restore(session, &file, yes).await,
        StoreAction::New { yes } => start_new(session, yes).await,
    }
}

async fn check(session: &Session<'_>) -> Result<(), CliError> {
    let status = session.client.store().await?;
    if let Some(problem) = status.problem {
        let next = vec!["ctl store restore FILE".to_owned(), "ctl store new".to_owned()];
        let error =
            codes::STORE_UNAVAILABLE.detail(format!("the store in {} cannot be used", status.directory));
        return Err(ErrorDetail { why: vec![problem], next, ..error }.into());
    }
    let id = status.store.map(|id| id.to_string()).unwrap_or_default();
    session.ui.out(&format!(
        "✓ store {id} in {}: {} keys at revision {}",
        status.directory, status.entries, status.revision
    ))
}

async fn snapshot(session: &Session<'_>, file: &Path) -> Result<(), CliError> {
    let unwritable = |error: std::io::Error| {
        let why = vec![format!("{}: {}", file.display(), io_error_text(&error))];
        CliError::from(ErrorDetail { why, ..codes::FILE_UNREADABLE.detail("cannot write the snapshot") })
    };
    // An older snapshot is worth more than a mistyped command.
    let mut target = NewFile::create(file).map_err(unwritable)?;
    let mut pieces = session.client.store_snapshot().await?;
    let mut written = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        target.write_all(&piece).map_err(unwritable)?;
        written += piece.len();
    }
    target.keep().map_err(unwritable)?;
    session.ui.out(&format!("✓ {}: {written} bytes", file.display()))
}

async fn restore(session: &Session<'_>, file: &Path, yes: bool) -> Result<(), CliError> {
    let unreadable = |reason: String| {
        let why = vec![format!("{}: {reason}", file.display())];
        CliError::from(ErrorDetail { why, ..codes::FILE_UNREADABLE.detail("cannot read the snapshot") })
    };
    let bytes = read_snapshot(file).map_err(unreadable)?;
    let shown = file.display();
    if !yes {
        let question =
            format!("replace the daemon's store by {shown}? Changes made since the snapshot are undone.");
        ask(session, &question, "replacing the store", "nothing was changed")?;
    }
    let replaced = session.client.store_restore(bytes).await?;
    let id = replaced.store.map(|id| id.to_string()).unwrap_or_default();
    session.ui.out(&format!("✓ the daemon starts over from {shown} (store {id}); the old store is set aside"))
}

/// A file that is larger than any snapshot is not read: it would not fit into memory, either.
fn read_snapshot(file: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| io_error_text(&error);
    let max = SNAPSHOT_MAX_BYTES as u64;
    let too_large = || format!("it has more than {max} bytes and is not a snapshot");
    let file = std::fs::File::open(file).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > max {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // A pipe has no length.
    let read = file.take(max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if read as u64 > max { Err(too_large()) } else { Ok(bytes) }
}

async fn start_new(session: &Session<'_>, yes: bool) -> Result<(), CliError> {
    if !yes {
        let question = "replace the daemon's store by an empty one? It forgets all services; their containers are left alone.";
        ask(session, question, "replacing the store", "nothing was changed")?;
    }
    session.client.store_new().await?;
    session.ui.out("✓ the daemon starts over with an empty store; the old one is set aside")
}
