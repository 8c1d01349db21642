//! Events: what is told to people, in which order and how many are kept.
//!
//! A replica's events follow from what its stored status was and what it becomes, and are written with it: none is told
//! twice, and none is lost. Keys are made from the time, so that several writers need no common counter.

use super::draft::Draft;
use super::removal::UNACKNOWLEDGED_AFTER;
use super::view::WantedReplica;
use crate::model::{
    ContainerId, EndpointState, Event, EventKind, EventReason, ReplicaPhase, ReplicaStatus, ServiceName,
    WaitReason, key,
};
use crate::store::{Op, Store, StoreError};

/// Events kept per service; the oldest go.
pub const MAX_EVENTS: usize = 100;

/// Who writes: tells keys apart that are made in the same microsecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// What happens to containers.
    Agent,
    /// What happens to services and rollouts.
    Orchestrator,
    /// What a user does to a container.
    User,
}

impl Writer {
    /// Writers that there can be.
    const COUNT: u64 = 3;

    /// Where this one's keys begin within a microsecond.
    fn lane(self) -> u64 {
        match self {
            Self::Agent => 0,
            Self::Orchestrator => PER_WRITER,
            Self::User => 2 * PER_WRITER,
        }
    }
}

/// Room for the events of one transaction of one writer within a microsecond.
const PER_WRITER: u64 = 100;

/// The writes that add a service's events and drop the oldest beyond [`MAX_EVENTS`]. `existing` are the keys under
/// [`key::events_of`], in their order. Of more events than are kept, the last ones.
pub fn append(existing: &[String], service: &ServiceName, writer: Writer, events: &[Event]) -> Vec<Op> {
    let events = &events[events.len().saturating_sub(MAX_EVENTS)..];
    let mut last = existing.last().and_then(|key| key.rsplit('/').next()?.parse::<u64>().ok());
    let mut ops = Vec::with_capacity(events.len());
    for event in events {
        let micros = u64::try_from(event.at.as_microsecond()).unwrap_or(0);
        let by_time = micros.saturating_mul(Writer::COUNT * PER_WRITER).saturating_add(writer.lane());
        // A clock that went back must not put news before what was told already.
        let sequence = last.map_or(by_time, |last| by_time.max(last + 1));
        last = Some(sequence);
        ops.push(Op::put(key::event(service, sequence), event));
    }
    let surplus = (existing.len() + ops.len()).saturating_sub(MAX_EVENTS);
    ops.extend(existing.iter().take(surplus).map(|key| Op::delete(key.clone())));
    ops
}

/// As [`append`], for what the store has now.
pub async fn append_to(
    store: &dyn Store,
    service: &ServiceName,
    writer: Writer,
    events: &[Event],
) -> Result<Vec<Op>, StoreError> {
    let listing = store.list(&key::events_of(service)).await?;
    let existing: Vec<String> = listing.entries.into_iter().map(|entry| entry.key).collect();
    Ok(append(&existing, service, writer, events))
}

/// What there is to tell when a replica's status changes.
pub(super) fn of_change(now: jiff::Timestamp, wanted: &WantedReplica, new: &ReplicaStatus) -> Vec<Event> {
    let old = wanted.status.as_ref();
    let mut told = Vec::new();
    let mut tell = |kind, reason, message: String| {
        let object = format!("replica/{}", wanted.replica.name);
        told.push(Event { at: now, object, kind, reason, message });
    };
    let image = wanted.revision.as_ref().map_or("", |r| r.image.reference.as_str());
    let was = old.map(|s| &s.phase);
    let pulled = matches!(
        new.phase,
        ReplicaPhase::Waiting { .. }
            | ReplicaPhase::Starting { .. }
            | ReplicaPhase::Ready
            | ReplicaPhase::Unready { .. }
    );
    if was == Some(&ReplicaPhase::Pulling) && new.phase != ReplicaPhase::Pulling && pulled {
        tell(EventKind::Normal, EventReason::ImagePulled, format!("pulled {image}"));
    }
    let before = old.and_then(|s| s.container.as_ref());
    let lives = matches!(
        new.phase,
        ReplicaPhase::Starting { .. } | ReplicaPhase::Ready | ReplicaPhase::Unready { .. }
    );
    if let Some(container) = before.filter(|_| is_missing(was, new, before)) {
        let message = format!("container {} is gone, and was not removed here", container.short());
        tell(EventKind::Warning, EventReason::ContainerMissing, message);
    }
    if let Some(container) = new.container.as_ref().filter(|c| lives && before != Some(*c)) {
        let message = format!("container {} (attempt {})", container.short(), new.attempt);
        tell(EventKind::Normal, EventReason::ContainerStarted, message);
    }
    match (&new.phase, was) {
        (ReplicaPhase::Pulling, was) if was != Some(&ReplicaPhase::Pulling) => {
            tell(EventKind::Normal, EventReason::ImagePulling, format!("pulling {image}"));
        }
        (ReplicaPhase::Ready, was) if was != Some(&ReplicaPhase::Ready) => {
            let after = new.ready_after.map_or(String::new(), |t| format!(" after {t}"));
            tell(EventKind::Normal, EventReason::ReplicaReady, format!("ready{after}"));
        }
        (ReplicaPhase::Unready { reason }, was) if !matches!(was, Some(ReplicaPhase::Unready { .. })) => {
            tell(EventKind::Warning, name(reason, EventReason::Unhealthy), reason.to_string());
        }
        (ReplicaPhase::Waiting { reason: Some(reason) }, was) if !is_about(was, reason) => {
            tell(EventKind::Warning, name(reason, EventReason::NotReadyInTime), reason.to_string());
        }
        (ReplicaPhase::BackOff { reason, retry_at }, was)
            if !is_about(was, reason) || fails_again(old, new) =>
        {
            if !is_about(was, reason) || old.is_some_and(|s| s.failures != new.failures) {
                tell(EventKind::Warning, name(reason, EventReason::NotReadyInTime), reason.to_string());
            }
            tell(
                EventKind::Warning,
                EventReason::BackOff,
                format!("next attempt at {}", retry_at.strftime("%H:%M:%S")),
            );
        }
        (phase, was) if was != Some(phase) => {
            if let Some((reason, message)) = on_the_way_out(phase) {
                tell(EventKind::Normal, reason, message.to_owned());
            }
        }
        _ => {}
    }
    told
}

/// Whether the container of a replica that was to run has vanished: what ends leaves a reason, and what is wanted to go is
/// on its way out.
fn is_missing(was: Option<&ReplicaPhase>, new: &ReplicaStatus, before: Option<&ContainerId>) -> bool {
    let ran = matches!(
        was,
        Some(ReplicaPhase::Starting { .. } | ReplicaPhase::Ready | ReplicaPhase::Unready { .. })
    );
    let begins_anew = matches!(
        new.phase,
        ReplicaPhase::Waiting { reason: None }
            | ReplicaPhase::Pulling
            | ReplicaPhase::Starting { .. }
            | ReplicaPhase::Ready
    );
    ran && begins_anew && new.container.as_ref() != before
}

/// The steps of a replica that goes; there is no more to say of each than that it was taken.
fn on_the_way_out(phase: &ReplicaPhase) -> Option<(EventReason, &'static str)> {
    match phase {
        ReplicaPhase::Draining => Some((EventReason::Draining, "out of rotation; requests in flight end")),
        ReplicaPhase::Stopping => Some((EventReason::Stopping, "told to stop")),
        ReplicaPhase::Retained => {
            Some((EventReason::Retained, "stopped; its container is kept to be looked at"))
        }
        ReplicaPhase::Gone => Some((EventReason::Stopped, "stopped and removed")),
        _ => None,
    }
}

fn is_about(was: Option<&ReplicaPhase>, reason: &WaitReason) -> bool {
    match was {
        Some(
            ReplicaPhase::Waiting { reason: Some(before) } | ReplicaPhase::BackOff { reason: before, .. },
        ) => before == reason,
        _ => false,
    }
}

fn fails_again(old: Option<&ReplicaStatus>, new: &ReplicaStatus) -> bool {
    old.is_none_or(|s| s.failures != new.failures || !matches!(s.phase, ReplicaPhase::BackOff { .. }))
}

fn name(reason: &WaitReason, health: EventReason) -> EventReason {
    match reason {
        WaitReason::ImageUnavailable { .. } => EventReason::ImageUnavailable,
        WaitReason::EngineRefused { .. } => EventReason::EngineRefused,
        WaitReason::Exited { .. } => EventReason::ContainerExited,
        WaitReason::HealthCheckFailing { .. } => health,
        WaitReason::NoFreeAddress => EventReason::NoFreeAddress,
        WaitReason::ContainerPaused => EventReason::ContainerPaused,
    }
}

/// Tells once of each endpoint that waits too long for a balancer.
pub(super) fn unacknowledged(draft: &mut Draft<'_>) {
    let memory = &draft.view.memory;
    for wanted in draft.view.replicas.values() {
        let Some(endpoint) = wanted.endpoint.as_ref().filter(|e| e.state == EndpointState::Draining) else {
            continue;
        };
        let id = endpoint.id();
        let waited = memory.unacknowledged(&id, draft.now.mono);
        if waited.is_none_or(|waited| waited < UNACKNOWLEDGED_AFTER) || memory.was_told(&id) {
            continue;
        }
        let event = Event {
            at: draft.now.wall,
            object: format!("replica/{}", wanted.replica.name),
            kind: EventKind::Warning,
            reason: EventReason::BalancerUnacknowledged,
            message: "not stopped: the balancer has not acknowledged a table without it".to_owned(),
        };
        draft.plan.events.push((wanted.replica.service.clone(), event));
        draft.plan.told.push(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(micros: i64) -> Event {
        Event {
            at: jiff::Timestamp::from_microsecond(micros).unwrap(),
            object: "replica/users-1-a".to_owned(),
            kind: EventKind::Normal,
            reason: EventReason::ReplicaReady,
            message: String::new(),
        }
    }

    fn keys(ops: &[Op]) -> Vec<String> {
        let put = |op: &Op| match op {
            Op::Put { key, .. } => Some(key.clone()),
            Op::Delete { .. } | Op::Unencodable { .. } => None,
        };
        ops.iter().filter_map(put).collect()
    }

    #[test]
    fn keys_are_in_the_order_of_telling_whatever_the_clock_does() {
        let service = "users".into();
        let mut existing = Vec::new();
        for (writer, micros) in [
            (Writer::Agent, 5),
            (Writer::Orchestrator, 5),
            (Writer::User, 5),
            (Writer::Agent, 5),
            (Writer::Agent, 2),
        ] {
            existing.extend(keys(&append(&existing, &service, writer, &[event(micros), event(micros)])));
        }
        let mut sorted = existing.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(existing, sorted);
        assert_eq!(existing.len(), 10);
    }

    #[test]
    fn the_oldest_go_beyond_the_cap() {
        let service: ServiceName = "users".into();
        let existing: Vec<String> = (0..MAX_EVENTS as u64 - 1).map(|n| key::event(&service, n)).collect();
        let one = append(&existing, &service, Writer::Agent, &[event(9)]);
        assert_eq!(one.len(), 1, "the hundredth fits");
        let three = append(&existing, &service, Writer::Agent, &[event(9), event(9), event(9)]);
        assert_eq!(three[3..], [Op::delete(existing[0].clone()), Op::delete(existing[1].clone())]);
        let flood = append(&existing, &service, Writer::Agent, &vec![event(9); 250]);
        assert_eq!(keys(&flood).len(), MAX_EVENTS);
        assert_eq!(flood.len(), MAX_EVENTS + existing.len());
    }
}
