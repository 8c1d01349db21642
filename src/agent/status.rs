//! From a replica's step to the writes: status, endpoint, events. Pure.

use std::mem::discriminant;
use std::net::IpAddr;

use super::classify::ReplicaContainers;
use super::memory::{ReplicaMemory, TRIAL_WRITTEN_EVERY};
use super::node_plan::EndpointWrite;
use super::plan_builder::PlanBuilder;
use super::status_events;
use super::view::{WantedReplica, address_of, attempt_of, instance_of};
use crate::engine::ObservedContainer;
use crate::model::{
    ContainerId, CutRequests, Endpoint, FailedProbe, Millis, NotReadyCause, ReplicaHistory, ReplicaPhase,
    ReplicaStatus, Trial,
};
use crate::probe::ProbeTarget;

/// A status that differs only in the text of its last observation, or in the time of its trial, is written at most this often: a
/// probe's message may change with every probe. An agent that starts counts what the last one counted and did not write, and
/// writes it at once. The first reason is written at once: a rollout that misses its deadline reports it as the cause.
const DETAIL_EVERY: Millis = TRIAL_WRITTEN_EVERY;

/// What a pass decided about one replica, for the store and the probes.
#[derive(Debug)]
pub(super) struct ReplicaStep<'a> {
    pub(super) phase: ReplicaPhase,
    /// The container to show: the one alive, else the last one.
    pub(super) shown: Option<&'a ObservedContainer>,
    pub(super) attempt: u32,
    /// Its endpoint, if it is to be written.
    pub(super) endpoint: Option<Endpoint>,
    pub(super) probe: Option<ProbeTarget>,
    /// Requests that its stop cuts.
    pub(super) cut: Option<CutRequests>,
}

impl<'a> ReplicaStep<'a> {
    /// A step that only sets the phase.
    pub(super) fn of(phase: ReplicaPhase, containers: &ReplicaContainers<'a>) -> Self {
        let shown = containers.current.or(containers.last);
        Self { phase, shown, attempt: containers.highest_attempt(), endpoint: None, probe: None, cut: None }
    }
}

/// Adds to the plan what differs from the store.
pub(super) fn record(builder: &mut PlanBuilder<'_>, wanted: &WantedReplica, step: ReplicaStep<'_>) {
    builder.plan.probes.extend(step.probe.clone());
    let changed = step.endpoint.clone().filter(|e| wanted.endpoint.as_ref() != Some(e));
    let status = status(builder, wanted, &step);
    builder.plan.endpoints.extend(changed.clone().map(EndpointWrite::Put));
    match wanted.status.as_ref() {
        Some(stored) if *stored == status => return,
        Some(stored) if changed.is_none() && only_detail(stored, &status) => {
            let written = builder.memory.replicas.get(&wanted.replica.name).and_then(|m| m.written_at);
            let age = written.map_or(DETAIL_EVERY, |at| builder.now.mono.since(at));
            if age < DETAIL_EVERY {
                builder.wake(Millis(DETAIL_EVERY.0 - age.0));
                return;
            }
        }
        _ => {}
    }
    let service = &wanted.replica.service;
    for event in status_events::of_change(builder.now.wall, wanted, &status) {
        builder.plan.events.push((service.clone(), event));
    }
    builder.plan.statuses.push((service.clone(), status));
}

fn status(builder: &PlanBuilder<'_>, wanted: &WantedReplica, step: &ReplicaStep<'_>) -> ReplicaStatus {
    let stored = wanted.status.as_ref();
    let remembered = builder.memory.replicas.get(&wanted.replica.name);
    let is_kept = |shown: &ObservedContainer| stored.is_some_and(|stored| is_previous(stored, shown));
    let shown = match step.phase {
        ReplicaPhase::Gone => None,
        // Whichever is retained is the one to look at.
        ReplicaPhase::Retained => step.shown,
        _ => step.shown.filter(|shown| !is_kept(shown)),
    };
    let new = shown.filter(|shown| !is_kept(shown));
    let same_container = stored.filter(|s| s.container.as_ref() == shown.map(|c| &c.id));
    let same_phase = stored.filter(|s| discriminant(&s.phase) == discriminant(&step.phase));
    let now = builder.now.wall;
    let phase = match (stored.map(|s| &s.phase), &step.phase) {
        (Some(stored), new) if is_same_wait(stored, new) => stored.clone(),
        (_, new) => new.clone(),
    };
    let ready_after = same_container.and_then(|s| s.ready_after).or_else(|| {
        let started = shown?.started_at.filter(|_| step.phase == ReplicaPhase::Ready)?;
        let millis = now.as_millisecond() - started.as_millisecond();
        Some(Millis(u64::try_from(millis).unwrap_or(0)))
    });
    ReplicaStatus {
        replica: wanted.replica.name.clone(),
        phase,
        attempt: stored.map_or(0, |s| s.attempt).max(step.attempt),
        failures: remembered.map_or(0, |m| m.failures).max(stored.map_or(0, |s| s.failures)),
        container: shown.map(|c| c.id.clone()),
        published: shown.map(|c| c.published.clone()).unwrap_or_default(),
        address: shown.and_then(address_of).map(IpAddr::V4),
        ready_after,
        since: same_phase.map_or(now, |s| s.since),
        trial: trial(stored, remembered, &step.phase),
        diagnosis: remembered
            .and_then(|own| own.crashes.diagnosis(&step.phase, failed_probe(builder, shown))),
        // A restarted agent sends the signal again: the first one cut them.
        cut: stored.and_then(|s| s.cut.clone()).or_else(|| step.cut.clone()),
        history: history(stored, remembered, new.map(|c| &c.id), &step.phase, now),
    }
}

/// Whether a container ended before the one of the stored status began: it is kept for its log only.
fn is_previous(stored: &ReplicaStatus, container: &ObservedContainer) -> bool {
    attempt_of(container) < stored.attempt && stored.container.as_ref() != Some(&container.id)
}

/// How long it has been trying to serve. While it serves, the time so far is left as it is until `healthyFor` has passed: a pass
/// that changes nothing writes nothing.
fn trial(stored: Option<&ReplicaStatus>, own: Option<&ReplicaMemory>, phase: &ReplicaPhase) -> Trial {
    match own {
        Some(own) if phase.is_trying() || own.trial.has_passed() => own.trial.trial(),
        _ => stored.map(|status| status.trial).unwrap_or_default(),
    }
}

/// What happened to it: its exits as remembered, the rest from the stored status, because a pass sees each of these changes once.
fn history(
    stored: Option<&ReplicaStatus>,
    own: Option<&ReplicaMemory>,
    shown: Option<&ContainerId>,
    phase: &ReplicaPhase,
    now: jiff::Timestamp,
) -> ReplicaHistory {
    let before = stored.and_then(|status| status.container.as_ref());
    let mut history = own.map(|own| own.history.clone()).unwrap_or_default();
    if let Some(status) = stored {
        history.containers = status.history.containers;
        history.unready_at.clone_from(&status.history.unready_at);
    }
    if shown.is_some() && shown != before {
        // An older status has a container and no count.
        history.containers = history.containers.max(u32::from(before.is_some())).saturating_add(1);
    }
    let was_ready = stored.is_some_and(ReplicaStatus::is_ready);
    if was_ready && matches!(phase, ReplicaPhase::Unready { cause: NotReadyCause::Unhealthy { .. } }) {
        history.became_unready(now);
    }
    history
}

/// The last probe of a container, if it failed.
fn failed_probe<'v>(
    builder: &'v PlanBuilder<'_>,
    shown: Option<&'v ObservedContainer>,
) -> Option<(&'v ContainerId, &'v FailedProbe)> {
    let container = shown?;
    let state = builder.view.probes.get(&instance_of(container)?)?;
    Some((&container.id, state.last()?))
}

/// Whether both are the same wait, with ends that differ only by rounding.
fn is_same_wait(stored: &ReplicaPhase, new: &ReplicaPhase) -> bool {
    match (stored, new) {
        (
            ReplicaPhase::BackOff { cause: a, retry_at: x },
            ReplicaPhase::BackOff { cause: b, retry_at: y },
        ) => a == b && (*x - *y).abs().total(jiff::Unit::Second).is_ok_and(|seconds| seconds < 1.0),
        _ => false,
    }
}

/// Whether two statuses differ only in the time of the trial and the text of a cause: both have one, of the same kind, or neither has.
fn only_detail(stored: &ReplicaStatus, new: &ReplicaStatus) -> bool {
    let same_kind = discriminant(&stored.phase) == discriminant(&new.phase)
        && stored.phase.cause().map(discriminant) == new.phase.cause().map(discriminant);
    let same_diagnosis = match (&stored.diagnosis, &new.diagnosis) {
        (Some(stored), Some(new)) => stored.is_same_as(new),
        (stored, new) => stored == new,
    };
    let phase = stored.phase.clone();
    let diagnosis = stored.diagnosis.clone();
    let trial = stored.trial;
    same_kind && same_diagnosis && ReplicaStatus { phase, diagnosis, trial, ..new.clone() } == *stored
}
