//! What is known of a replica that is not available, in one line.

use super::ReplicaView;
use crate::model::{Instability, ReplicaPhase, ReplicaStatus};

/// `users-10-a: exited with code 1 (3 failures so far)`.
pub(super) fn observation(replica: &ReplicaView) -> String {
    format!("{}: {}", replica.replica.name, observed_state(replica))
}

/// `users-10-a: crash-looping, exited with code 1 (5 restarts)`. The same while it runs and while it waits: what changes with every
/// crash is no news to those who watch.
pub(super) fn unstable(replica: &ReplicaView, kind: Instability) -> String {
    let name = &replica.replica.name;
    let status = replica.status.as_ref();
    let last_exit = status.and_then(|status| status.history.last_exit.as_ref());
    match (kind, last_exit) {
        (Instability::ReadinessFlapping, _) => format!("{name}: readiness is flapping"),
        (Instability::CrashLooping, None) => format!("{name}: crash-looping"),
        (Instability::CrashLooping, Some(exit)) => {
            let restarts = match status.map_or(0, ReplicaStatus::restart_count) {
                1 => "1 restart".to_owned(),
                count => format!("{count} restarts"),
            };
            format!("{name}: crash-looping, {exit} ({restarts})")
        }
    }
}

/// The same without the name.
pub(super) fn observed_state(replica: &ReplicaView) -> String {
    let Some(status) = &replica.status else { return "not yet reported by its node".to_owned() };
    let text = match &status.phase {
        ReplicaPhase::Waiting { cause: None } => "waiting".to_owned(),
        ReplicaPhase::Waiting { cause: Some(cause) }
        | ReplicaPhase::Unready { cause }
        | ReplicaPhase::BackOff { cause, .. } => cause.to_string(),
        ReplicaPhase::Pulling => "pulling its image".to_owned(),
        ReplicaPhase::Starting { cause: None } => "starting".to_owned(),
        ReplicaPhase::Starting { cause: Some(cause) } => format!("starting, {cause}"),
        ReplicaPhase::Ready => match replica.serving_for {
            None => "ready, not yet acknowledged by every balancer".to_owned(),
            Some(served) => format!("running for {served} only"),
        },
        ReplicaPhase::Draining => "draining".to_owned(),
        ReplicaPhase::Stopping => "stopping".to_owned(),
        ReplicaPhase::Retained => "stopped, retained for inspection".to_owned(),
        ReplicaPhase::Gone => "gone".to_owned(),
    };
    let repeats = matches!(status.phase, ReplicaPhase::BackOff { .. }) && status.failures > 1;
    if repeats { format!("{text} ({} failures so far)", status.failures) } else { text }
}
