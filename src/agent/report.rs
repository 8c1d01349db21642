//! Records what tasks report: in the cache, the memory, and the set of actions under way.

use std::collections::BTreeMap;

use tokio::task::JoinError;

use super::action::AgentAction;
use super::backoff::FIND_AGAIN;
use super::execute::ActionOutcome;
use super::handle::EngineState;
use super::observe::EngineListing;
use super::ring_allocator::REUSE_AFTER;
use super::run::Agent;
use super::task::TaskReport;
use super::view::{attempt_of, replica_of};
use crate::engine::{EngineError, EngineObject, LABEL_REPLICA_CREATED_AT, ObservedContainer, is_of_store};
use crate::model::{ContainerId, EngineKind, ExposureMode, Millis, ReplicaName};

/// Wait before something is tried again that failed while the Engine answers.
const RETRY_AFTER: Millis = Millis::secs(1);

impl Agent {
    /// Records the report of one task.
    pub(super) fn absorb(&mut self, joined: Result<TaskReport, JoinError>) {
        match joined {
            Ok(TaskReport::Listed { tick, listing }) => self.listed(tick, listing),
            Ok(TaskReport::Inspected { tick, id, found }) => self.inspected(tick, &id, found),
            Ok(TaskReport::Acted { tick, action, outcome }) => {
                self.busy.remove(&action.subject());
                self.acted(tick, action, outcome);
            }
            // Tasks are neither aborted nor do they panic; if one does, only a restart frees its subject.
            Err(error) => tracing::error!(%error, "a task of the agent ended without a result"),
        }
    }

    fn listed(&mut self, tick: u64, listing: Result<Box<EngineListing>, EngineError>) {
        self.watch.listing_ended();
        match listing {
            Ok(mut listing) => {
                let info = listing.info.take();
                if let Some(info) = &info {
                    self.learn(info.kind);
                }
                self.watch.listed(tick, *listing, info, self.clock.mono());
                self.publisher.engine_listed();
            }
            Err(error) => self.failed("list the Engine's objects", error),
        }
    }

    /// Applies the Engine's description of itself.
    fn learn(&mut self, kind: EngineKind) {
        self.facts.learn(&self.config, kind);
        let is_first = *self.watch.availability.state() == EngineState::Unknown;
        match (self.facts.exposure, kind.exposure()) {
            _ if !is_first => {}
            (ExposureMode::Published, _) => {
                tracing::info!(?kind, "containers are reached at ports published on 127.0.0.1");
            }
            (ExposureMode::Bridge, ExposureMode::Published) => {
                tracing::warn!(
                    ?kind,
                    "--exposure bridge is set, but this Engine's bridge networks are not reachable from the node"
                );
            }
            (ExposureMode::Bridge, ExposureMode::Bridge) => {}
        }
    }

    fn inspected(&mut self, tick: u64, id: &ContainerId, found: Result<Box<ObservedContainer>, EngineError>) {
        match found {
            Ok(container) => self.watch.observation.saw(tick, *container),
            Err(error) if error.is_not_found() => self.watch.observation.gone(tick, id),
            Err(error) => {
                self.watch.hints.list_all();
                self.failed("inspect a container", error);
            }
        }
    }

    /// An error that only matters for whether the Engine is away.
    fn failed(&mut self, what: &str, error: EngineError) {
        tracing::warn!(%error, "cannot {what}");
        if error.is_away() && self.watch.availability.away(error, self.clock.mono()) {
            self.memory.engine_lost();
        }
    }

    /// What a create leaves behind, whatever became of it.
    fn created(&mut self, action: &AgentAction, outcome: &ActionOutcome) {
        // The name of a container that may have been created is used, though it may be removed before it is observed.
        if let AgentAction::Create { replica, attempt, .. } = action
            && let ActionOutcome::Started(..)
            | ActionOutcome::CreatedOnly(..)
            | ActionOutcome::StartRefused { .. }
            | ActionOutcome::Failed(EngineError::Unanswered { .. }) = outcome
        {
            self.memory.attempted(replica, *attempt);
        }
    }

    fn acted(&mut self, tick: u64, action: AgentAction, outcome: ActionOutcome) {
        self.created(&action, &outcome);
        match outcome {
            ActionOutcome::Done => self.done(tick, action),
            ActionOutcome::Started(tick, container) => {
                if let Some(replica) = started_replica(&action) {
                    self.memory.leases.released(replica);
                    self.memory.started(replica, &container);
                }
                self.watch.observation.saw(tick, *container);
            }
            ActionOutcome::Connected(tick, container) => {
                self.connected(&action, &container);
                self.watch.observation.saw(tick, *container);
            }
            ActionOutcome::StartRefused { container, message, is_fault, observed } => {
                self.memory.start_refused(&container, message, is_fault);
                if let Some(replica) = started_replica(&action) {
                    self.memory.leases.released(replica);
                }
                match observed {
                    Some((tick, container)) => self.watch.observation.saw(tick, *container),
                    None => self.watch.hints.list_all(),
                }
                // A network or image that is gone is a reason to refuse; a listing finds out.
                self.watch.hints.list_all();
            }
            ActionOutcome::Examined(findings) => {
                if let AgentAction::Examine { replica, container } = &action {
                    self.memory.examined(replica, container, findings, self.clock.mono());
                }
            }
            ActionOutcome::VolumesFound { missing } => {
                if let AgentAction::FindVolumes { replica, .. } = &action {
                    self.memory.volumes_found(replica, missing, self.clock.mono());
                }
            }
            ActionOutcome::GatewayChecked(answer) => {
                if let AgentAction::CheckGateway { app, target, .. } = &action {
                    self.memory.gateway_checked(app, *target, answer, self.clock.mono());
                }
            }
            ActionOutcome::NameTaken(tick, holder) => self.name_taken(tick, &action, *holder),
            // From here on it is an unanswered start.
            ActionOutcome::CreatedOnly(created, container, error) => {
                let AgentAction::Create { replica, .. } = action else { return };
                let start = AgentAction::Start { replica, container: container.id.clone() };
                self.watch.observation.saw(created, *container);
                self.not_done(self.watch.ticks.next(), start, error);
            }
            ActionOutcome::Failed(error) => self.not_done(tick, action, error),
        }
    }

    fn done(&mut self, tick: u64, action: AgentAction) {
        let now = self.clock.mono();
        match action {
            AgentAction::FindImage { image } | AgentAction::Pull { image } => self.memory.image(&image, true),
            AgentAction::CreateNetwork { spec } => {
                self.watch.observation.network_created(self.watch.ticks.next(), &spec)
            }
            AgentAction::RemoveNetwork { name } => {
                self.watch.observation.network_removed(self.watch.ticks.next(), &name)
            }
            AgentAction::Signal { instance, kill, .. } => self.memory.signalled(&instance, kill, now),
            AgentAction::Remove { container } => {
                self.watch.observation.gone(self.watch.ticks.next().max(tick), &container)
            }
            AgentAction::Tag { tag, .. } => {
                self.memory.images.tagged(tag);
            }
            AgentAction::Untag { tag } => {
                self.memory.images.untagged(tag);
            }
            AgentAction::FindVolumes { .. }
            | AgentAction::Create { .. }
            | AgentAction::Start { .. }
            | AgentAction::Connect { .. }
            | AgentAction::CheckGateway { .. }
            | AgentAction::Examine { .. } => {}
        }
    }

    /// A container that is still off its network after it was connected is replaced: another attempt would end likewise.
    fn connected(&mut self, action: &AgentAction, now: &ObservedContainer) {
        let AgentAction::Connect { replica, container, network, .. } = action else { return };
        if !now.addresses.contains_key(network) {
            self.memory.not_connectable(replica, container, network);
        }
    }

    /// The name of an attempt is taken. If the holder is the attempt itself, its creation was not answered: the next pass
    /// adopts it. Otherwise the attempt is skipped.
    fn name_taken(&mut self, tick: u64, action: &AgentAction, holder: ObservedContainer) {
        let AgentAction::Create { replica, attempt, spec, .. } = action else { return };
        self.memory.leases.released(replica);
        let made = |labels: &BTreeMap<String, String>| labels.get(LABEL_REPLICA_CREATED_AT).cloned();
        if is_of_store(&holder.labels, &self.facts.store)
            && replica_of(&holder).as_ref() == Some(replica)
            && made(&holder.labels) == made(&spec.labels)
            && attempt_of(&holder) == *attempt
        {
            self.watch.observation.saw(tick, holder);
        } else {
            tracing::warn!(%replica, name = holder.name, "another container has the name; taking the next attempt");
            self.memory.attempted(replica, *attempt);
        }
    }

    fn not_done(&mut self, tick: u64, action: AgentAction, error: EngineError) {
        let now = self.clock.now();
        if let Some(replica) = started_replica(&action) {
            self.memory.leases.released(replica);
        }
        if error.is_away() {
            return self.failed("act on the Engine", error);
        }
        tracing::warn!(%error, subject = %action.subject(), "the action failed");
        let mut wait = RETRY_AFTER;
        match &action {
            AgentAction::FindImage { image } if error.is_not_found() => {
                self.memory.image(image, false);
                wait = FIND_AGAIN;
            }
            AgentAction::FindImage { image } | AgentAction::Pull { image } => {
                self.memory.images.failed(image, &error, now);
                wait = Millis(0);
            }
            AgentAction::Create { spec, .. }
                if matches!(error, EngineError::NotFound { what: EngineObject::Image, .. }) =>
            {
                self.memory.image(&spec.image, false);
                wait = Millis(0);
            }
            AgentAction::Create { replica, .. } => {
                self.memory.create_refused(replica, &error, now);
                self.watch.hints.list_all();
                wait = Millis(0);
            }
            AgentAction::Start { container, .. } if error.is_not_found() => {
                self.watch.observation.gone(tick, container)
            }
            // Without the network or the container; a listing finds out which.
            AgentAction::Connect { .. } if error.is_not_found() => self.watch.hints.list_all(),
            AgentAction::Connect { replica, container, network, .. } => {
                self.memory.not_connectable(replica, container, network);
                self.inspect(container.clone());
                wait = Millis(0);
            }
            AgentAction::Signal { container, .. } | AgentAction::Start { container, .. } => {
                self.inspect(container.clone())
            }
            AgentAction::Remove { container } | AgentAction::Examine { container, .. } => {
                self.inspect(container.clone())
            }
            AgentAction::FindVolumes { .. } | AgentAction::CheckGateway { .. } => {}
            AgentAction::CreateNetwork { .. } => self.watch.hints.list_all(),
            AgentAction::RemoveNetwork { name } => {
                self.watch.hints.list_all();
                wait = self.memory.retries.network_in_use(name);
            }
            AgentAction::Tag { .. } | AgentAction::Untag { .. } => wait = REUSE_AFTER,
        }
        self.memory.retries.not_before(action.subject(), now.mono.after(wait));
    }
}

/// The replica whose container an action creates or starts.
fn started_replica(action: &AgentAction) -> Option<&ReplicaName> {
    match action {
        AgentAction::Create { replica, .. } | AgentAction::Start { replica, .. } => Some(replica),
        _ => None,
    }
}
