//! `ctl rollout`: writes a rollout or follows the one under way.

use coxswain::api::codes;
use coxswain::api::types::{Action, ApiError, RolloutChange, RolloutRequest, ServiceObject, WriteResult};
use coxswain::daemon::{request_id, wall_time};
use coxswain::model::{Failure, RolloutState, ServiceName};

use super::{undo, written};
use crate::error::CliError;
use crate::names;
use crate::operation::{WaitArgs, wait};
use crate::output::listing;
use crate::session::Session;

/// Roll a service to another image, or follow the rollout that is under way
///
/// `ctl rollout users --image v2` rolls to a tag of the current repository, or to a full reference.
/// `ctl rollout users` follows what goes on.
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
    /// Replace every container by a new one of the same release
    Restart {
        /// The service
        #[arg(value_parser = names::service)]
        service: ServiceName,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// The same as `ctl undo`
    Undo(undo::Args),
}

pub(crate) async fn run(session: &Session<'_>, args: Args) -> Result<(), CliError> {
    match (args.verb, args.service, args.image) {
        (Some(Verb::Status { service }), _, _) => status(session, &service).await,
        (Some(Verb::Restart { service, wait }), _, _) => {
            roll(session, service, RolloutChange::Restart, &wait).await
        }
        (Some(Verb::Undo(args)), _, _) => undo::run(session, args).await,
        (None, Some(service), Some(image)) => {
            session.ui.note(&format!("resolving {image} for {service}"));
            roll(session, service, RolloutChange::Image { image }, &args.wait).await
        }
        (None, Some(service), None) => attach(session, &service, &args.wait).await,
        (None, None, _) => Err(CliError::of(&codes::USAGE, "no service is named")),
    }
}

/// Writes a rollout and waits for it.
pub(super) async fn roll(
    session: &Session<'_>,
    service: ServiceName,
    change: RolloutChange,
    args: &WaitArgs,
) -> Result<(), CliError> {
    let command = session.command.clone();
    let request = RolloutRequest { request_id: request_id(), service, change, command };
    let response = session.client.rollout(&request).await?;
    written(session, &response.results, false)?;
    wait(session, &response.results, args).await
}

/// Waits for the generation that is in force.
async fn attach(session: &Session<'_>, name: &ServiceName, args: &WaitArgs) -> Result<(), CliError> {
    let service = session.client.service(name).await?;
    let result = WriteResult {
        name: name.clone(),
        action: if listing::is_deleting(&service) { Action::Deleted } else { Action::Unchanged },
        generation: service.metadata.generation,
        image: service.status.image,
        changes: Vec::new(),
        notes: Vec::new(),
    };
    wait(session, &[result], args).await
}

async fn status(session: &Session<'_>, name: &ServiceName) -> Result<(), CliError> {
    let service = session.client.service(name).await?;
    let replicas = session.client.replicas(Some(name)).await?;
    let now = wall_time();
    let style = session.ui.style();
    session.ui.out(&listing::services(std::slice::from_ref(&service), now, false).render(style))?;
    session.ui.out(&format!("\n{}", listing::replicas(&replicas, now, false).render(style)))?;
    failed(&service).map_or(Ok(()), |error| Err(error.into()))
}

/// As in kubectl, the status of a failed rollout is a failure.
fn failed(service: &ServiceObject) -> Option<ApiError> {
    let name = &service.metadata.name;
    let of = |code: &codes::Code, failure: &Failure, how: &str| ApiError {
        why: failure.reason.lines(),
        class: Some(codes::of_failure(&failure.reason).id.to_owned()),
        next: vec![format!("ctl events {name}")],
        ..code.error(format!("rollout of {name} to revision {} failed and was {how}", failure.revision))
    };
    match &service.status.rollout.as_ref()?.state {
        RolloutState::RolledBack { failure } => Some(of(&codes::ROLLED_BACK, failure, "rolled back")),
        RolloutState::Failed { failure } => Some(of(&codes::ROLLOUT_FAILED, failure, "not rolled back")),
        RolloutState::Progressing { .. } | RolloutState::RollingBack { .. } | RolloutState::Complete => None,
    }
}
