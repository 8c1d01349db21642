//! `ctl logs`: prints the logs of replicas, merged by time.

use coxswain::api::codes;
use coxswain::api::types::{ErrorDetail, LogEntry, LogOptions, LogQuery, ReplicaObject};
use coxswain::clock::wall_time;
use coxswain::model::{Millis, ReplicaName, RevisionNumber, ServiceName, sanitize};
use futures::StreamExt;

use crate::error::CliError;
use crate::log_stream::LogSource;
use crate::output::age::ago;
use crate::output::events;
use crate::reconnect;
use crate::session::Session;

/// Print the logs of services or replicas, merged by time
///
/// Container output goes to standard output. With `--follow`, new replicas are added as they start, and lifecycle changes
/// (started, ready, draining, exited) are printed on standard error. So is a restart of the daemon, after which the lines
/// continue where they broke off.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Services or replicas, such as `users`, `users-9-a`, `replica/users-9-a`
    #[arg(required = true, value_name = "SERVICE|REPLICA")]
    names: Vec<String>,
    /// Only replicas of this revision, including the container retained after a failure
    #[arg(long, value_name = "NUMBER", value_parser = revision)]
    revision: Option<RevisionNumber>,
    /// Print the log of the last container that ended by itself, in place of the current one
    #[arg(short, long, conflicts_with = "follow")]
    previous: bool,
    /// Keep printing new lines
    #[arg(short, long)]
    follow: bool,
    /// Only lines newer than DURATION (`10m`)
    #[arg(long, value_name = "DURATION")]
    since: Option<Millis>,
    /// Only the last LINES lines per replica
    #[arg(long, value_name = "LINES")]
    tail: Option<u32>,
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    let since = args.since.map(time_before).transpose()?;
    let (services, replicas) = sources(session, &args.names).await?;
    let named = !services.is_empty() || replicas.len() > 1;
    let Args { revision, previous, follow, tail, .. } = args;
    if let Some(revision) = revision.filter(|_| !follow) {
        check_left(session, &services, revision).await?;
    }
    let options = LogOptions { follow, tail, since };
    let is_whole = options.tail.is_none() && options.since.is_none();
    let query = LogQuery { services, replicas, revision, previous, options };
    let mut is_empty = true;
    let mut print = |record: LogEntry| {
        is_empty = false;
        if record.life {
            session.ui.note(&events::life(&record));
            return Ok(());
        }
        session.ui.raw(&events::log(&record, named, session.ui.colours_stdout()))
    };
    if follow {
        return reconnect::for_each(session, LogSource::new(session.client.clone(), query), print).await;
    }
    let mut records = session.client.logs(&query).await?;
    while let Some(record) = records.next().await {
        print(record?)?;
    }
    if is_empty && !previous && is_whole {
        hint_at_previous(session, &query).await?;
    }
    Ok(())
}

/// Says where the output of a crash is, if the containers that run have printed nothing.
async fn hint_at_previous(session: &Session<'_>, query: &LogQuery) -> Result<(), CliError> {
    let is_read = |replica: &ReplicaObject| {
        query.services.contains(&replica.spec.service) || query.replicas.contains(&replica.spec.name)
    };
    for replica in session.client.replicas(None).await?.iter().filter(|replica| is_read(replica)) {
        let Some(status) = &replica.status else { continue };
        let Some(exit) =
            status.last_exit.as_ref().filter(|exit| status.container.as_ref() != Some(&exit.container))
        else {
            continue;
        };
        let name = &replica.spec.name;
        session.ui.note(&format!(
            "{name} has printed nothing yet; its previous container {} {}: ctl logs {name} --previous",
            sanitize(&exit.message),
            ago(exit.at, wall_time())
        ));
    }
    Ok(())
}

/// Rejects a revision without replicas: an empty log would suggest that they printed nothing.
async fn check_left(
    session: &Session<'_>,
    services: &[ServiceName],
    revision: RevisionNumber,
) -> Result<(), CliError> {
    let replicas = session.client.replicas(None).await?;
    let has_replica = |service: &ServiceName| {
        replicas.iter().any(|r| r.spec.service == *service && r.spec.revision == revision)
    };
    if services.is_empty() || services.iter().any(has_replica) {
        return Ok(());
    }
    let names = services.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(", ");
    Err(ErrorDetail {
        why: vec!["logs are removed together with their container".to_owned()],
        next: services.iter().map(|name| format!("ctl history {name}")).collect(),
        ..codes::NOT_FOUND.detail(format!("no container of revision {revision} of {names} exists any more"))
    }
    .into())
}

fn revision(text: &str) -> Result<RevisionNumber, std::num::ParseIntError> {
    text.parse().map(RevisionNumber)
}

fn time_before(since: Millis) -> Result<jiff::Timestamp, CliError> {
    let since = std::time::Duration::from_millis(since.0);
    wall_time().checked_sub(since).map_err(|_| CliError::of(&codes::USAGE, "--since is too long"))
}

/// Resolves each name to a service or, failing that, a replica.
async fn sources(
    session: &Session<'_>,
    names: &[String],
) -> Result<(Vec<ServiceName>, Vec<ReplicaName>), CliError> {
    let known = session.client.services().await?;
    let mut known_replicas = None;
    let mut services = Vec::new();
    let mut replicas = Vec::new();
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
            let what = format!("no service or replica named {text}");
            let next = vec!["ctl get replicas".to_owned()];
            return Err(ErrorDetail { next, ..codes::NOT_FOUND.detail(what) }.into());
        }
        replicas.push(ReplicaName::new(name));
    }
    Ok((services, replicas))
}
