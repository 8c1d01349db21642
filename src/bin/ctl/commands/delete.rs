//! `ctl delete`: by name, by manifest or by app; asks first.

use coxswain::api::codes;
use coxswain::api::types::{Awaited, DeleteRequest, ServiceObject};
use coxswain::daemon::request_id;
use coxswain::model::{AppName, ServiceName};

use super::get::{Kind, Target};
use super::{ask, written};
use crate::error::CliError;
use crate::files::FileArgs;
use crate::manifests::Manifests;
use crate::names;
use crate::operation::{WaitArgs, wait};
use crate::session::Session;

/// Delete services: their requests are finished, their containers stopped and removed
///
/// Volumes are kept, unless --volumes is given.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["services", "files", "app"]))]
pub(crate) struct Args {
    /// The services
    #[arg(value_name = "SERVICE", value_parser = names::service)]
    services: Vec<ServiceName>,
    /// The services of these manifests: a file, a directory or `-`; may be repeated
    #[arg(short = 'f', long = "file", value_name = "FILE|DIR|-")]
    files: Vec<std::path::PathBuf>,
    /// Read directories with what lies under them
    #[arg(short = 'R', long, requires = "files")]
    recursive: bool,
    /// All services of this app
    #[arg(short, long, value_parser = app)]
    app: Option<AppName>,
    /// Delete their volumes too, with all that is in them
    #[arg(long)]
    volumes: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    wait: WaitArgs,
}

fn app(text: &str) -> Result<AppName, String> {
    AppName::parse(text).map_err(|error| error.to_string())
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    // Nobody is asked about what does not exist; the daemon looks again.
    let objects = chosen(session, &args).await?;
    let services: Vec<ServiceName> = objects.iter().map(|service| service.metadata.name.clone()).collect();
    let list = services.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let list = if args.volumes { format!("{list} and {}", volumes(objects)) } else { list };
    if !args.yes {
        let (question, doing) = (format!("delete {list}?"), format!("deleting {list}"));
        ask(session, &question, &doing, "nothing was deleted")?;
    }
    let request = DeleteRequest {
        request_id: request_id(),
        services,
        volumes: args.volumes,
        by: session.author.clone(),
    };
    let response = session.client.delete(&request).await?;
    written(session, &response.results, false)?;
    wait(session, &response.results, Awaited::Release, &args.wait).await
}

/// What is lost with the volumes of these services.
fn volumes(services: Vec<ServiceObject>) -> String {
    let volumes = services.into_iter().flat_map(|service| service.spec.volumes);
    let mut volumes: Vec<String> = volumes.map(|volume| volume.name).collect();
    volumes.sort();
    volumes.dedup();
    match volumes.as_slice() {
        [] => "no volumes (none is declared)".to_owned(),
        volumes => format!("all data in their volumes {}", volumes.join(", ")),
    }
}

/// The services that go, in the order of their names; an unknown one is an error with the nearest one.
async fn chosen(session: &Session<'_>, args: &Args) -> Result<Vec<ServiceObject>, CliError> {
    let names = match args.files.is_empty() {
        true => args.services.iter().map(ToString::to_string).collect(),
        false => {
            let files = FileArgs { files: args.files.clone(), recursive: args.recursive };
            let documents = Manifests::load(&files, session.ui)?.documents;
            documents.into_iter().map(|document| document.name.to_string()).collect()
        }
    };
    let mut services = session.client.services().await?;
    services.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    let Some(app) = &args.app else {
        return Target { kind: Kind::Services, names }.select(services, |s| vec![s.metadata.name.as_str()]);
    };
    services.retain(|service| service.metadata.app == *app);
    if services.is_empty() {
        return Err(CliError::of(&codes::NOT_FOUND, format!("app {app} has no service")));
    }
    Ok(services)
}
