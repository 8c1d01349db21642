//! What is remembered of one replica: its failures in a row, and the back-off that follows from them. Pure.

use std::collections::BTreeSet;

use super::crashes::Crashes;
use super::retries::Retry;
use super::trial::TrialClock;
use crate::agent::backoff;
use crate::agent::view::{NodeView, WantedReplica, instance_of, is_up, shown_state};
use crate::engine::{ContainerState, ObservedContainer};
use crate::model::{
    ContainerId, ExposureMode, FailedProbe, LastExit, Millis, Mono, NotReadyCause, Now, ReplicaHistory,
    ReplicaPhase, ReplicaStatus,
};
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
    /// How long it has been trying to serve.
    pub(in crate::agent) trial: TrialClock,
    /// Whether it has ever served for `healthyFor`, as far as this run knows.
    pub(super) has_served: bool,
    /// Healthy without interruption since.
    pub(super) healthy_since: Option<Mono>,
    /// Its containers that failed, and what was found in them.
    pub(in crate::agent) crashes: Crashes,
    /// What happened to its containers: continues from the stored status.
    pub(in crate::agent) history: ReplicaHistory,
    /// The last lookup of its volumes.
    pub(in crate::agent) volume_lookup: Option<VolumeLookup>,
    /// When its status was last written.
    pub(in crate::agent) written_at: Option<Mono>,
}

/// Why a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExitOrigin {
    /// It was asked to stop, or its replica should not run.
    Requested,
    /// By itself, and this run of the agent saw it running or being refused: that is a failure.
    Container,
    /// Killed by a user's command, or refused by an Engine that may start it later: a failure that the program is not to blame for.
    Accident,
    /// Before this run of the agent looked, or while the Engine was away.
    Unobserved,
}

/// Which of a replica's volumes, of those that held data, the Engine lacked at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::agent) struct VolumeLookup {
    pub(in crate::agent) at: Mono,
    pub(in crate::agent) missing: BTreeSet<String>,
}

impl ReplicaMemory {
    /// What an earlier agent stored of a replica.
    pub(super) fn of_status(status: Option<&ReplicaStatus>, now: Mono) -> Self {
        let Some(status) = status else { return Self::default() };
        Self {
            streak: status.diagnosis.as_ref().map_or(0, |diagnosis| diagnosis.evidence.times),
            failures: status.failures,
            trial: TrialClock::of_status(status),
            crashes: Crashes::of_diagnosis(status.diagnosis.as_ref(), now),
            history: status.history.clone(),
            ..Self::default()
        }
    }

    /// Counts the time that it has been trying to serve, from its first container on. It has passed once it was healthy for
    /// `healthyFor`.
    pub(super) fn fold_trial(
        &mut self,
        view: &NodeView,
        wanted: &WantedReplica,
        current: Option<&ObservedContainer>,
        has_begun: bool,
        now: Now,
    ) {
        let Some(revision) = wanted.revision.as_deref().filter(|_| wanted.replica.runs()) else { return };
        let healthy_for = revision.spec.rollout.healthy_for;
        if self.healthy_since.is_some_and(|since| now.mono.since(since) >= healthy_for) {
            self.trial.passed();
            self.has_served = true;
        } else if view.engine_answers && (has_begun || self.retry.is_some()) {
            let running = current.filter(|c| c.state == ContainerState::Running);
            let running = running.filter(|_| self.healthy_since.is_none());
            self.trial.count(running.map(|c| &c.id), revision.spec.health.start_within, now);
        } else {
            self.trial.hold();
        }
    }

    pub(super) fn fold_health(
        &mut self,
        wanted: &WantedReplica,
        current: Option<&ObservedContainer>,
        now: Mono,
    ) {
        let is_current =
            |s: &&ReplicaStatus| current.is_some_and(|c| is_up(c) && s.container.as_ref() == Some(&c.id));
        let stored = wanted.status.as_ref().filter(is_current);
        let ready = stored.is_some_and(|s| s.phase == ReplicaPhase::Ready);
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
        } else if let Some(last) =
            self.too_late(wanted, current, view.probes.get(&instance)).filter(|_| !was_ready)
        {
            let start_within = wanted.revision.as_ref().map(|revision| revision.spec.health.start_within);
            let cause = NotReadyCause::Unhealthy { probe: last.clone(), start_within };
            self.mark_for_replacement(&current.id, cause.clone());
            self.crashes.failed(current, cause, now);
        }
    }

    /// The last failed probe of a container whose `startWithin` has passed without a success.
    fn too_late<'p>(
        &self,
        wanted: &WantedReplica,
        current: &ObservedContainer,
        probe: Option<&'p ProbeState>,
    ) -> Option<&'p FailedProbe> {
        let start_within = wanted.revision.as_ref()?.spec.health.start_within;
        match probe? {
            ProbeState::TooLate { last, .. } => Some(last),
            ProbeState::Starting { last, .. } => {
                last.as_ref().filter(|_| self.trial.is_over_for(&current.id, start_within))
            }
            ProbeState::Ready { .. } | ProbeState::Failing { .. } => None,
        }
    }

    /// Wait before the next container after a failure.
    fn wait(&self, start_within: Millis) -> Millis {
        let is_starting = !self.has_served && !self.trial.is_over(start_within);
        if is_starting { backoff::start(self.streak) } else { backoff::restart(self.streak) }
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
        exited: &ObservedContainer,
        cause: NotReadyCause,
        origin: ExitOrigin,
        start_within: Millis,
        now: Now,
    ) -> bool {
        let replaced = self.to_replace.take().filter(|(id, _)| *id == exited.id);
        let is_seen = matches!(origin, ExitOrigin::Container | ExitOrigin::Accident);
        let fails = is_seen && replaced.is_none();
        if fails {
            self.streak += 1;
            self.failures += 1;
        }
        // What was done to it by hand is no failure of the container.
        let was_faulty =
            replaced.as_ref().is_some_and(|(_, cause)| !matches!(cause, NotReadyCause::OffNetwork { .. }));
        // One that ended before this run looked waits as well, where it is one of many.
        let is_loop = fails || was_faulty || (replaced.is_none() && self.streak > 1);
        let wait = if is_loop { self.wait(start_within) } else { Millis(0) };
        let is_own = origin != ExitOrigin::Requested || replaced.is_some();
        let cause = replaced.map_or(cause, |(_, cause)| cause);
        // An agent that was restarted while it waits to start the next container sees the exit once more.
        let is_known = self.history.last_exit.as_ref().is_some_and(|last| last.container == exited.id);
        if is_own && !is_known {
            let at = exited.finished_at.unwrap_or(now.wall);
            let container = exited.id.clone();
            self.history.last_exit = Some(LastExit { at, cause: cause.clone(), container });
            if was_faulty || (fails && origin == ExitOrigin::Container) {
                self.history.failed(at);
            }
        }
        self.retry = Some(Retry::after(now, wait, cause));
        self.healthy_since = None;
        fails
    }
}
