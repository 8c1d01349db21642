//! Carries out a plan, one task per action. It makes no choice: every outcome goes back to the agent, and the next plan
//! decides.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::action::AgentAction;
use super::examine::examine;
use super::gateway_connect;
use super::host_paths;
use super::observe::Ticks;
use crate::engine::{ContainerSpec, ContainerState, Engine, EngineError, ObservedContainer};
use crate::model::{ContainerId, Evidence, GatewayAnswer, HostPathPolicy};

/// The outcome of an action.
#[derive(Debug)]
pub(super) enum ActionOutcome {
    Done,
    /// The container was started, and was inspected at this tick.
    Started(u64, Box<ObservedContainer>),
    /// The container was connected to its network, and was inspected at this tick.
    Connected(u64, Box<ObservedContainer>),
    /// The container exists and the Engine refused to start it.
    StartRefused {
        container: ContainerId,
        message: String,
        /// Whether the spec can never work.
        is_fault: bool,
        /// As inspected at this tick.
        observed: Option<(u64, Box<ObservedContainer>)>,
    },
    /// The name is taken by this container, as of this tick.
    NameTaken(u64, Box<ObservedContainer>),
    Examined(Evidence),
    /// The container was created, as of this tick, and its start was not answered.
    CreatedOnly(u64, Box<ObservedContainer>, EngineError),
    /// Volumes were looked up; these do not exist.
    VolumesFound {
        missing: BTreeSet<String>,
    },
    /// A container tried to connect to the balancer; `None` found out nothing.
    GatewayChecked(Option<GatewayAnswer>),
    /// It failed, or was not answered.
    Failed(EngineError),
}

/// Carries out one action.
pub(super) async fn execute(
    engine: &dyn Engine,
    policy: &HostPathPolicy,
    ticks: &Ticks,
    action: &AgentAction,
) -> ActionOutcome {
    let done = match action {
        AgentAction::FindImage { image } => engine.image(image).await.map(|_| ()),
        AgentAction::Pull { image } => engine.pull(image).await,
        AgentAction::CreateNetwork { spec } => engine.create_network(spec).await,
        AgentAction::FindVolumes { volumes, .. } => match engine.volumes().await {
            Ok(found) => {
                let present: BTreeSet<String> = found.into_iter().map(|volume| volume.name).collect();
                let missing = volumes.difference(&present).cloned().collect();
                return ActionOutcome::VolumesFound { missing };
            }
            Err(error) => Err(error),
        },
        AgentAction::Create { spec, .. } => {
            let spec = match with_resolved_paths(policy, spec).await {
                Ok(spec) => spec,
                Err(message) => return ActionOutcome::Failed(EngineError::Invalid { message }),
            };
            return create(engine, ticks, &spec).await;
        }
        AgentAction::Start { container, .. } => return start(engine, ticks, container).await,
        AgentAction::Connect { container, network, address, .. } => {
            return connect(engine, ticks, container, network, *address).await;
        }
        AgentAction::Signal { container, signal, .. } => engine.kill(container, signal).await,
        AgentAction::Examine { container, .. } => {
            return ActionOutcome::Examined(examine(engine, container).await);
        }
        AgentAction::Remove { container } => engine.remove(container).await,
        AgentAction::CheckGateway { spec, .. } => {
            return ActionOutcome::GatewayChecked(gateway_connect::connect(engine, spec).await);
        }
        AgentAction::RemoveNetwork { name } => engine.remove_network(name).await,
        AgentAction::Tag { image, tag } => {
            let (repository, tag) = tag.rsplit_once(':').unwrap_or((tag, "latest"));
            engine.tag(image, repository, tag).await
        }
        AgentAction::Untag { tag } => engine.untag(tag).await,
    };
    done.map_or_else(ActionOutcome::Failed, |()| ActionOutcome::Done)
}

/// The spec with the paths of the node that Docker is to mount, without symbolic links.
async fn with_resolved_paths(policy: &HostPathPolicy, spec: &ContainerSpec) -> Result<ContainerSpec, String> {
    let mut spec = spec.clone();
    for bind in &mut spec.binds {
        bind.source = host_paths::resolve(policy, &bind.source).await?;
    }
    Ok(spec)
}

async fn create(engine: &dyn Engine, ticks: &Ticks, spec: &ContainerSpec) -> ActionOutcome {
    for mount in &spec.mounts {
        if let Err(error) = engine.create_volume(&mount.volume).await {
            return ActionOutcome::Failed(error);
        }
    }
    match engine.create(spec).await {
        Ok(id) => {
            let tick = ticks.next();
            let created = as_created(id, spec);
            match start(engine, ticks, &created.id).await {
                ActionOutcome::Failed(error) => ActionOutcome::CreatedOnly(tick, created, error),
                ActionOutcome::StartRefused { container, message, is_fault, observed: None } => {
                    ActionOutcome::StartRefused {
                        container,
                        message,
                        is_fault,
                        observed: Some((tick, created)),
                    }
                }
                outcome => outcome,
            }
        }
        Err(EngineError::Conflict { message }) => {
            let tick = ticks.next();
            match engine.inspect_name(&spec.name).await {
                Ok(holder) => ActionOutcome::NameTaken(tick, Box::new(holder)),
                Err(error) if error.is_not_found() => {
                    ActionOutcome::Failed(EngineError::Conflict { message })
                }
                Err(error) => ActionOutcome::Failed(error),
            }
        }
        Err(error) => ActionOutcome::Failed(error),
    }
}

async fn connect(
    engine: &dyn Engine,
    ticks: &Ticks,
    container: &ContainerId,
    network: &str,
    address: IpAddr,
) -> ActionOutcome {
    if let Err(error) = engine.connect(container, network, address).await {
        return ActionOutcome::Failed(error);
    }
    let tick = ticks.next();
    match engine.inspect(container).await {
        Ok(container) => ActionOutcome::Connected(tick, Box::new(container)),
        Err(error) => ActionOutcome::Failed(error),
    }
}

/// A container that was just created, before it is inspected.
fn as_created(id: ContainerId, spec: &ContainerSpec) -> Box<ObservedContainer> {
    Box::new(ObservedContainer {
        id,
        name: spec.name.clone(),
        labels: spec.labels.clone(),
        state: ContainerState::Created,
        started_at: None,
        finished_at: None,
        addresses: BTreeMap::new(),
        published: spec.published.clone(),
        volumes: spec.mounts.iter().map(|mount| mount.volume.name.clone()).collect(),
        error: String::new(),
    })
}

async fn start(engine: &dyn Engine, ticks: &Ticks, id: &ContainerId) -> ActionOutcome {
    let refused = match engine.start(id).await {
        Ok(()) => None,
        Err(error) if error.is_away() || error.is_not_found() => return ActionOutcome::Failed(error),
        Err(error) => Some(error),
    };
    let tick = ticks.next();
    match (engine.inspect(id).await, refused) {
        (Ok(container), None) => ActionOutcome::Started(tick, Box::new(container)),
        (Err(error), None) => ActionOutcome::Failed(error),
        (inspected, Some(refused)) => ActionOutcome::StartRefused {
            container: id.clone(),
            message: refused.to_string(),
            is_fault: matches!(refused, EngineError::Invalid { .. }),
            observed: inspected.ok().map(|container| (tick, Box::new(container))),
        },
    }
}
