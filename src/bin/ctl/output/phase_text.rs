//! The state of a replica in words. Pure.

use coxswain::api::types::{ReplicaPhaseName, ReplicaProgress, ReplicaState};
use coxswain::model::Millis;

use coxswain::model::sanitize;

/// One failure is an accident and two may be.
const EXPLAINED_FROM: u32 = 3;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PhaseText {
    /// `✓` ready, `▸` in progress, `!` needs attention, `-` being removed, blank waiting.
    pub(crate) mark: char,
    pub(crate) word: &'static str,
    /// The reason or result; may be empty.
    pub(crate) detail: String,
}

pub(crate) fn phase_text(status: Option<&ReplicaState>, runs: bool, available: bool) -> PhaseText {
    let text = |mark, word, detail| PhaseText { mark, word, detail };
    let Some(status) = status else {
        // The status is deleted with the container, so a replica to remove has no container left.
        return if runs { text(' ', "waiting", String::new()) } else { text('-', "gone", String::new()) };
    };
    let message = status.message.as_deref().map(sanitize).unwrap_or_default();
    match status.phase {
        ReplicaPhaseName::Ready if !runs => text('-', "leaving", String::new()),
        ReplicaPhaseName::Ready if !available => text('▸', "ready", "not routed yet".to_owned()),
        ReplicaPhaseName::Ready => text(
            '✓',
            "ready",
            status.ready_after.map(|after| format!("after {}", short(after))).unwrap_or_default(),
        ),
        ReplicaPhaseName::Waiting if status.reason.is_none() => text(' ', "waiting", message),
        ReplicaPhaseName::Waiting => text('!', "waiting", message),
        ReplicaPhaseName::Pulling => text('▸', "pulling", message),
        ReplicaPhaseName::Starting => text('▸', "starting", message),
        ReplicaPhaseName::Unready => text('!', "unready", message),
        ReplicaPhaseName::BackOff => text('!', "back-off", back_off(status, &message)),
        ReplicaPhaseName::Draining => text('-', "draining", message),
        ReplicaPhaseName::Stopping => text('-', "stopping", message),
        ReplicaPhaseName::Retained => text('-', "retained", "stopped, for inspection".to_owned()),
        ReplicaPhaseName::Gone => text('-', "gone", message),
    }
}

/// From the third failure on with what is known of it: a replica may be tried for minutes, and its user should not have to wait
/// for the end to read why.
fn back_off(status: &ReplicaState, message: &str) -> String {
    let attempt = status.attempt;
    let Some(diagnosis) = status.diagnosis.as_ref().filter(|_| status.failures >= EXPLAINED_FROM) else {
        return format!("{message}, attempt {attempt}");
    };
    let log = diagnosis.log.last().map(|line| format!(": {}", sanitize(line))).unwrap_or_default();
    format!("{}, attempt {attempt}{log}", sanitize(&diagnosis.message))
}

/// `2.2s` under a minute, otherwise as in a manifest.
pub(super) fn short(duration: Millis) -> String {
    if duration.0 < 60_000 {
        format!("{}.{}s", duration.0 / 1000, duration.0 % 1000 / 100)
    } else {
        duration.whole_seconds().to_string()
    }
}

/// The state of a replica in an operation, with the requests it drained.
pub(crate) fn of_progress(replica: &ReplicaProgress) -> PhaseText {
    let text = phase_text(replica.status.as_ref(), replica.runs, replica.available);
    match text.word {
        "stopping" if replica.drained > 0 => PhaseText { detail: drained(replica.drained), ..text },
        _ => text,
    }
}

/// Requests that a replica finished after it left rotation.
pub(super) fn drained(requests: u64) -> String {
    match requests {
        0 => "drained".to_owned(),
        1 => "drained 1 request".to_owned(),
        many => format!("drained {many} requests"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use coxswain::api::types::OperationProgress;
    use coxswain::model::{
        ReplicaName, ReplicaPhase, ReplicaStatus, RevisionNumber, RolloutDirection, Trial,
    };
    use jiff::Timestamp;

    use super::*;

    pub(crate) fn snapshot(available: u32, replicas: &[(&str, ReplicaPhase)]) -> OperationProgress {
        let replica = |(name, phase): &(&str, ReplicaPhase)| ReplicaProgress {
            name: ReplicaName::new(*name),
            revision: RevisionNumber(2),
            runs: true,
            available: *phase == ReplicaPhase::Ready,
            status: Some(
                ReplicaStatus {
                    replica: ReplicaName::new(*name),
                    phase: phase.clone(),
                    attempt: 1,
                    failures: 0,
                    container: None,
                    published: Default::default(),
                    address: None,
                    ready_after: Some(Millis(900)),
                    trial: Trial::default(),
                    since: Timestamp::UNIX_EPOCH,
                    diagnosis: None,
                    cut: None,
                    history: Default::default(),
                }
                .into(),
            ),
            in_flight: 0,
            drained: 0,
            counters: None,
        };
        OperationProgress {
            service: "users".into(),
            observed: coxswain::model::Generation(1),
            direction: RolloutDirection::Forward,
            from: None,
            target: RevisionNumber(2),
            wanted: 2,
            stops_first: false,
            available,
            replicas: replicas.iter().map(replica).collect(),
            held_by: Vec::new(),
            counted: None,
            failed_requests: None,
            cut_requests: Vec::new(),
            outcome: None,
        }
    }

    #[test]
    fn phase_text_without_status_is_waiting_or_gone() {
        assert_eq!(phase_text(None, true, false).word, "waiting");
        assert_eq!(phase_text(None, false, false).word, "gone");
    }
}
