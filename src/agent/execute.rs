//! Does what a plan says, one task per action. No choice is made here: every outcome goes back to the agent, and the next
//! plan decides.

use super::draft::Action;
use super::examine::{Findings, examine};
use super::observe::Ticks;
use crate::engine::{ContainerSpec, Engine, EngineError, ObservedContainer};
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
    /// The container was made, and somebody removed it before it was seen: its name is used all the same.
    Vanished(EngineError),
    /// It did not happen, or nobody knows whether it did.
    Failed(EngineError),
}

/// Does one action.
pub(super) async fn execute(engine: &dyn Engine, ticks: &Ticks, action: &Action) -> Outcome {
    let done = match action {
        Action::FindImage { image } => engine.image(image).await.map(|_| ()),
        Action::Pull { image } => engine.pull(image).await,
        Action::CreateNetwork { spec } => engine.create_network(spec).await,
        Action::Create { spec, .. } => return create(engine, ticks, spec).await,
        Action::Start { container, .. } => return start(engine, ticks, container).await,
        Action::Signal { container, signal, .. } => engine.kill(container, signal).await,
        Action::Examine { container, .. } => return Outcome::Examined(examine(engine, container).await),
        Action::Remove { container } => engine.remove(container).await,
        Action::RemoveNetwork { name } => engine.remove_network(name).await,
        Action::Tag { image, tag } => {
            let (repository, tag) = tag.rsplit_once(':').unwrap_or((tag, "latest"));
            engine.tag(image, repository, tag).await
        }
        Action::Untag { tag } => engine.untag(tag).await,
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
        Ok(id) => match start(engine, ticks, &id).await {
            Outcome::Failed(error @ EngineError::NotFound { what: "container", .. }) => {
                Outcome::Vanished(error)
            }
            outcome => outcome,
        },
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

async fn start(engine: &dyn Engine, ticks: &Ticks, id: &ContainerId) -> Outcome {
    let refused = match engine.start(id).await {
        Ok(()) => None,
        Err(error) if error.is_away() || error.is_not_found() => return Outcome::Failed(error),
        Err(error) => Some(error),
    };
    let tick = ticks.next();
    let mut looks = engine.inspect(id).await;
    if matches!(looks, Err(EngineError::Failed { .. })) {
        // Once more: a container that nobody saw and somebody removes would have its name used again.
        looks = engine.inspect(id).await;
    }
    match (looks, refused) {
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
