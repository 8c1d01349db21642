//! Takes note of what tasks brought back: into the cache, the memory, and what is under way.

use tokio::task::JoinError;

use super::draft::AgentAction;
use super::execute::Outcome;
use super::handle::EngineState;
use super::images::LOOK_AGAIN;
use super::observe::Look;
use super::round::REUSE_AFTER;
use super::run::Agent;
use super::view::{attempt_of, replica_of};
use crate::engine::{EngineError, LABEL_STORE, ObservedContainer};
use crate::model::{ContainerId, EngineKind, ExposureMode, Millis, ReplicaName};

/// What failed for a reason that is not the Engine's absence rests for so long before it is tried again.
const REST: Millis = Millis::secs(1);

/// What a task brought back.
#[derive(Debug)]
pub(super) enum Report {
    /// A full look, begun at this tick.
    Looked { tick: u64, look: Result<Box<Look>, EngineError> },
    /// A look at one container, begun at this tick.
    Inspected { tick: u64, id: ContainerId, found: Result<Box<ObservedContainer>, EngineError> },
    /// An action, begun at this tick.
    Acted { tick: u64, action: AgentAction, outcome: Outcome },
}

impl Agent {
    /// Takes note of what one task brought.
    pub(super) fn absorb(&mut self, joined: Result<Report, JoinError>) {
        match joined {
            Ok(Report::Looked { tick, look }) => self.looked(tick, look),
            Ok(Report::Inspected { tick, id, found }) => self.inspected(tick, &id, found),
            Ok(Report::Acted { tick, action, outcome }) => {
                self.busy.remove(&action.subject());
                self.acted(tick, action, outcome);
            }
            // Tasks are neither aborted nor do they panic; should one, what it held is released by a full restart only.
            Err(error) => tracing::error!(%error, "a task of the agent ended without an answer"),
        }
    }

    fn looked(&mut self, tick: u64, look: Result<Box<Look>, EngineError>) {
        self.looking = false;
        match look {
            Ok(mut look) => {
                let info = look.info.take();
                if let Some(info) = &info {
                    self.learn(info.kind);
                }
                self.availability.back(info);
                self.looked_at = Some(self.clock.mono());
                self.observation.looked(tick, *look);
            }
            Err(error) => self.failed("look at the Engine", error),
        }
    }

    /// The Engine said what it is.
    fn learn(&mut self, kind: EngineKind) {
        self.facts.learn(&self.config, kind);
        let is_first = *self.availability.state() == EngineState::Unknown;
        match (self.facts.exposure, kind.exposure()) {
            _ if !is_first => {}
            (ExposureMode::Published, _) => {
                tracing::info!(?kind, "containers are reached at ports published on 127.0.0.1");
            }
            (ExposureMode::Bridge, ExposureMode::Published) => {
                tracing::warn!(
                    ?kind,
                    "started with --exposure bridge, and this Engine keeps its bridge networks to itself"
                );
            }
            (ExposureMode::Bridge, ExposureMode::Bridge) => {}
        }
    }

    fn inspected(&mut self, tick: u64, id: &ContainerId, found: Result<Box<ObservedContainer>, EngineError>) {
        match found {
            Ok(container) => self.observation.saw(tick, *container),
            Err(error) if error.is_not_found() => self.observation.gone(tick, id),
            Err(error) => {
                self.hints.look_at_all();
                self.failed("inspect a container", error);
            }
        }
    }

    /// An error that no decision depends on but whether the Engine is there.
    fn failed(&mut self, what: &str, error: EngineError) {
        tracing::warn!(%error, "cannot {what}");
        if error.is_away() && self.availability.away(error, self.clock.mono()) {
            self.memory.engine_lost();
        }
    }

    fn acted(&mut self, tick: u64, action: AgentAction, outcome: Outcome) {
        // The name of a container that may have been made is used, though somebody may remove it before it is seen.
        if let AgentAction::Create { replica, attempt, .. } = &action
            && let Outcome::Up(..)
            | Outcome::Made(..)
            | Outcome::StartRefused { .. }
            | Outcome::Failed(EngineError::Unanswered { .. }) = outcome
        {
            self.memory.attempted(replica, *attempt);
        }
        match outcome {
            Outcome::Done => self.done(tick, action),
            Outcome::Up(tick, container) => {
                if let Some(replica) = maker(&action) {
                    self.memory.holdings.made(replica);
                    self.memory.started(replica, &container);
                }
                self.observation.saw(tick, *container);
            }
            Outcome::StartRefused { container, message, is_fault, looks } => {
                self.memory.start_refused(&container, message, is_fault);
                if let Some(replica) = maker(&action) {
                    self.memory.holdings.made(replica);
                }
                match looks {
                    Some((tick, looks)) => self.observation.saw(tick, *looks),
                    None => self.hints.look_at_all(),
                }
                // A network or image that is gone is a reason to refuse; a look finds out.
                self.hints.look_at_all();
            }
            Outcome::Examined(findings) => {
                if let AgentAction::Examine { replica, container } = &action {
                    self.memory.examined(replica, container, findings, self.clock.mono());
                }
            }
            Outcome::NameTaken(tick, holder) => self.name_taken(tick, &action, *holder),
            // From here on it is a start that was not answered.
            Outcome::Made(made, container, error) => {
                let AgentAction::Create { replica, .. } = action else { return };
                let start = AgentAction::Start { replica, container: container.id.clone() };
                self.observation.saw(made, *container);
                self.not_done(self.ticks.next(), start, error);
            }
            Outcome::Failed(error) => self.not_done(tick, action, error),
        }
    }

    fn done(&mut self, tick: u64, action: AgentAction) {
        let now = self.clock.mono();
        match action {
            AgentAction::FindImage { image } | AgentAction::Pull { image } => self.memory.image(&image, true),
            AgentAction::CreateNetwork { spec } => self.observation.network_made(self.ticks.next(), &spec),
            AgentAction::RemoveNetwork { name } => self.observation.network_gone(self.ticks.next(), &name),
            AgentAction::Signal { instance, kill, .. } => self.memory.signalled(&instance, kill, now),
            AgentAction::Remove { container } => {
                self.observation.gone(self.ticks.next().max(tick), &container)
            }
            AgentAction::Tag { tag, .. } => {
                self.memory.untagged.remove(&tag);
                self.memory.tagged.insert(tag);
            }
            AgentAction::Untag { tag } => {
                self.memory.tagged.remove(&tag);
                self.memory.untagged.insert(tag);
            }
            AgentAction::Create { .. } | AgentAction::Start { .. } | AgentAction::Examine { .. } => {}
        }
    }

    /// The name of an attempt is taken. If the holder is the attempt itself, its making was not answered: seen now, it
    /// is adopted by the next pass. Else the attempt is skipped.
    fn name_taken(&mut self, tick: u64, action: &AgentAction, holder: ObservedContainer) {
        let AgentAction::Create { replica, attempt, .. } = action else { return };
        self.memory.holdings.made(replica);
        let ours = holder.labels.get(LABEL_STORE).map(String::as_str) == Some(self.facts.store.as_str());
        if ours && replica_of(&holder).as_ref() == Some(replica) && attempt_of(&holder) == *attempt {
            self.observation.saw(tick, holder);
        } else {
            tracing::warn!(%replica, name = holder.name, "somebody else's container has the name; taking the next");
            self.memory.attempted(replica, *attempt);
        }
    }

    fn not_done(&mut self, tick: u64, action: AgentAction, error: EngineError) {
        let now = self.clock.now();
        if let Some(replica) = maker(&action) {
            self.memory.holdings.made(replica);
        }
        if error.is_away() {
            return self.failed("act on the Engine", error);
        }
        tracing::warn!(%error, subject = %action.subject(), "the Engine did not do it");
        let mut rest = REST;
        match &action {
            AgentAction::FindImage { image } if error.is_not_found() => {
                self.memory.image(image, false);
                rest = LOOK_AGAIN;
            }
            AgentAction::FindImage { image } | AgentAction::Pull { image } => {
                self.memory.image_failed(image, &error, now);
                rest = Millis(0);
            }
            AgentAction::Create { spec, .. }
                if matches!(error, EngineError::NotFound { what: "image", .. }) =>
            {
                self.memory.image(&spec.image, false);
                rest = Millis(0);
            }
            AgentAction::Create { replica, .. } => {
                self.memory.create_refused(replica, &error, now);
                self.hints.look_at_all();
                rest = Millis(0);
            }
            AgentAction::Start { container, .. } if error.is_not_found() => {
                self.observation.gone(tick, container)
            }
            AgentAction::Signal { container, .. } | AgentAction::Start { container, .. } => {
                self.inspect(container.clone())
            }
            AgentAction::Remove { container } | AgentAction::Examine { container, .. } => {
                self.inspect(container.clone())
            }
            AgentAction::CreateNetwork { .. } => self.hints.look_at_all(),
            AgentAction::RemoveNetwork { name } => {
                self.hints.look_at_all();
                rest = self.memory.network_in_use(name);
            }
            AgentAction::Tag { .. } | AgentAction::Untag { .. } => rest = REUSE_AFTER,
        }
        self.memory.rest(action.subject(), now.mono.after(rest));
    }
}

/// The replica whose container an action makes or starts.
fn maker(action: &AgentAction) -> Option<&ReplicaName> {
    match action {
        AgentAction::Create { replica, .. } | AgentAction::Start { replica, .. } => Some(replica),
        _ => None,
    }
}
