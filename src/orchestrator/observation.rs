//! What is known of a replica that is not available, in one line.

use super::ReplicaView;
use crate::model::ReplicaPhase;

/// `users-10-a: exited with code 1 (3 failures so far)`.
pub(super) fn observation(replica: &ReplicaView) -> String {
    format!("{}: {}", replica.replica.name, observed_state(replica))
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
