//! `ctl logs`: lines of replicas and of all replicas of services, merged by time.

use coxswain::api::codes;
use coxswain::api::types::{ApiError, LogOptions, LogQuery};
use coxswain::daemon::wall_time;
use coxswain::model::{Millis, ReplicaName, RevisionNumber, ServiceName};
use futures::StreamExt;

use crate::error::CliError;
use crate::output::events;
use crate::session::Session;

/// Show the logs of services or replicas, merged by time
///
/// What the containers wrote goes to standard output. With `--follow`, replicas that start later join in, and what happens
/// to a replica (started, ready, draining, exited) is told between the lines, on standard error.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Services or replicas: `users`, `users-9-a`, `replica/users-9-a`
    #[arg(required = true, value_name = "SERVICE|REPLICA")]
    names: Vec<String>,
    /// Of the services only replicas of this revision, with the container that is kept after it failed
    #[arg(long, value_name = "NUMBER", value_parser = revision)]
    revision: Option<RevisionNumber>,
    /// Go on with new lines
    #[arg(short, long)]
    follow: bool,
    /// Only lines of the last so long (`10m`)
    #[arg(long, value_name = "DURATION")]
    since: Option<Millis>,
    /// Only the last so many lines of each replica
    #[arg(long, value_name = "LINES")]
    tail: Option<u32>,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let since = args.since.map(ago).transpose()?;
    let (services, replicas) = sources(session, &args.names).await?;
    let named = !services.is_empty() || replicas.len() > 1;
    let Args { revision, follow, tail, .. } = args;
    if let Some(revision) = revision.filter(|_| !follow) {
        check_left(session, &services, revision).await?;
    }
    let options = LogOptions { follow, tail, since };
    let query = LogQuery { services, replicas, revision, options };
    let mut records = session.client.logs(&query).await?;
    while let Some(record) = records.next().await {
        let record = record?;
        match record.life {
            true => session.ui.note(&events::life(&record)),
            false => session.ui.raw(&events::log(&record, named, session.ui.colours_stdout()))?,
        }
    }
    Ok(())
}

/// Refuses a revision that no replica is left of: silence would look like containers that wrote nothing.
async fn check_left(
    session: &Session<'_>,
    services: &[ServiceName],
    revision: RevisionNumber,
) -> Result<(), CliError> {
    let replicas = session.client.replicas(None).await?;
    let is_left = |service: &ServiceName| {
        replicas.iter().any(|r| r.spec.service == *service && r.spec.revision == revision)
    };
    if services.is_empty() || services.iter().any(is_left) {
        return Ok(());
    }
    let names = services.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(", ");
    Err(ApiError {
        why: vec!["a log goes with its container".to_owned()],
        next: services.iter().map(|name| format!("ctl history {name}")).collect(),
        ..codes::NOT_FOUND.error(format!("no container of revision {revision} of {names} is left"))
    }
    .into())
}

fn revision(text: &str) -> Result<RevisionNumber, std::num::ParseIntError> {
    text.parse().map(RevisionNumber)
}

fn ago(since: Millis) -> Result<jiff::Timestamp, CliError> {
    let since = std::time::Duration::from_millis(since.0);
    wall_time()
        .checked_sub(since)
        .map_err(|_| CliError::of(&codes::USAGE, "--since reaches back further than time is counted"))
}

/// Each name is that of a service, else of a replica.
async fn sources(
    session: &Session<'_>,
    names: &[String],
) -> Result<(Vec<ServiceName>, Vec<ReplicaName>), CliError> {
    let known = session.client.services().await?;
    let mut known_replicas = None;
    let (mut services, mut replicas) = (Vec::new(), Vec::new());
    for text in names {
        let (kind, name) = text.split_once('/').unwrap_or(("", text));
        let as_service = matches!(kind, "" | "service" | "services");
        if as_service && known.iter().any(|service| service.metadata.name.as_str() == name) {
            services.push(ServiceName::new(name));
            continue;
        }
        if known_replicas.is_none() {
            known_replicas = Some(session.client.replicas(None).await?);
        }
        let found = known_replicas.iter().flatten().any(|replica| replica.spec.name.as_str() == name);
        if !matches!(kind, "" | "replica" | "replicas") || !found {
            let what = format!("there is no service or replica named {text}");
            let next = vec!["ctl get replicas".to_owned()];
            return Err(ApiError { next, ..codes::NOT_FOUND.error(what) }.into());
        }
        replicas.push(ReplicaName::new(name));
    }
    Ok((services, replicas))
}
