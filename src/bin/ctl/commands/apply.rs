//! `ctl apply`: manifests to the daemon. Nothing is changed unless all of them are sound.

use coxswain::api::types::{ApplyOptions, ApplyRequest, Awaited};
use coxswain::daemon::request_id;

use super::written;
use crate::error::CliError;
use crate::files::FileArgs;
use crate::manifests::Manifests;
use crate::operation::{WaitArgs, wait};
use crate::session::Session;

/// Make services as the manifests say, and wait until every replica is ready and routed
///
/// All documents are checked and their images resolved before anything is changed. What `scale`, `rollout --image` or
/// `undo` changed since stays, unless the manifest changed the same field: then nothing is written and ctl exits with 7.
/// A FIELD is written as it is shown, such as spec.replicas.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    files: FileArgs,
    /// Only say what would change
    #[arg(long, conflicts_with_all = ["detach", "timeout"])]
    dry_run: bool,
    /// Keep what a command made of this field, though the manifest changed it too; may be repeated
    #[arg(long, value_name = "FIELD")]
    keep: Vec<String>,
    /// Take the manifest's value of this field, whatever a command made of it; may be repeated
    #[arg(long, value_name = "FIELD")]
    overwrite: Vec<String>,
    #[command(flatten)]
    wait: WaitArgs,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let manifests = Manifests::load(&args.files, session.ui)?;
    let names: Vec<&str> = manifests.documents.iter().map(|document| document.name.as_str()).collect();
    session.ui.note(&format!("checking and resolving {}", names.join(", ")));
    let request = ApplyRequest {
        request_id: request_id(),
        documents: manifests.request(),
        applying: ApplyOptions {
            dry_run: args.dry_run,
            diff: false,
            keep: args.keep,
            overwrite: args.overwrite,
        },
        by: session.author.clone(),
    };
    let applied = session.client.apply(&request).await;
    let mut response = applied.map_err(|error| manifests.refused(error, session.ui))?;
    // What the manifest left to a default belongs to the service it was written for.
    for result in &mut response.results {
        let documents = manifests.documents.iter().filter(|document| document.name == result.name);
        result.notes.extend(documents.flat_map(|document| document.notes.clone()));
    }
    written(session, &response.results, response.dry_run)?;
    if response.dry_run {
        return Ok(());
    }
    wait(session, &response.results, Awaited::Release, &args.wait).await
}
