//! `ctl delete`: deletes services by name, manifest or app, after a prompt.

use coxswain::api::codes;
use coxswain::api::types::{Awaited, DeleteRequest, ServiceObject};
use coxswain::clock::request_id;
use coxswain::manifest::Document;
use coxswain::model::{AppName, ObjectRef};

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
    #[arg(value_name = "SERVICE", value_parser = names::object)]
    services: Vec<ObjectRef>,
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
    pub(crate) wait: WaitArgs,
}

/// What is to be deleted; a service may have the name of an object of another kind.
struct DeleteSelection {
    /// Sorted by name.
    services: Vec<ServiceObject>,
    /// Sorted.
    others: Vec<ObjectRef>,
}

impl DeleteSelection {
    fn objects(&self) -> Vec<ObjectRef> {
        let services = self.services.iter().map(|service| ObjectRef::from(&service.metadata.name));
        services.chain(self.others.iter().cloned()).collect()
    }

    /// The volumes whose data is lost, for the prompt.
    fn volumes(&self) -> String {
        let volumes = self.services.iter().flat_map(|service| &service.spec.volumes);
        let mut volumes: Vec<&str> = volumes.filter_map(|volume| volume.name()).collect();
        volumes.sort_unstable();
        volumes.dedup();
        match volumes.as_slice() {
            [] => "no volumes (none is declared)".to_owned(),
            volumes => format!("all data in volumes {}", volumes.join(", ")),
        }
    }
}

fn app(text: &str) -> Result<AppName, String> {
    AppName::parse(text).map_err(|error| error.to_string())
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    // Unknown names are reported before the prompt; the daemon checks again.
    let selection = chosen(session, &args).await?;
    let objects = selection.objects();
    let list = objects.iter().map(names::short).collect::<Vec<_>>().join(", ");
    let list = if args.volumes { format!("{list} and {}", selection.volumes()) } else { list };
    if !args.yes {
        ask(session, &format!("delete {list}?"), &format!("deleting {list}"), "nothing was deleted")?;
    }
    let request = DeleteRequest {
        request_id: request_id(),
        objects,
        volumes: args.volumes,
        by: session.author.clone(),
    };
    let response = session.client.delete(&request).await?;
    print_results(session, &response.results, false)?;
    wait(session, &response.results, Awaited::Deletion, &args.wait).await
}

/// What the arguments name. Names of services are checked here; the daemon checks those of other kinds.
async fn chosen(session: &Session<'_>, args: &Args) -> Result<DeleteSelection, CliError> {
    let objects = match args.files.is_empty() {
        true => args.services.clone(),
        false => {
            let files = FileArgs { files: args.files.clone(), recursive: args.recursive };
            LoadedManifests::load(&files, session.ui)?.documents.iter().map(Document::object).collect()
        }
    };
    let mut services = session.client.services().await?;
    services.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    let Some(app) = &args.app else {
        return select(services, objects);
    };
    services.retain(|service| service.metadata.app == *app);
    if services.is_empty() {
        return Err(CliError::of(&codes::NOT_FOUND, format!("app {app} has no services")));
    }
    Ok(DeleteSelection { services, others: Vec::new() })
}

/// The objects, which are at least one, and of `services` those that are among them.
fn select(services: Vec<ServiceObject>, objects: Vec<ObjectRef>) -> Result<DeleteSelection, CliError> {
    let is_service = |object: &ObjectRef| object.service_name().is_some();
    let (named, mut others): (Vec<_>, Vec<_>) = objects.into_iter().partition(is_service);
    others.sort();
    others.dedup();
    if named.is_empty() {
        // A selection without names would be one of all services.
        return Ok(DeleteSelection { services: Vec::new(), others });
    }
    let names = named.into_iter().map(|object| object.name).collect();
    let selection = ObjectSelection { kind: ResourceKind::Services, names };
    let services = selection.select(services, |service| vec![service.metadata.name.as_str()])?;
    Ok(DeleteSelection { services, others })
}
