//! `ctl delete`: by name, by manifest or by app; asks first.

use coxswain::api::codes;
use coxswain::api::types::{Awaited, DeleteRequest};
use coxswain::daemon::request_id;
use coxswain::model::{AppName, ServiceName};

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
    let mut services = named(session, &args).await?;
    services.sort();
    services.dedup();
    let list = services.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let list = match args.volumes {
        true => format!("{list} and {}", volumes(session, &services).await?),
        false => list,
    };
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
async fn volumes(session: &Session<'_>, names: &[ServiceName]) -> Result<String, CliError> {
    let services = session.client.services().await?.into_iter();
    let services = services.filter(|service| names.contains(&service.metadata.name));
    let mut volumes: Vec<String> = services.flat_map(|s| s.spec.volumes).map(|volume| volume.name).collect();
    volumes.sort();
    volumes.dedup();
    Ok(match volumes.as_slice() {
        [] => "no volumes (none is declared)".to_owned(),
        volumes => format!("all data in their volumes {}", volumes.join(", ")),
    })
}

async fn named(session: &Session<'_>, args: &Args) -> Result<Vec<ServiceName>, CliError> {
    if let Some(app) = &args.app {
        let services = session.client.services().await?;
        let of_app = services.into_iter().filter(|service| service.metadata.app == *app);
        let names: Vec<ServiceName> = of_app.map(|service| service.metadata.name).collect();
        if names.is_empty() {
            return Err(CliError::of(&codes::NOT_FOUND, format!("app {app} has no service")));
        }
        return Ok(names);
    }
    if args.files.is_empty() {
        return Ok(args.services.clone());
    }
    let files = FileArgs { files: args.files.clone(), recursive: args.recursive };
    let manifests = Manifests::load(&files, session.ui)?;
    Ok(manifests.documents.into_iter().map(|document| document.name).collect())
}
