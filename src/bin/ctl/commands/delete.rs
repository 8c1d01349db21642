//! `ctl delete`: deletes services by name, manifest or app, after a prompt.

use coxswain::api::codes;
use coxswain::api::types::{Awaited, DeleteRequest, ServiceObject};
use coxswain::clock::request_id;
use coxswain::model::{AppName, ServiceName};

use crate::error::CliError;
use crate::files::FileArgs;
use crate::manifests::LoadedManifests;
use crate::names;
use crate::operation::{WaitArgs, wait};
use crate::prompt::ask;
use crate::selection::{ObjectSelection, ResourceKind};
use crate::session::Session;
use crate::writes::print_results;

/// Delete services: finish their requests, then stop and remove their containers
///
/// Keeps volumes unless --volumes is given.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["services", "files", "app"]))]
pub(crate) struct Args {
    /// Names of services
    #[arg(value_name = "SERVICE", value_parser = names::service)]
    services: Vec<ServiceName>,
    /// Delete the services in this manifest file, directory or `-` (standard input); may be repeated
    #[arg(short = 'f', long = "file", value_name = "FILE|DIR|-")]
    files: Vec<std::path::PathBuf>,
    /// Read directories recursively
    #[arg(short = 'R', long, requires = "files")]
    recursive: bool,
    /// Delete all services of this app
    #[arg(short, long, value_parser = app)]
    app: Option<AppName>,
    /// Also delete their volumes and all data in them
    #[arg(long)]
    volumes: bool,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    wait: WaitArgs,
}

fn app(text: &str) -> Result<AppName, String> {
    AppName::parse(text).map_err(|error| error.to_string())
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    // Unknown names are reported before the prompt; the daemon checks again.
    let objects = chosen(session, &args).await?;
    let services: Vec<ServiceName> = objects.iter().map(|service| service.metadata.name.clone()).collect();
    let list = services.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let list = if args.volumes { format!("{list} and {}", volumes(objects)) } else { list };
    if !args.yes {
        ask(session, &format!("delete {list}?"), &format!("deleting {list}"), "nothing was deleted")?;
    }
    let request = DeleteRequest {
        request_id: request_id(),
        services,
        volumes: args.volumes,
        by: session.author.clone(),
    };
    let response = session.client.delete(&request).await?;
    print_results(session, &response.results, false)?;
    wait(session, &response.results, Awaited::Release, &args.wait).await
}

/// The volumes whose data is lost, for the prompt.
fn volumes(services: Vec<ServiceObject>) -> String {
    let volumes = services.into_iter().flat_map(|service| service.spec.volumes);
    let mut volumes: Vec<String> = volumes.map(|volume| volume.name).collect();
    volumes.sort();
    volumes.dedup();
    match volumes.as_slice() {
        [] => "no volumes (none is declared)".to_owned(),
        volumes => format!("all data in volumes {}", volumes.join(", ")),
    }
}

/// The services to delete, sorted by name.
async fn chosen(session: &Session<'_>, args: &Args) -> Result<Vec<ServiceObject>, CliError> {
    let names = match args.files.is_empty() {
        true => args.services.iter().map(ToString::to_string).collect(),
        false => {
            let files = FileArgs { files: args.files.clone(), recursive: args.recursive };
            let documents = LoadedManifests::load(&files, session.ui)?.documents;
            documents.into_iter().map(|document| document.name.to_string()).collect()
        }
    };
    let mut services = session.client.services().await?;
    services.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    let Some(app) = &args.app else {
        return ObjectSelection { kind: ResourceKind::Services, names }
            .select(services, |s| vec![s.metadata.name.as_str()]);
    };
    services.retain(|service| service.metadata.app == *app);
    if services.is_empty() {
        return Err(CliError::of(&codes::NOT_FOUND, format!("app {app} has no services")));
    }
    Ok(services)
}
