//! `ctl rollout`: writes a rollout or follows the one under way.

use coxswain::api::codes;
use coxswain::api::types::{
    ApiError, Awaited, ReplicaObject, RolloutChange, RolloutRequest, ServiceObject, WriteAction, WriteResult,
};
use coxswain::daemon::{request_id, wall_time};
use coxswain::model::{RolloutState, ServiceName};

use super::{abort, history, pause, restart, resume, undo, written};
use crate::error::CliError;
use crate::names;
use crate::operation::{self, Aftermath, End, WaitArgs, wait};
use crate::output::listing;
use crate::session::Session;

/// Roll a service to another image, or follow the rollout that is under way
///
/// `ctl rollout users --image v2` rolls to a tag of the current repository, or to a full reference.
/// `ctl rollout users` follows what goes on; with `--retry` it tries again what failed or was aborted.
/// A service that is called like one of the commands below is written `service/NAME`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// The service
    #[arg(required = true, value_parser = names::service)]
    service: Option<ServiceName>,
    /// A tag of the current repository (a value without `/`, `:` and `@`), or a full reference
    #[arg(long)]
    image: Option<String>,
    /// Try again what failed or was aborted, in new containers
    #[arg(long, conflicts_with = "image")]
    retry: bool,
    #[command(flatten)]
    wait: WaitArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show where the rollout stands
    Status {
        /// The service
        #[arg(value_parser = names::service)]
        service: ServiceName,
    },
    /// The same as `ctl history`
    History(history::Args),
    /// The same as `ctl undo`
    Undo(undo::Args),
    /// The same as `ctl pause`
    Pause(pause::Args),
    /// The same as `ctl resume`
    Resume(resume::Args),
    /// The same as `ctl abort`
    Abort(abort::Args),
    /// The same as `ctl restart`
    Restart(restart::Args),
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    if let Some(verb) = args.verb {
        return run_verb(session, verb).await;
    }
    match (args.service, args.image) {
        (Some(service), Some(image)) => {
            session.ui.note(&format!("resolving {image} for {service}"));
            roll(session, service, RolloutChange::Image { image }, &args.wait).await
        }
        (Some(service), None) if args.retry => roll(session, service, RolloutChange::Retry, &args.wait).await,
        (Some(service), None) => attach(session, &service, &args.wait).await,
        (None, _) => Err(CliError::of(&codes::USAGE, "no service is named")),
    }
}

async fn run_verb(session: &Session<'_>, verb: Verb) -> Result<(), CliError> {
    match verb {
        Verb::Status { service } => status(session, &service).await,
        Verb::History(args) => history::run(session, args).await,
        Verb::Undo(args) => undo::run(session, args).await,
        Verb::Pause(args) => pause::run(session, args).await,
        Verb::Resume(args) => resume::run(session, args).await,
        Verb::Abort(args) => abort::run(session, args).await,
        Verb::Restart(args) => restart::run(session, args).await,
    }
}

/// Writes a rollout and waits for it.
pub(super) async fn roll(
    session: &Session<'_>,
    service: ServiceName,
    change: RolloutChange,
    args: &WaitArgs,
) -> Result<(), CliError> {
    let results = steer(session, service, change).await?;
    wait(session, &results, Awaited::Release, args).await
}

/// Writes a rollout, or a word about it, and says what that did.
pub(super) async fn steer(
    session: &Session<'_>,
    service: ServiceName,
    change: RolloutChange,
) -> Result<Vec<WriteResult>, CliError> {
    let by = session.author.clone();
    let request = RolloutRequest { request_id: request_id(), service, change, by };
    let response = session.client.rollout(&request).await?;
    written(session, &response.results, false)?;
    Ok(response.results)
}

/// Waits for the generation that is in force.
async fn attach(session: &Session<'_>, name: &ServiceName, args: &WaitArgs) -> Result<(), CliError> {
    let service = session.client.service(name).await?;
    let result = WriteResult {
        name: name.clone(),
        action: if listing::is_deleting(&service) { WriteAction::Deleted } else { WriteAction::Unchanged },
        generation: service.metadata.generation,
        image: service.status.image,
        changes: Vec::new(),
        notes: Vec::new(),
        kept: Vec::new(),
        conflicts: Vec::new(),
    };
    wait(session, &[result], Awaited::Release, args).await
}

async fn status(session: &Session<'_>, name: &ServiceName) -> Result<(), CliError> {
    let service = session.client.service(name).await?;
    let replicas = session.client.replicas(Some(name)).await?;
    let now = wall_time();
    let style = session.ui.style();
    session.ui.out(&listing::services(std::slice::from_ref(&service), now, false).render(style))?;
    session.ui.out(&format!("\n{}", listing::replicas(&replicas, now, false).render(style)))?;
    failed(&service, &replicas).map_or(Ok(()), |error| Err(error.into()))
}

/// As in kubectl, the status of a failed rollout is a failure.
fn failed(service: &ServiceObject, replicas: &[ReplicaObject]) -> Option<ApiError> {
    let rollout = service.status.rollout.as_ref()?;
    let (failure, end) = match &rollout.state {
        RolloutState::RolledBack { failure } => (failure, End::RolledBack),
        RolloutState::Failed { failure } => {
            let may_go_back = rollout.stable.is_some_and(|stable| stable != rollout.target);
            (failure, End::StandsStill { may_go_back })
        }
        RolloutState::Progressing { .. } | RolloutState::RollingBack { .. } | RolloutState::Complete => {
            return None;
        }
    };
    let serving = replicas.iter().filter(|replica| replica.available);
    let (of_target, others): (Vec<_>, Vec<_>) = serving.partition(|r| r.spec.revision == rollout.target);
    let count = |replicas: Vec<&ReplicaObject>| u32::try_from(replicas.len()).unwrap_or(u32::MAX);
    let aftermath = Aftermath {
        called: format!("revision {}", rollout.target),
        available: count(of_target),
        others: count(others),
        wanted: service.status.wanted,
        failed_requests: service.status.failed_requests,
    };
    let called = format!("revision {}", failure.revision);
    let error = operation::failed(&service.metadata.name, failure, end, &called);
    Some(ApiError { now: Some(aftermath.told(end)), ..error })
}
