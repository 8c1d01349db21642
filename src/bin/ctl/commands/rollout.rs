//! `ctl rollout`: starts a rollout, or follows the one in progress.

use coxswain::api::codes;
use coxswain::api::types::{ErrorDetail, ReplicaObject, RolloutChange, RolloutStateName, ServiceObject};
use coxswain::clock::wall_time;
use coxswain::model::{Millis, ServiceName};

use super::{abort, history, pause, restart, resume, undo};
use crate::error::CliError;
use crate::names;
use crate::operation::{self, RolloutEnd, ServingSummary, WaitArgs};
use crate::output::listing;
use crate::session::Session;
use crate::writes::change_rollout_and_wait;

/// Roll out another image of a service, or follow the rollout in progress
///
/// `ctl rollout users --image v2` rolls out a tag of the current repository, or a full reference.
/// `ctl rollout users` follows the rollout in progress; with `--retry` it retries one that failed or was aborted.
/// If a service has the name of a subcommand, write `service/NAME`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<RolloutVerb>,
    /// Name of the service
    #[arg(required = true, value_parser = names::service)]
    service: Option<ServiceName>,
    /// Tag of the current repository (a value without `/`, `:` and `@`), or full image reference
    #[arg(long)]
    image: Option<String>,
    /// Retry a failed or aborted rollout with new containers
    #[arg(long, conflicts_with = "image")]
    retry: bool,
    #[command(flatten)]
    wait: WaitArgs,
}

impl Args {
    /// `--timeout`, of the subcommand if there is one.
    pub(crate) fn timeout(&self) -> Option<Millis> {
        match &self.verb {
            Some(RolloutVerb::Undo(args)) => args.wait.timeout,
            Some(RolloutVerb::Abort(args)) => args.wait.timeout,
            Some(RolloutVerb::Restart(args)) => args.wait.timeout,
            Some(_) => None,
            None => self.wait.timeout,
        }
    }
}

#[derive(Debug, clap::Subcommand)]
enum RolloutVerb {
    /// Show the status of the rollout
    Status {
        /// Name of the service
        #[arg(value_parser = names::service)]
        service: ServiceName,
    },
    /// Same as `ctl history`
    History(history::Args),
    /// Same as `ctl undo`
    Undo(undo::Args),
    /// Same as `ctl pause`
    Pause(pause::Args),
    /// Same as `ctl resume`
    Resume(resume::Args),
    /// Same as `ctl abort`
    Abort(abort::Args),
    /// Same as `ctl restart`
    Restart(restart::Args),
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    if let Some(verb) = args.verb {
        return run_verb(session, verb).await;
    }
    let Some(service) = args.service else {
        return Err(CliError::of(&codes::USAGE, "no service given"));
    };
    match args.image {
        Some(image) => {
            session.ui.note(&format!("resolving {image} for {service}"));
            change_rollout_and_wait(session, service, RolloutChange::Image { image }, &args.wait).await
        }
        None if args.retry => {
            change_rollout_and_wait(session, service, RolloutChange::Retry, &args.wait).await
        }
        None => {
            let service = session.client.service(&service).await?;
            operation::attach(session, &service, &args.wait).await
        }
    }
}

async fn run_verb(session: &Session<'_>, verb: RolloutVerb) -> Result<(), CliError> {
    match verb {
        RolloutVerb::Status { service } => status(session, &service).await,
        RolloutVerb::History(args) => history::run(session, args).await,
        RolloutVerb::Undo(args) => undo::run(session, args).await,
        RolloutVerb::Pause(args) => pause::run(session, args).await,
        RolloutVerb::Resume(args) => resume::run(session, args).await,
        RolloutVerb::Abort(args) => abort::run(session, args).await,
        RolloutVerb::Restart(args) => restart::run(session, args).await,
    }
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
fn failed(service: &ServiceObject, replicas: &[ReplicaObject]) -> Option<ErrorDetail> {
    let rollout = service.status.rollout.as_ref()?;
    let end = match rollout.state {
        RolloutStateName::RolledBack => RolloutEnd::RolledBack,
        RolloutStateName::Failed => RolloutEnd::NotRolledBack { can_abort: rollout.from.is_some() },
        RolloutStateName::Progressing | RolloutStateName::RollingBack | RolloutStateName::Complete => {
            return None;
        }
    };
    let failure = rollout.failure.as_ref()?;
    let serving = replicas.iter().filter(|replica| replica.available);
    let (of_target, others): (Vec<_>, Vec<_>) = serving.partition(|r| r.spec.revision == rollout.target);
    let count = |replicas: Vec<&ReplicaObject>| u32::try_from(replicas.len()).unwrap_or(u32::MAX);
    let summary = ServingSummary {
        release: format!("revision {}", rollout.target),
        available: count(of_target),
        others: count(others),
        wanted: service.status.wanted,
        failed_requests: service.status.failed_requests,
    };
    let release = format!("revision {}", failure.revision);
    let error = operation::failed(&service.metadata.name, failure, end, &release);
    Some(ErrorDetail { now: Some(summary.text(end)), ..error })
}
