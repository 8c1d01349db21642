//! `ctl describe`: everything about one service. `ctl why`: why it is out of sync.

use coxswain::api::types::ServiceObject;
use coxswain::clock::wall_time;
use coxswain::model::ServiceName;
use futures::TryStreamExt;

use crate::error::CliError;
use crate::names;
use crate::output::describe::{self, ServiceDetails};
use crate::selection::{ObjectSelection, ResourceKind};
use crate::session::Session;

/// Show the details of a service: spec, replicas, revisions and events
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the service
    #[arg(value_parser = names::service)]
    service: ServiceName,
}

/// Explain on one screen why a service is out of sync, what it waits for and what to do
#[derive(Debug, clap::Args)]
pub(crate) struct WhyArgs {
    /// Name of the service
    #[arg(value_parser = names::service)]
    service: ServiceName,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let details = details(session, &args.service).await?;
    session.ui.out(&describe::service(&details, wall_time(), session.ui.style()))
}

pub(crate) async fn why(session: &Session<'_>, args: WhyArgs) -> Result<(), CliError> {
    let details = details(session, &args.service).await?;
    session.ui.out(&describe::why(&details, wall_time()))
}

async fn details(session: &Session<'_>, name: &ServiceName) -> Result<ServiceDetails, CliError> {
    let target = ObjectSelection { kind: ResourceKind::Services, names: vec![name.to_string()] };
    let all = session.client.services().await?;
    target.select(all, |s: &ServiceObject| vec![s.metadata.name.as_str()])?;
    Ok(ServiceDetails {
        service: session.client.service(name).await?,
        replicas: session.client.replicas(Some(name)).await?,
        endpoints: session.client.endpoints(Some(name)).await?,
        revisions: session.client.revisions(Some(name)).await?,
        events: session.client.events(Some(name), false).await?.try_collect().await?,
        daemon: session.client.status().await?,
    })
}
