//! What is seen of a replica that is not available, in one line.

use super::ReplicaView;
use crate::model::Phase;

/// `users-10-a: exited with code 1 (3 failures so far)`.
pub(super) fn observation(replica: &ReplicaView) -> String {
    format!("{}: {}", replica.replica.name, standing(replica))
}

/// The same without the name.
pub(super) fn standing(replica: &ReplicaView) -> String {
    let Some(status) = &replica.status else { return "not yet seen by its host".to_owned() };
    let text = match &status.phase {
        Phase::Waiting { reason: None } => "waiting for its turn".to_owned(),
        Phase::Waiting { reason: Some(reason) } | Phase::Unready { reason } => reason.to_string(),
        Phase::Pulling => "pulling its image".to_owned(),
        Phase::Starting { reason: None } => "starting".to_owned(),
        Phase::Starting { reason: Some(reason) } => format!("starting, {reason}"),
        Phase::Ready => match replica.serving_for {
            None => "ready, not yet acknowledged by every balancer".to_owned(),
            Some(served) => format!("running for {served} only"),
        },
        Phase::BackOff { reason, .. } => reason.to_string(),
        Phase::Draining => "draining".to_owned(),
        Phase::Stopping => "stopping".to_owned(),
        Phase::Kept => "stopped, kept to be looked at".to_owned(),
        Phase::Gone => "gone".to_owned(),
    };
    let repeats = matches!(status.phase, Phase::BackOff { .. }) && status.failures > 1;
    if repeats { format!("{text} ({} failures so far)", status.failures) } else { text }
}
