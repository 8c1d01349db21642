//! `ctl describe`: one service whole. `ctl why`: what keeps it from being as declared.

use coxswain::api::types::ServiceObject;
use coxswain::daemon::wall_time;
use coxswain::model::ServiceName;
use futures::TryStreamExt;

use super::get::{Kind, Target};
use crate::error::CliError;
use crate::names;
use crate::output::describe::{self, Whole};
use crate::session::Session;

/// Show one service whole: what is declared, what runs, what happened
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The service
    #[arg(value_parser = names::service)]
    service: ServiceName,
}

/// Say on one screen whether a service is as declared, and if not, what it waits for and what comes next
#[derive(Debug, clap::Args)]
pub(crate) struct WhyArgs {
    /// The service
    #[arg(value_parser = names::service)]
    service: ServiceName,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let whole = whole(session, &args.service).await?;
    session.ui.out(&describe::service(&whole, wall_time(), session.ui.style()))
}

pub(crate) async fn why(session: &Session<'_>, args: WhyArgs) -> Result<(), CliError> {
    let whole = whole(session, &args.service).await?;
    session.ui.out(&describe::why(&whole, wall_time()))
}

/// All that the daemon says of a service; a name that it does not know is an error with the nearest one.
async fn whole(session: &Session<'_>, name: &ServiceName) -> Result<Whole, CliError> {
    let target = Target { kind: Kind::Services, names: vec![name.to_string()] };
    let all = session.client.services().await?;
    target.select(all, |s: &ServiceObject| vec![s.metadata.name.as_str()])?;
    Ok(Whole {
        service: session.client.service(name).await?,
        replicas: session.client.replicas(Some(name)).await?,
        endpoints: session.client.endpoints(Some(name)).await?,
        revisions: session.client.revisions(Some(name)).await?,
        events: session.client.events(Some(name), false).await?.try_collect().await?,
        daemon: session.client.status().await?,
    })
}
