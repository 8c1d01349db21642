//! What is remembered of one replica: its failures in a row, and the back-off that follows from them. Pure.

use std::collections::BTreeSet;

use super::crashes::Crashes;
use super::retries::Retry;
use crate::agent::backoff;
use crate::agent::view::{NodeView, WantedReplica, instance_of, is_up, shown_state};
use crate::engine::{ContainerState, ObservedContainer};
use crate::model::{ContainerId, ExposureMode, Millis, Mono, NotReadyCause, Now, ReplicaPhase};
use crate::probe::ProbeState;

/// What is remembered of a replica.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::agent) struct ReplicaMemory {
    /// Failures since it was last healthy for long: decides the back-off.
    pub(super) streak: u32,
    /// Creations that the Engine refused since a container was last started: decides the wait before the next.
    pub(super) refusals: u32,
    /// All failures, for the user and for rollouts: continues from the stored status.
    pub(in crate::agent) failures: u32,
    /// The wait before the next container.
    pub(in crate::agent) retry: Option<Retry>,
    /// A container that the agent replaces, and why: it never became ready in time, or cannot be reached.
    pub(in crate::agent) to_replace: Option<(ContainerId, NotReadyCause)>,
    /// The highest attempt whose container name is taken, or may have been.
    pub(in crate::agent) attempted: u32,
    /// Healthy without interruption since.
    pub(super) healthy_since: Option<Mono>,
    /// Its containers that failed, and what was found in them.
    pub(in crate::agent) crashes: Crashes,
    /// The last lookup of its volumes.
    pub(in crate::agent) volume_lookup: Option<VolumeLookup>,
    /// When its status was last written.
    pub(in crate::agent) written_at: Option<Mono>,
}

/// Which of a replica's volumes, of those that held data, the Engine lacked at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::agent) struct VolumeLookup {
    pub(in crate::agent) at: Mono,
    pub(in crate::agent) missing: BTreeSet<String>,
}

impl ReplicaMemory {
    pub(super) fn fold_health(&mut self, wanted: &WantedReplica, current: &ObservedContainer, now: Mono) {
        let stored = wanted.status.as_ref().filter(|s| s.container.as_ref() == Some(&current.id));
        let ready = stored.is_some_and(|s| s.phase == ReplicaPhase::Ready) && is_up(current);
        self.healthy_since = if ready { self.healthy_since.or(Some(now)) } else { None };
        if self.healthy_since.is_some_and(|since| now.since(since) >= backoff::RESET_AFTER) {
            self.streak = 0;
            self.crashes.clear();
        }
    }

    /// Marks a container for replacement that never became ready in time, or that cannot be reached. One that was ready once
    /// is never replaced for its health.
    pub(super) fn fold_running(
        &mut self,
        view: &NodeView,
        wanted: &WantedReplica,
        current: &ObservedContainer,
        now: Mono,
    ) {
        let Some(instance) = instance_of(current).filter(|_| current.state == ContainerState::Running) else {
            return;
        };
        if !wanted.replica.runs() || self.to_replace.as_ref().is_some_and(|(id, _)| *id == current.id) {
            return;
        }
        let has_port = wanted.revision.as_ref().is_none_or(|r| !r.spec.ports.is_empty());
        let was_ready = match has_port {
            true => wanted.endpoint.as_ref().is_some_and(|e| e.id() == instance),
            false => shown_state(wanted, current).is_some(),
        };
        let out_of_reach =
            view.facts.exposure == ExposureMode::Published && current.published.is_empty() && has_port;
        if out_of_reach && !was_ready {
            let message = "the container was made without published ports";
            self.mark_for_replacement(&current.id, NotReadyCause::cannot_start(message));
        } else if let (Some(ProbeState::TooLate { last, .. }), false) =
            (view.probes.get(&instance), was_ready)
        {
            let start_within = wanted.revision.as_ref().map(|revision| revision.spec.health.start_within);
            let cause = NotReadyCause::Unhealthy { probe: last.clone(), start_within };
            self.mark_for_replacement(&current.id, cause.clone());
            self.crashes.failed(current, cause, now);
        }
    }

    /// Marks a container for replacement, and counts one failure.
    fn mark_for_replacement(&mut self, container: &ContainerId, cause: NotReadyCause) {
        self.to_replace = Some((container.clone(), cause));
        self.streak += 1;
        self.failures += 1;
    }

    /// A container of this replica has exited; returns whether that is a failure that was not counted before.
    pub(super) fn fold_exit(
        &mut self,
        container: &ContainerId,
        cause: NotReadyCause,
        counts: bool,
        now: Now,
    ) -> bool {
        let replaced = self.to_replace.take().filter(|(id, _)| id == container);
        let fails = counts && replaced.is_none();
        if fails {
            self.streak += 1;
            self.failures += 1;
        }
        // What was done to it by hand is no failure of the container.
        let was_faulty =
            replaced.as_ref().is_some_and(|(_, cause)| !matches!(cause, NotReadyCause::OffNetwork { .. }));
        let wait = if fails || was_faulty { backoff::restart(self.streak) } else { Millis(0) };
        let cause = replaced.map_or(cause, |(_, cause)| cause);
        self.retry = Some(Retry::after(now, wait, cause));
        self.healthy_since = None;
        fails
    }
}
