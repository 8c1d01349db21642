//! `ctl scale`: sets the replica counts of one or more services in one write. The daemon adds relative ones to what is
//! stored.

use std::collections::BTreeMap;

use coxswain::api::codes;
use coxswain::api::types::{Awaited, ScaleRequest};
use coxswain::clock::request_id;
use coxswain::model::{ScaleError, ScaleTarget, ServiceName};

use crate::error::CliError;
use crate::names;
use crate::operation::{WaitArgs, wait};
use crate::session::Session;
use crate::writes::print_results;

/// Set the number of replicas of services and wait until they are ready and routed
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Service and its number of replicas, such as users=3, or a change of it, such as users=+1 or users=-1
    #[arg(required = true, value_name = "SERVICE=COUNT", value_parser = target)]
    targets: Vec<(ServiceName, ScaleTarget)>,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

/// `users=3`, `users=+1`.
fn target(text: &str) -> Result<(ServiceName, ScaleTarget), String> {
    let (name, count) = text.split_once('=').ok_or("write SERVICE=COUNT, such as users=3")?;
    let count = count.parse().map_err(|error: ScaleError| error.to_string())?;
    Ok((names::service(name)?, count))
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let given = args.targets.len();
    let targets: BTreeMap<ServiceName, ScaleTarget> = args.targets.into_iter().collect();
    if targets.len() < given {
        return Err(CliError::of(&codes::USAGE, "a service is given twice"));
    }
    let request = ScaleRequest { request_id: request_id(), targets, by: session.author.clone() };
    let response = session.client.scale(&request).await?;
    print_results(session, &response.results, false)?;
    wait(session, &response.results, Awaited::Count, &args.wait).await
}
