//! The events that follow from a change of a replica's status. Pure.
//!
//! They are written with the status: each is reported once, and none is lost.

use super::view::WantedReplica;
use crate::model::{ContainerId, Event, EventKind, EventReason, NotReadyCause, ReplicaPhase, ReplicaStatus};

/// The kind, reason and message of an event.
type StatusEvent = (EventKind, EventReason, String);

/// The events of a status change.
pub(super) fn of_change(now: jiff::Timestamp, wanted: &WantedReplica, new: &ReplicaStatus) -> Vec<Event> {
    let old = wanted.status.as_ref();
    let image = wanted.revision.as_ref().map_or("", |r| r.image.reference.as_str());
    let mut events = container_events(old, new, image);
    events.extend(phase_events(old, new, image));
    let object = format!("replica/{}", wanted.replica.name);
    let event = |(kind, reason, message)| Event {
        at: now,
        object: object.clone(),
        kind,
        reason,
        message,
        cut: Vec::new(),
    };
    events.into_iter().map(event).collect()
}

/// What happened to the image and the container.
fn container_events(old: Option<&ReplicaStatus>, new: &ReplicaStatus, image: &str) -> Vec<StatusEvent> {
    let mut events = Vec::new();
    let mut report = |kind, reason, message: String| events.push((kind, reason, message));
    let was = old.map(|s| &s.phase);
    let pulled = matches!(
        new.phase,
        ReplicaPhase::Waiting { .. }
            | ReplicaPhase::Starting { .. }
            | ReplicaPhase::Ready
            | ReplicaPhase::Unready { .. }
    );
    if was == Some(&ReplicaPhase::Pulling) && new.phase != ReplicaPhase::Pulling && pulled {
        report(EventKind::Normal, EventReason::ImagePulled, format!("pulled {image}"));
    }
    let before = old.and_then(|s| s.container.as_ref());
    let lives = matches!(
        new.phase,
        ReplicaPhase::Starting { .. } | ReplicaPhase::Ready | ReplicaPhase::Unready { .. }
    );
    if let Some(container) = before.filter(|_| is_missing(was, new, before)) {
        let message = format!("container {} disappeared (not removed by Coxswain)", container.short());
        report(EventKind::Warning, EventReason::ContainerMissing, message);
    }
    if let Some(container) = new.container.as_ref().filter(|c| lives && before != Some(*c)) {
        let message = format!("container {} (attempt {})", container.short(), new.attempt);
        report(EventKind::Normal, EventReason::ContainerStarted, message);
    }
    events
}

/// What the new phase reports.
fn phase_events(old: Option<&ReplicaStatus>, new: &ReplicaStatus, image: &str) -> Vec<StatusEvent> {
    let mut events = Vec::new();
    let mut report = |kind, reason, message: String| events.push((kind, reason, message));
    let was = old.map(|s| &s.phase);
    match (&new.phase, was) {
        (ReplicaPhase::Pulling, was) if was != Some(&ReplicaPhase::Pulling) => {
            report(EventKind::Normal, EventReason::ImagePulling, format!("pulling {image}"));
        }
        (ReplicaPhase::Ready, was) if was != Some(&ReplicaPhase::Ready) => {
            let after = new.ready_after.map_or(String::new(), |t| format!(" after {t}"));
            report(EventKind::Normal, EventReason::ReplicaReady, format!("ready{after}"));
        }
        (ReplicaPhase::Unready { cause }, was) if !matches!(was, Some(ReplicaPhase::Unready { .. })) => {
            report(EventKind::Warning, event_reason(cause, EventReason::Unhealthy), cause.to_string());
        }
        (ReplicaPhase::Waiting { cause: Some(cause) }, was) if !is_about(was, cause) => {
            report(EventKind::Warning, event_reason(cause, EventReason::NotReadyInTime), cause.to_string());
        }
        (ReplicaPhase::BackOff { cause, retry_at }, was)
            if !is_about(was, cause) || fails_again(old, new) =>
        {
            if !is_about(was, cause) || old.is_some_and(|s| s.failures != new.failures) {
                report(
                    EventKind::Warning,
                    event_reason(cause, EventReason::NotReadyInTime),
                    cause.to_string(),
                );
            }
            report(
                EventKind::Warning,
                EventReason::BackOff,
                format!("next attempt at {}", retry_at.strftime("%H:%M:%S")),
            );
        }
        (phase, was) if was != Some(phase) => {
            if let Some((reason, message)) = removal_event(phase) {
                report(EventKind::Normal, reason, message.to_owned());
            }
        }
        _ => {}
    }
    events
}

/// Whether the container of a replica that should run has disappeared: an exit leaves a reason, and a replica that should go
/// is draining or stopping.
fn is_missing(was: Option<&ReplicaPhase>, new: &ReplicaStatus, before: Option<&ContainerId>) -> bool {
    let ran = matches!(
        was,
        Some(ReplicaPhase::Starting { .. } | ReplicaPhase::Ready | ReplicaPhase::Unready { .. })
    );
    let starts_over = matches!(
        new.phase,
        ReplicaPhase::Waiting { cause: None }
            | ReplicaPhase::Pulling
            | ReplicaPhase::Starting { .. }
            | ReplicaPhase::Ready
    );
    ran && starts_over && new.container.as_ref() != before
}

/// The event of each step of a removal.
fn removal_event(phase: &ReplicaPhase) -> Option<(EventReason, &'static str)> {
    match phase {
        ReplicaPhase::Draining => Some((EventReason::Draining, "out of rotation; requests in flight end")),
        ReplicaPhase::Stopping => Some((EventReason::Stopping, "stop signal sent")),
        ReplicaPhase::Retained => {
            Some((EventReason::Retained, "stopped; its container is retained for inspection"))
        }
        ReplicaPhase::Gone => Some((EventReason::Stopped, "stopped and removed")),
        _ => None,
    }
}

fn is_about(was: Option<&ReplicaPhase>, cause: &NotReadyCause) -> bool {
    let waited = matches!(was, Some(ReplicaPhase::Waiting { .. } | ReplicaPhase::BackOff { .. }));
    waited && was.and_then(ReplicaPhase::cause) == Some(cause)
}

fn fails_again(old: Option<&ReplicaStatus>, new: &ReplicaStatus) -> bool {
    old.is_none_or(|s| s.failures != new.failures || !matches!(s.phase, ReplicaPhase::BackOff { .. }))
}

fn event_reason(cause: &NotReadyCause, unhealthy: EventReason) -> EventReason {
    match cause {
        NotReadyCause::ImageNotFound { .. }
        | NotReadyCause::PullDenied { .. }
        | NotReadyCause::ImageUnavailable { .. } => EventReason::ImageUnavailable,
        NotReadyCause::CannotStart { .. } => EventReason::EngineRefused,
        NotReadyCause::Exited { .. }
        | NotReadyCause::Completed { .. }
        | NotReadyCause::OutOfMemory { .. } => EventReason::ContainerExited,
        // What is done about it has an event of its own.
        NotReadyCause::Unhealthy { .. } | NotReadyCause::OffNetwork { .. } => unhealthy,
        NotReadyCause::VolumeMissing { .. } => EventReason::VolumeMissing,
        NotReadyCause::NoFreeAddress => EventReason::NoFreeAddress,
        NotReadyCause::ContainerPaused => EventReason::ContainerPaused,
    }
}
