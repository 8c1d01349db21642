//! What is remembered of one replica: its failures in a row, and the wait that follows from them. Pure.

use super::backoff;
use super::crashes::Crashes;
use super::view::{NodeView, WantedReplica, instance_of, is_up, shown_state};
use crate::engine::{ContainerState, ObservedContainer};
use crate::model::{ContainerId, ExposureMode, FailureCause, Millis, Mono, Now, ReplicaPhase, WaitReason};
use crate::probe::ProbeState;

/// A wait that was begun: when it ends, and why it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// For decisions.
    pub at: Mono,
    /// The same moment for people.
    pub wall: jiff::Timestamp,
    /// What happened.
    pub reason: WaitReason,
}

impl Retry {
    pub(super) fn after(now: Now, wait: Millis, reason: WaitReason) -> Self {
        Self { at: now.mono.after(wait), wall: now.wall + wait.std(), reason }
    }
}

/// What is remembered of a replica.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplicaMemory {
    /// Failures since the last long health: decides the back-off.
    pub streak: u32,
    /// Failures ever, for people and for rollouts: goes on from the stored status.
    pub failures: u32,
    /// The wait before the next container.
    pub retry: Option<Retry>,
    /// A container that never became ready in time, or cannot be reached: it is replaced, for this reason.
    pub condemned: Option<(ContainerId, WaitReason)>,
    /// The highest attempt whose container name some container has, or may have had.
    pub attempted: u32,
    /// Healthy without a break since.
    pub healthy_since: Option<Mono>,
    /// Its containers that failed, and what was found in them.
    pub crashes: Crashes,
    /// When its status was last written.
    pub written_at: Option<Mono>,
}

impl ReplicaMemory {
    pub(super) fn notice_health(&mut self, wanted: &WantedReplica, current: &ObservedContainer, now: Mono) {
        let stored = wanted.status.as_ref().filter(|s| s.container.as_ref() == Some(&current.id));
        let ready = stored.is_some_and(|s| s.phase == ReplicaPhase::Ready) && is_up(current);
        self.healthy_since = if ready { self.healthy_since.or(Some(now)) } else { None };
        if self.healthy_since.is_some_and(|since| now.since(since) >= backoff::RESET_AFTER) {
            self.streak = 0;
            self.crashes.clear();
        }
    }

    /// Condemns a container that never became ready in time, or that nobody can reach. One that was ready once is never
    /// replaced for its health.
    pub(super) fn notice_trouble(
        &mut self,
        view: &NodeView,
        wanted: &WantedReplica,
        current: &ObservedContainer,
        now: Mono,
    ) {
        let Some(instance) = instance_of(current).filter(|_| current.state == ContainerState::Running) else {
            return;
        };
        if !wanted.replica.runs() || self.condemned.as_ref().is_some_and(|(id, _)| *id == current.id) {
            return;
        }
        let network = view.network_name(&wanted.replica.app);
        let has_port = wanted.revision.as_ref().is_none_or(|r| !r.spec.ports.is_empty());
        let was_ready = match has_port {
            true => wanted.endpoint.as_ref().is_some_and(|e| e.id() == instance),
            false => shown_state(wanted, current).is_some(),
        };
        let out_of_reach =
            view.facts.exposure == ExposureMode::Published && current.published.is_empty() && has_port;
        if !current.addresses.contains_key(&network) {
            let message = format!("the container was taken off its network {network}");
            self.condemn(&current.id, WaitReason::EngineRefused { message });
        } else if out_of_reach && !was_ready {
            let message = "the container was made without published ports".to_owned();
            self.condemn(&current.id, WaitReason::EngineRefused { message });
        } else if let (Some(ProbeState::TooLate { last, .. }), false) =
            (view.probes.get(&instance), was_ready)
        {
            self.condemn(&current.id, WaitReason::HealthCheckFailing { message: last.message.clone() });
            let start_within = wanted.revision.as_ref().map(|revision| revision.spec.health.start_within);
            let seen = FailureCause::Unhealthy { probe: last.clone(), listening: None, start_within };
            self.crashes.failed(current, seen, now);
        }
    }

    /// A container is to be replaced for this reason; counted once.
    fn condemn(&mut self, container: &ContainerId, reason: WaitReason) {
        self.condemned = Some((container.clone(), reason));
        self.streak += 1;
        self.failures += 1;
    }

    /// A container of this replica was found ended. Says whether that is a failure that was not counted before.
    pub(super) fn notice_end(
        &mut self,
        container: &ContainerId,
        reason: WaitReason,
        counts: bool,
        now: Now,
    ) -> bool {
        let condemned = self.condemned.take().filter(|(id, _)| id == container);
        let fails = counts && condemned.is_none();
        if fails {
            self.streak += 1;
            self.failures += 1;
        }
        let wait = if fails || condemned.is_some() { backoff::restart(self.streak) } else { Millis(0) };
        let reason = condemned.map_or(reason, |(_, why)| why);
        self.retry = Some(Retry::after(now, wait, reason));
        self.healthy_since = None;
        fails
    }
}
