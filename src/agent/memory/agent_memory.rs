//! The agent's memory, and how the results of actions change it. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::barrier::BarrierMemory;
use super::deletion_guard::DeletionGuard;
use super::exits::ExitMemory;
use super::gateway::GatewayChecks;
use super::images::ImageMemories;
use super::leases::Leases;
use super::replica::{ReplicaMemory, VolumeLookup};
use super::retries::{Retries, Retry};
use crate::agent::action::AgentAction;
use crate::agent::backoff::RETRY;
use crate::agent::node_plan::NodePlan;
use crate::engine::{EngineError, ObservedContainer};
use crate::model::{
    AppName, ContainerId, EndpointId, Evidence, GatewayAnswer, Mono, NotReadyCause, Now, ReplicaName,
};

/// What the agent remembers between passes.
#[derive(Debug, Clone, Default)]
pub struct AgentMemory {
    /// When this agent started.
    pub(in crate::agent) started: Mono,
    pub(in crate::agent) replicas: BTreeMap<ReplicaName, ReplicaMemory>,
    pub(in crate::agent) exits: ExitMemory,
    pub(in crate::agent) barrier: BarrierMemory,
    pub(in crate::agent) images: ImageMemories,
    pub(in crate::agent) leases: Leases,
    pub(in crate::agent) deletion_guard: DeletionGuard,
    pub(in crate::agent) retries: Retries,
    pub(in crate::agent) gateway: GatewayChecks,
    /// Volumes that the user removed, or whose loss the user confirmed, until the node's state has forgotten them.
    pub(in crate::agent) recreatable_volumes: BTreeSet<String>,
}

impl AgentMemory {
    /// The memory of an agent that starts now.
    pub fn new(started: Mono) -> Self {
        Self { started, ..Self::default() }
    }

    /// A plan is about to be carried out.
    pub(in crate::agent) fn planned(&mut self, plan: &NodePlan, now: Mono) {
        for action in &plan.actions {
            if let AgentAction::Create { replica, cursors, spec, .. } = action {
                self.leases.reserve(replica, spec, cursors);
            }
        }
        self.deletion_guard.release(&plan.released, now);
    }

    pub(in crate::agent) fn stored(&mut self, plan: &NodePlan, now: Mono) {
        for (_, status) in &plan.statuses {
            self.replicas.entry(status.replica.clone()).or_default().written_at = Some(now);
        }
        self.barrier.warned(&plan.warned);
        self.gateway.reported(&plan.gateway_events);
    }

    /// This run started the container: its exit counts, even if it comes before anyone looks.
    pub(in crate::agent) fn started(&mut self, replica: &ReplicaName, container: &ObservedContainer) {
        self.exits.observed_running(container);
        if let Some(own) = self.replicas.get_mut(replica) {
            own.retry = None;
            own.refusals = 0;
        }
    }

    /// The Engine refused to start a container; `is_fault` says that the spec can never work.
    pub fn start_refused(&mut self, container: &ContainerId, message: String, is_fault: bool) {
        self.exits.start_refused(container, message, is_fault);
    }

    /// A container was examined.
    pub fn examined(
        &mut self,
        replica: &ReplicaName,
        container: &ContainerId,
        evidence: Evidence,
        now: Mono,
    ) {
        if let Some(own) = self.replicas.get_mut(replica) {
            own.crashes.found(container, evidence, now);
        }
    }

    /// The Engine refused to create a replica's container.
    pub(in crate::agent) fn create_refused(&mut self, replica: &ReplicaName, error: &EngineError, now: Now) {
        let own = self.replicas.entry(replica.clone()).or_default();
        let message = error.to_string();
        own.refusals += 1;
        if matches!(error, EngineError::Invalid { .. }) {
            own.failures += 1;
            own.crashes.not_created(message.clone(), now.mono);
        }
        let wait = RETRY.wait(own.refusals);
        own.retry = Some(Retry::after(now, wait, NotReadyCause::cannot_start(message)));
    }

    /// A container that was taken off its network cannot be connected again, and is replaced.
    pub fn not_connectable(&mut self, replica: &ReplicaName, container: &ContainerId, network: &str) {
        let own = self.replicas.entry(replica.clone()).or_default();
        let cause = NotReadyCause::OffNetwork { network: network.to_owned() };
        own.to_replace = Some((container.clone(), cause));
    }

    /// A replica's volumes were looked up; these are missing.
    pub fn volumes_found(&mut self, replica: &ReplicaName, missing: BTreeSet<String>, now: Mono) {
        let own = self.replicas.entry(replica.clone()).or_default();
        own.volume_lookup = Some(VolumeLookup { at: now, missing });
    }

    /// The user removed these volumes, or confirmed their loss: empty ones may take their place.
    pub(in crate::agent) fn allow_recreation(&mut self, volumes: &BTreeSet<String>) {
        self.recreatable_volumes.extend(volumes.iter().cloned());
    }

    /// A container has the name of this attempt, or may have had it: no other gets it.
    pub(in crate::agent) fn attempted(&mut self, replica: &ReplicaName, attempt: u32) {
        let own = self.replicas.entry(replica.clone()).or_default();
        own.attempted = own.attempted.max(attempt);
    }

    /// A signal was sent; `kill` says that it was the SIGKILL after the grace period.
    pub fn signalled(&mut self, instance: &EndpointId, kill: bool, now: Mono) {
        self.barrier.signalled(instance, kill, now);
    }

    /// Containers of an app tried to connect to the balancer; `None` found out nothing.
    pub fn gateway_checked(
        &mut self,
        app: &AppName,
        target: SocketAddr,
        answer: Option<GatewayAnswer>,
        now: Mono,
    ) {
        self.gateway.checked(app, target, answer, now);
    }

    /// The Engine has an image, or does not.
    pub fn image(&mut self, image: &str, present: bool) {
        self.images.known(image, present);
    }

    /// The Engine went away: what exits from now on until it is seen again does not count, and images may disappear.
    pub fn engine_lost(&mut self) {
        self.exits.engine_lost();
        self.images.engine_lost();
    }
}
