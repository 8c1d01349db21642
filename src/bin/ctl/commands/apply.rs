//! `ctl apply`: sends manifests to the daemon. Nothing changes unless all of them are valid.

use coxswain::api::types::{ApplyOptions, ApplyRequest, Awaited};
use coxswain::clock::request_id;

use crate::error::CliError;
use crate::files::FileArgs;
use crate::manifests::LoadedManifests;
use crate::operation::{WaitArgs, wait};
use crate::session::Session;
use crate::writes::print_results;

/// Apply manifests and wait until every replica is ready and routed
///
/// Checks all documents and resolves their images before it changes anything. Live changes by `scale`, `rollout --image`
/// or `undo` are kept, unless the manifest changes the same field: then the whole apply is rejected with exit code 7.
/// FIELD is a path such as spec.replicas.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    files: FileArgs,
    /// Print what would change, without changing it
    #[arg(long, conflicts_with_all = ["detach", "timeout"])]
    dry_run: bool,
    /// Keep the live value of FIELD although the manifest changes it; may be repeated
    #[arg(long, value_name = "FIELD")]
    keep: Vec<String>,
    /// Replace the live value of FIELD with the manifest's; may be repeated
    #[arg(long, value_name = "FIELD")]
    overwrite: Vec<String>,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let manifests = LoadedManifests::load(&args.files, session.ui)?;
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
    let mut response = applied.map_err(|error| manifests.rejected(error, session.ui))?;
    // Notes about defaults are printed below the service they concern.
    for result in &mut response.results {
        let documents = manifests.documents.iter().filter(|document| document.object() == result.object);
        result.notes.extend(documents.flat_map(|document| document.notes.clone()));
    }
    print_results(session, &response.results, response.dry_run)?;
    if response.dry_run {
        return Ok(());
    }
    wait(session, &response.results, Awaited::Release, &args.wait).await
}
