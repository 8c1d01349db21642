//! Does what a plan says, one task per action. No choice is made here: every outcome goes back to the agent, and the next
//! plan decides.

use std::collections::BTreeMap;

use super::draft::AgentAction;
use super::examine::{Findings, examine};
use super::observe::Ticks;
use crate::engine::{ContainerSpec, ContainerState, Engine, EngineError, ObservedContainer};
use crate::model::ContainerId;

/// What became of an action.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is done.
    Done,
    /// The container was started; this is how it looks now, as of this tick.
    Up(u64, Box<ObservedContainer>),
    /// The container exists and the Engine refused to start it.
    StartRefused {
        /// Which.
        container: ContainerId,
        /// In the Engine's words.
        message: String,
        /// Whether what was asked for can never work.
        is_fault: bool,
        /// How it looks now, as of this tick.
        looks: Option<(u64, Box<ObservedContainer>)>,
    },
    /// The name is taken by this container, as of this tick.
    NameTaken(u64, Box<ObservedContainer>),
    /// The container was looked into.
    Examined(Findings),
    /// The container was made, and nobody knows what came of its start; this is how it was made, as of this tick.
    Made(u64, Box<ObservedContainer>, EngineError),
    /// It did not happen, or nobody knows whether it did.
    Failed(EngineError),
}

/// Does one action.
pub(super) async fn execute(engine: &dyn Engine, ticks: &Ticks, action: &AgentAction) -> Outcome {
    let done = match action {
        AgentAction::FindImage { image } => engine.image(image).await.map(|_| ()),
        AgentAction::Pull { image } => engine.pull(image).await,
        AgentAction::CreateNetwork { spec } => engine.create_network(spec).await,
        AgentAction::Create { spec, .. } => return create(engine, ticks, spec).await,
        AgentAction::Start { container, .. } => return start(engine, ticks, container).await,
        AgentAction::Signal { container, signal, .. } => engine.kill(container, signal).await,
        AgentAction::Examine { container, .. } => return Outcome::Examined(examine(engine, container).await),
        AgentAction::Remove { container } => engine.remove(container).await,
        AgentAction::RemoveNetwork { name } => engine.remove_network(name).await,
        AgentAction::Tag { image, tag } => {
            let (repository, tag) = tag.rsplit_once(':').unwrap_or((tag, "latest"));
            engine.tag(image, repository, tag).await
        }
        AgentAction::Untag { tag } => engine.untag(tag).await,
    };
    done.map_or_else(Outcome::Failed, |()| Outcome::Done)
}

async fn create(engine: &dyn Engine, ticks: &Ticks, spec: &ContainerSpec) -> Outcome {
    for mount in &spec.mounts {
        if let Err(error) = engine.create_volume(&mount.volume).await {
            return Outcome::Failed(error);
        }
    }
    match engine.create(spec).await {
        Ok(id) => {
            let (tick, made) = (ticks.next(), as_made(id, spec));
            match start(engine, ticks, &made.id).await {
                Outcome::Failed(error) => Outcome::Made(tick, made, error),
                Outcome::StartRefused { container, message, is_fault, looks: None } => {
                    Outcome::StartRefused { container, message, is_fault, looks: Some((tick, made)) }
                }
                outcome => outcome,
            }
        }
        Err(EngineError::Conflict { message }) => {
            let tick = ticks.next();
            match engine.inspect_name(&spec.name).await {
                Ok(holder) => Outcome::NameTaken(tick, Box::new(holder)),
                Err(error) if error.is_not_found() => Outcome::Failed(EngineError::Conflict { message }),
                Err(error) => Outcome::Failed(error),
            }
        }
        Err(error) => Outcome::Failed(error),
    }
}

/// A container that was made a moment ago, before anybody looked at it.
fn as_made(id: ContainerId, spec: &ContainerSpec) -> Box<ObservedContainer> {
    Box::new(ObservedContainer {
        id,
        name: spec.name.clone(),
        labels: spec.labels.clone(),
        state: ContainerState::Created,
        started_at: None,
        finished_at: None,
        addresses: BTreeMap::new(),
        published: spec.published.clone(),
        error: String::new(),
    })
}

async fn start(engine: &dyn Engine, ticks: &Ticks, id: &ContainerId) -> Outcome {
    let refused = match engine.start(id).await {
        Ok(()) => None,
        Err(error) if error.is_away() || error.is_not_found() => return Outcome::Failed(error),
        Err(error) => Some(error),
    };
    let tick = ticks.next();
    match (engine.inspect(id).await, refused) {
        (Ok(container), None) => Outcome::Up(tick, Box::new(container)),
        (Err(error), None) => Outcome::Failed(error),
        (looks, Some(refused)) => Outcome::StartRefused {
            container: id.clone(),
            message: refused.to_string(),
            is_fault: matches!(refused, EngineError::Invalid { .. }),
            looks: looks.ok().map(|container| (tick, Box::new(container))),
        },
    }
}
