//! `ctl logs`: lines of one replica or of all replicas of services.

use coxswain::api::client::LogQuery;
use coxswain::api::codes;
use coxswain::api::types::ApiError;
use coxswain::daemon::wall_time;
use coxswain::model::{Millis, ReplicaName, RevisionNumber, ServiceName};
use futures::StreamExt;
use futures::stream::SelectAll;

use crate::error::CliError;
use crate::output::events;
use crate::session::Session;

/// Show the logs of services or replicas
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Services or replicas: `users`, `users-9-a`, `replica/users-9-a`
    #[arg(required = true, value_name = "SERVICE|REPLICA")]
    names: Vec<String>,
    /// Only replicas of this revision, with the container that is kept after it failed
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
    let queries = sources(session, &args.names).await?;
    let named = queries.len() > 1 || queries.iter().any(|query| query.service.is_some());
    let mut streams = Vec::new();
    for query in queries {
        let query =
            LogQuery { revision: args.revision, follow: args.follow, tail: args.tail, since, ..query };
        streams.push(session.client.logs(&query).await?);
    }
    if args.follow {
        let mut all: SelectAll<_> = streams.into_iter().collect();
        while let Some(record) = all.next().await {
            session.ui.raw(&events::log(&record?, named))?;
        }
        return Ok(());
    }
    for mut stream in streams {
        while let Some(record) = stream.next().await {
            session.ui.raw(&events::log(&record?, named))?;
        }
    }
    Ok(())
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
async fn sources(session: &Session<'_>, names: &[String]) -> Result<Vec<LogQuery>, CliError> {
    let services = session.client.services().await?;
    let mut replicas = None;
    let mut queries = Vec::new();
    for text in names {
        let (kind, name) = text.split_once('/').unwrap_or(("", text));
        let as_service = matches!(kind, "" | "service" | "services");
        if as_service && services.iter().any(|service| service.metadata.name.as_str() == name) {
            queries.push(LogQuery { service: Some(ServiceName::new(name)), ..LogQuery::default() });
            continue;
        }
        if replicas.is_none() {
            replicas = Some(session.client.replicas(None).await?);
        }
        let found = replicas.iter().flatten().any(|replica| replica.spec.name.as_str() == name);
        if !matches!(kind, "" | "replica" | "replicas") || !found {
            let what = format!("there is no service or replica named {text}");
            let next = vec!["ctl get replicas".to_owned()];
            return Err(ApiError { next, ..codes::NOT_FOUND.error(what) }.into());
        }
        queries.push(LogQuery { replica: Some(ReplicaName::new(name)), ..LogQuery::default() });
    }
    Ok(queries)
}
