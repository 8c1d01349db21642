//! From a step to what is stored: status, endpoint, event. Pure.

use std::mem::discriminant;
use std::net::IpAddr;

use super::classify::OfReplica;
use super::draft::{Draft, EndpointWrite};
use super::events;
use super::view::{WantedReplica, address_of, instance_of};
use crate::engine::ObservedContainer;
use crate::model::{ContainerId, Endpoint, FailedProbe, Millis, ReplicaPhase, ReplicaStatus, WaitReason};
use crate::probe::ProbeTarget;

/// A status that differs only in the text of its last observation is written at most so often: a probe's answer may
/// change with every probe, and the store is no place for that. The first reason is written at once: a rollout that
/// runs out of time gives it as the cause.
const DETAIL_EVERY: Millis = Millis::secs(5);

/// What a pass found out about one replica, and what follows for the store and the probes.
#[derive(Debug)]
pub(super) struct Step<'a> {
    /// Where it stands.
    pub(super) phase: ReplicaPhase,
    /// The container to show: the one alive, else the last one.
    pub(super) shown: Option<&'a ObservedContainer>,
    /// The highest attempt that exists.
    pub(super) attempt: u32,
    /// Its endpoint, where it is to be written.
    pub(super) endpoint: Option<Endpoint>,
    /// What is to be probed.
    pub(super) probe: Option<ProbeTarget>,
}

impl<'a> Step<'a> {
    /// A step that only says where the replica stands.
    pub(super) fn of(phase: ReplicaPhase, of: &OfReplica<'a>) -> Self {
        let shown = of.current.or(of.last);
        Self { phase, shown, attempt: of.highest_attempt(), endpoint: None, probe: None }
    }
}

/// Puts a step into the plan: what differs from what is stored.
pub(super) fn settle(draft: &mut Draft<'_>, wanted: &WantedReplica, step: Step<'_>) {
    draft.plan.probes.extend(step.probe.clone());
    let moved = step.endpoint.clone().filter(|e| wanted.endpoint.as_ref() != Some(e));
    let status = status(draft, wanted, &step);
    draft.plan.endpoints.extend(moved.clone().map(EndpointWrite::Put));
    match wanted.status.as_ref() {
        Some(stored) if *stored == status => return,
        Some(stored) if moved.is_none() && only_detail(stored, &status) => {
            let written = draft.view.memory.replicas.get(&wanted.replica.name).and_then(|m| m.written_at);
            let age = written.map_or(DETAIL_EVERY, |at| draft.now.mono.since(at));
            if age < DETAIL_EVERY {
                draft.wake(Millis(DETAIL_EVERY.0 - age.0));
                return;
            }
        }
        _ => {}
    }
    let service = &wanted.replica.service;
    for event in events::of_change(draft.now.wall, wanted, &status) {
        draft.plan.events.push((service.clone(), event));
    }
    draft.plan.statuses.push((service.clone(), status));
}

fn status(draft: &Draft<'_>, wanted: &WantedReplica, step: &Step<'_>) -> ReplicaStatus {
    let stored = wanted.status.as_ref();
    let remembered = draft.view.memory.replicas.get(&wanted.replica.name);
    let shown = step.shown.filter(|_| step.phase != ReplicaPhase::Gone);
    let same_container = stored.filter(|s| s.container.as_ref() == shown.map(|c| &c.id));
    let same_phase = stored.filter(|s| discriminant(&s.phase) == discriminant(&step.phase));
    let now = draft.now.wall;
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
        diagnosis: remembered.and_then(|own| own.crashes.diagnosis(&step.phase, failed_probe(draft, shown))),
    }
}

/// The last probe of a container, if it failed.
fn failed_probe<'v>(
    draft: &'v Draft<'_>,
    shown: Option<&'v ObservedContainer>,
) -> Option<(&'v ContainerId, &'v FailedProbe)> {
    let container = shown?;
    let state = draft.view.probes.get(&instance_of(container)?)?;
    Some((&container.id, state.last()?))
}

/// Whether both are the same wait, whose end is only computed a little differently.
fn is_same_wait(stored: &ReplicaPhase, new: &ReplicaPhase) -> bool {
    match (stored, new) {
        (
            ReplicaPhase::BackOff { reason: a, retry_at: x },
            ReplicaPhase::BackOff { reason: b, retry_at: y },
        ) => a == b && (*x - *y).abs().total(jiff::Unit::Second).is_ok_and(|seconds| seconds < 1.0),
        _ => false,
    }
}

/// Whether two statuses differ only in the words of a reason: both have one, of the same kind, or neither has.
fn only_detail(stored: &ReplicaStatus, new: &ReplicaStatus) -> bool {
    let same_kind = discriminant(&stored.phase) == discriminant(&new.phase)
        && reason(&stored.phase).map(discriminant) == reason(&new.phase).map(discriminant);
    let same_trouble = match (&stored.diagnosis, &new.diagnosis) {
        (Some(stored), Some(new)) => stored.is_same_as(new),
        (stored, new) => stored == new,
    };
    let (phase, diagnosis) = (stored.phase.clone(), stored.diagnosis.clone());
    same_kind && same_trouble && ReplicaStatus { phase, diagnosis, ..new.clone() } == *stored
}

fn reason(phase: &ReplicaPhase) -> Option<&WaitReason> {
    match phase {
        ReplicaPhase::Waiting { reason } | ReplicaPhase::Starting { reason } => reason.as_ref(),
        ReplicaPhase::Unready { reason } | ReplicaPhase::BackOff { reason, .. } => Some(reason),
        ReplicaPhase::Pulling
        | ReplicaPhase::Ready
        | ReplicaPhase::Draining
        | ReplicaPhase::Stopping
        | ReplicaPhase::Retained
        | ReplicaPhase::Gone => None,
    }
}
