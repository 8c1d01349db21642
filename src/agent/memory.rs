//! What the agent remembers between passes: times and counts that the store and the Engine do not keep. Pure.
//!
//! All of it may be lost at any moment: then waits start anew, and never end early. Monotonic times only, except where a
//! person reads one.

use std::collections::{BTreeMap, BTreeSet};

use super::backoff;
use super::classify::{OfReplica, classify, ended};
use super::deletion_guard::DeletionGuard;
use super::draft::NodePlan;
use super::examine::Findings;
use super::holdings::Holdings;
use super::replica_memory::{ReplicaMemory, Retry};
use super::view::{NodeView, Subject, WantedReplica, instance_of, is_up};
use crate::engine::{EngineError, ObservedContainer};
use crate::model::{
    ContainerId, EndpointId, EndpointState, FailureCause, ImageRefusal, Millis, Mono, Now, ReplicaName,
    WaitReason,
};

/// A stop signal that went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signalled {
    /// When the stop signal went out.
    pub stop_at: Mono,
    /// When SIGKILL went out.
    pub kill_at: Option<Mono>,
}

/// What is known of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageMemory {
    /// The Engine has it.
    Present,
    /// It does not.
    Absent,
    /// It could not be had; `streak` times in a row.
    Failed {
        /// How often in a row.
        streak: u32,
        /// When it is tried again, and what the Engine said.
        retry: Retry,
    },
}

/// A start that the Engine refused.
#[derive(Debug, Clone, PartialEq, Eq)]
struct StartRefusal {
    /// In its words.
    message: String,
    /// Whether what was asked for can never work.
    is_fault: bool,
}

/// What the agent remembers between passes.
#[derive(Debug, Clone, Default)]
pub struct AgentMemory {
    /// When this agent started.
    pub started: Mono,
    /// By replica.
    pub replicas: BTreeMap<ReplicaName, ReplicaMemory>,
    /// By image, pinned form.
    pub images: BTreeMap<String, ImageMemory>,
    /// The deletion brake.
    pub deletion_guard: DeletionGuard,
    /// Stop signals by instance.
    pub signals: BTreeMap<EndpointId, Signalled>,
    /// Since when an endpoint that is out is acknowledged as absent.
    let_go: BTreeMap<EndpointId, Mono>,
    /// Since when an endpoint on its way out waits for that acknowledgement.
    unacknowledged: BTreeMap<EndpointId, Mono>,
    /// Those of them that people were told of.
    told: BTreeSet<EndpointId>,
    /// Instances seen running while the Engine answered without a break: only their exits count.
    seen: BTreeSet<EndpointId>,
    /// Dead containers whose end was taken note of.
    noted: BTreeSet<ContainerId>,
    /// Containers that the Engine refused to start, in its words.
    refusals: BTreeMap<ContainerId, StartRefusal>,
    /// Addresses and published ports.
    pub(super) holdings: Holdings,
    /// What failed a moment ago and is not tried again before.
    resting: BTreeMap<Subject, Mono>,
    /// Networks that the Engine refused to remove, and how often in a row.
    networks_in_use: BTreeMap<String, u32>,
    /// Tags set by this run that the stored host state does not have yet, and ones taken away that it still has.
    pub tagged: BTreeSet<String>,
    /// See `tagged`.
    pub untagged: BTreeSet<String>,
}

impl AgentMemory {
    /// A memory of an agent that starts now.
    pub fn new(started: Mono) -> Self {
        Self { started, ..Self::default() }
    }

    /// Takes note of what this pass sees, before anything is planned.
    pub fn notice(&mut self, view: &NodeView, now: Now) {
        let existing: BTreeSet<ContainerId> = view.containers.iter().map(|c| c.id.clone()).collect();
        let sorted = classify(view);
        for (name, wanted) in &view.replicas {
            let none = OfReplica::default();
            self.notice_replica(view, name, wanted, sorted.replicas.get(name).unwrap_or(&none), now);
        }
        self.notice_barrier(view, now.mono);
        self.holdings.notice(&view.containers, |id| view.barrier.acked_absent(id), now.mono);
        self.replicas.retain(|name, _| view.replicas.contains_key(name));
        self.deletion_guard.forget(&existing, now.mono);
        self.noted.retain(|id| existing.contains(id));
        self.refusals.retain(|id, _| existing.contains(id));
        self.resting.retain(|_, until| *until > now.mono);
        self.networks_in_use.retain(|name, _| view.networks.iter().any(|n| n.name == *name));
        let running: BTreeSet<EndpointId> =
            view.ours().filter(|c| is_up(c)).filter_map(instance_of).collect();
        self.signals.retain(|id, _| running.contains(id));
        self.seen.retain(|id| running.contains(id));
        if view.engine_answers {
            self.seen.extend(running);
        }
    }

    fn notice_replica(
        &mut self,
        view: &NodeView,
        name: &ReplicaName,
        wanted: &WantedReplica,
        of: &OfReplica<'_>,
        now: Now,
    ) {
        let stored = wanted.status.as_ref();
        let own = self.replicas.entry(name.clone()).or_insert_with(|| ReplicaMemory {
            failures: stored.map_or(0, |s| s.failures),
            ..ReplicaMemory::default()
        });
        own.crashes.retain(|id| of.all().any(|c| c.id == *id));
        if let Some(current) = of.current {
            own.notice_health(wanted, current, now.mono);
            own.notice_trouble(view, wanted, current, now.mono);
        }
        let dead = of.last.filter(|c| !self.noted.contains(&c.id));
        let Some((dead, reason)) = dead.and_then(|c| Some((c, ended(view, c)?))) else { return };
        let refusal = self.refusals.get(&dead.id);
        let instance = instance_of(dead);
        let is = |known: &dyn Fn(&EndpointId) -> bool| instance.as_ref().is_some_and(known);
        // One that was told to stop, or that nobody wants to run, has not failed.
        let was_told = is(&|id| self.signals.contains_key(id)) || !wanted.replica.runs();
        let counts = !was_told && (is(&|id| self.seen.contains(id)) || refusal.is_some());
        if own.notice_end(&dead.id, reason.clone(), counts, now) {
            let is_fault = refusal.is_none_or(|refusal| refusal.is_fault);
            let seen = seen(wanted, dead, &reason).filter(|_| is_fault);
            seen.into_iter().for_each(|seen| own.crashes.failed(dead, seen, now.mono));
        }
        self.noted.insert(dead.id.clone());
    }

    fn notice_barrier(&mut self, view: &NodeView, now: Mono) {
        let endpoints = view.endpoints();
        let mut let_go = BTreeMap::new();
        let mut unacknowledged = BTreeMap::new();
        for container in view.ours().filter(|c| is_up(c)) {
            let Some(id) = instance_of(container) else { continue };
            let endpoint = endpoints.get(&id);
            if endpoint.is_some_and(|e| e.state == EndpointState::Ready) {
                continue;
            }
            if view.barrier.acked_absent(&id) {
                let since = self.let_go.get(&id).copied().unwrap_or(now);
                let_go.insert(id, since);
            } else if endpoint.is_some_and(|e| e.state == EndpointState::Draining) {
                let since = self.unacknowledged.get(&id).copied().unwrap_or(now);
                unacknowledged.insert(id, since);
            }
        }
        self.let_go = let_go;
        self.told.retain(|id| unacknowledged.contains_key(id));
        self.unacknowledged = unacknowledged;
    }

    /// Since when a running instance that is out is acknowledged as absent.
    pub(super) fn let_go_at(&self, id: &EndpointId) -> Option<Mono> {
        self.let_go.get(id).copied()
    }

    /// How long endpoints on their way out have waited for a balancer, the longest of them.
    pub(super) fn unacknowledged_for(&self, now: Mono) -> Option<Millis> {
        self.unacknowledged.values().min().map(|since| now.since(*since))
    }

    /// How long this endpoint has waited for a balancer.
    pub(super) fn unacknowledged(&self, id: &EndpointId, now: Mono) -> Option<Millis> {
        self.unacknowledged.get(id).map(|since| now.since(*since))
    }

    /// Whether people were told that this endpoint waits for a balancer.
    pub(super) fn was_told(&self, id: &EndpointId) -> bool {
        self.told.contains(id)
    }

    /// What the Engine said when it refused to start a container.
    pub(super) fn start_refusal(&self, id: &ContainerId) -> Option<&str> {
        self.refusals.get(id).map(|refusal| refusal.message.as_str())
    }

    /// How long this is not tried again, because it failed a moment ago.
    pub(super) fn rests_for(&self, subject: &Subject, now: Mono) -> Option<Millis> {
        self.resting.get(subject).filter(|until| **until > now).map(|until| until.since(now))
    }

    /// A plan is about to be carried out.
    pub fn planned(&mut self, plan: &NodePlan, now: Mono) {
        self.holdings.planned(&plan.actions);
        for container in &plan.released {
            self.deletion_guard.release(container, now);
        }
    }

    /// This run started the container: its end counts, even if it comes before anyone looks.
    pub(super) fn started(&mut self, replica: &ReplicaName, container: &ObservedContainer) {
        self.seen.extend(instance_of(container));
        if let Some(own) = self.replicas.get_mut(replica) {
            own.retry = None;
        }
    }

    /// The Engine refused to start a container.
    pub fn start_refused(&mut self, container: &ContainerId, message: String, is_fault: bool) {
        self.refusals.insert(container.clone(), StartRefusal { message, is_fault });
    }

    /// A container was looked into.
    pub fn examined(&mut self, replica: &ReplicaName, container: &ContainerId, found: Findings, now: Mono) {
        if let Some(own) = self.replicas.get_mut(replica) {
            own.crashes.found(container, found, now);
        }
    }

    /// The Engine refused to make a replica's container.
    pub fn create_refused(&mut self, replica: &ReplicaName, error: &EngineError, now: Now) {
        let own = self.replicas.entry(replica.clone()).or_default();
        let message = error.to_string();
        own.streak += 1;
        if matches!(error, EngineError::Invalid { .. }) {
            own.failures += 1;
            own.crashes.not_made(message.clone(), now.mono);
        }
        let wait = backoff::retry(own.streak);
        own.retry = Some(Retry::after(now, wait, WaitReason::EngineRefused { message }));
    }

    /// A container has the name of this attempt, or may have had it: no other gets it.
    pub fn attempted(&mut self, replica: &ReplicaName, attempt: u32) {
        let own = self.replicas.entry(replica.clone()).or_default();
        own.attempted = own.attempted.max(attempt);
    }

    /// A signal went out.
    pub fn signalled(&mut self, instance: &EndpointId, kill: bool, now: Mono) {
        let signal =
            self.signals.entry(instance.clone()).or_insert(Signalled { stop_at: now, kill_at: None });
        if kill {
            signal.kill_at = Some(now);
        }
    }

    /// An image is there or not.
    pub fn image(&mut self, image: &str, present: bool) {
        let known = if present { ImageMemory::Present } else { ImageMemory::Absent };
        self.images.insert(image.to_owned(), known);
    }

    /// An image could not be had.
    pub fn image_failed(&mut self, image: &str, error: &EngineError, now: Now) {
        let streak = match self.images.get(image) {
            Some(ImageMemory::Failed { streak, .. }) => streak + 1,
            _ => 1,
        };
        let wait = backoff::retry(streak);
        let refusal = match error {
            EngineError::ImageUnknown { .. } => Some(ImageRefusal::NotFound),
            EngineError::PullDenied { .. } => Some(ImageRefusal::Denied),
            _ => None,
        };
        let reason = WaitReason::ImageUnavailable { message: error.to_string(), refusal };
        let retry = Retry::after(now, wait, reason);
        self.images.insert(image.to_owned(), ImageMemory::Failed { streak, retry });
    }

    /// A plan was stored.
    pub(super) fn stored(&mut self, plan: &NodePlan, now: Mono) {
        for (_, status) in &plan.statuses {
            self.replicas.entry(status.replica.clone()).or_default().written_at = Some(now);
        }
        self.told.extend(plan.told.iter().cloned());
    }

    /// Something is not tried again for a while.
    pub(super) fn rest(&mut self, subject: Subject, until: Mono) {
        self.resting.insert(subject, until);
    }

    /// The Engine would not remove a network: something uses it. How long it rests.
    pub(super) fn network_in_use(&mut self, name: &str) -> Millis {
        let streak = self.networks_in_use.entry(name.to_owned()).or_default();
        *streak += 1;
        backoff::retry(*streak)
    }

    /// The Engine went away: what ends from now on until it is seen again does not count, and images may go.
    pub fn engine_lost(&mut self) {
        self.seen.clear();
        self.images.retain(|_, known| matches!(known, ImageMemory::Failed { .. }));
    }
}

/// What the end of a container is called.
fn seen(wanted: &WantedReplica, dead: &ObservedContainer, reason: &WaitReason) -> Option<FailureCause> {
    let limit = wanted.revision.as_ref().and_then(|revision| revision.spec.resources.memory);
    let own = wanted.status.as_ref().filter(|status| status.container.as_ref() == Some(&dead.id));
    let was_healthy = own.is_some_and(|status| status.ready_after.is_some());
    match reason {
        WaitReason::Exited { oom_killed: true, .. } => Some(FailureCause::OutOfMemory { limit }),
        WaitReason::Exited { code, .. } => Some(FailureCause::Exited { code: *code, was_healthy }),
        WaitReason::EngineRefused { message } => Some(FailureCause::CannotStart { message: message.clone() }),
        _ => None,
    }
}
