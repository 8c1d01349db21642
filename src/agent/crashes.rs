//! Containers of a replica that failed in a row, with what was found of each: what its status says of its trouble. Pure.

use super::examine::Findings;
use crate::engine::ObservedContainer;
use crate::model::{
    CRASHES_TOGETHER, ContainerId, Diagnosis, FailedProbe, FailureCause, ImageRefusal, Millis, Mono,
    ReplicaPhase, WaitReason,
};

/// What is found in a container that does not get healthy is asked for again after so long.
const LOOK_AGAIN: Millis = Millis::secs(5);
/// A container that fails its first probes only for so long is starting, and nothing is looked for in it.
const PATIENCE: Millis = Millis::secs(1);

/// A container that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Crash {
    /// Which; `None` if it could not even be made.
    container: Option<ContainerId>,
    cause: FailureCause,
    began: Mono,
    ended: Mono,
    log: Vec<String>,
    /// Whether it was looked at: only then is it told of, so that nobody judges it without the evidence.
    examined: bool,
}

/// What is remembered of a replica's failures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Crashes {
    /// The last of them, oldest first.
    all: Vec<Crash>,
    /// What was last found in the container that runs, and when.
    inside: Option<(ContainerId, Mono, Findings)>,
}

impl Crashes {
    /// A container failed; it is to be looked at.
    pub(super) fn failed(&mut self, container: &ObservedContainer, cause: FailureCause, now: Mono) {
        let ran = container.started_at.zip(container.finished_at).map(|(from, to)| to.duration_since(from));
        let ran = ran.and_then(|ran| u64::try_from(ran.as_millis()).ok()).unwrap_or(0);
        let began = Mono(now.0.saturating_sub(ran));
        self.push(Crash {
            container: Some(container.id.clone()),
            cause,
            began,
            ended: now,
            log: Vec::new(),
            examined: false,
        });
    }

    /// A container could not be made.
    pub(super) fn not_made(&mut self, message: String, now: Mono) {
        let cause = FailureCause::CannotStart { message };
        let (container, log) = (None, Vec::new());
        self.push(Crash { container, cause, began: now, ended: now, log, examined: true });
    }

    fn push(&mut self, crash: Crash) {
        self.all.push(crash);
        let surplus = self.all.len().saturating_sub(CRASHES_TOGETHER);
        self.all.drain(..surplus);
    }

    /// It was healthy for long: what was before is over.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// This was found in a container.
    pub(super) fn found(&mut self, container: &ContainerId, findings: Findings, now: Mono) {
        for crash in self.all.iter_mut().filter(|c| c.container.as_ref() == Some(container)) {
            crash.examined = true;
            crash.log.clone_from(&findings.log);
            if let FailureCause::Unhealthy { listening, .. } = &mut crash.cause {
                listening.clone_from(&findings.listening);
            }
        }
        self.inside = Some((container.clone(), now, findings));
    }

    /// A container that is gone can be looked at no more.
    pub(super) fn retain(&mut self, exists: impl Fn(&ContainerId) -> bool) {
        for crash in &mut self.all {
            crash.examined |= crash.container.as_ref().is_some_and(|id| !exists(id));
        }
    }

    /// Containers that failed and were not looked at.
    pub(super) fn unexamined(&self) -> impl Iterator<Item = &ContainerId> {
        self.all.iter().filter(|crash| !crash.examined).filter_map(|crash| crash.container.as_ref())
    }

    /// How long until a container that has failed its probes since `since` is to be looked at.
    pub(super) fn look_after(&self, container: &ContainerId, since: Mono, now: Mono) -> Millis {
        match self.inside.as_ref().filter(|(id, ..)| id == container) {
            Some((_, at, _)) => at.after(LOOK_AGAIN).since(now),
            None => since.after(PATIENCE).since(now),
        }
    }

    /// The trouble of a replica in this phase, if it is in any. `probe` is the last failed one of its container.
    pub(super) fn diagnosis(
        &self,
        phase: &ReplicaPhase,
        running: Option<(&ContainerId, &FailedProbe)>,
    ) -> Option<Diagnosis> {
        let reason = match phase {
            ReplicaPhase::Waiting { reason } | ReplicaPhase::Starting { reason } => reason.as_ref(),
            ReplicaPhase::BackOff { reason, .. } => Some(reason),
            _ => return None,
        };
        let of = |cause| Diagnosis { cause, times: 0, within: Millis(0), log: Vec::new() };
        if let Some(WaitReason::ImageUnavailable { message, refusal: Some(refusal) }) = reason {
            let message = message.clone();
            return Some(of(match refusal {
                ImageRefusal::NotFound => FailureCause::ImageNotFound { message },
                ImageRefusal::Denied => FailureCause::PullDenied { message },
            }));
        }
        let known: Vec<&Crash> = self.all.iter().take_while(|crash| crash.examined).collect();
        if let (Some(first), Some(last)) = (known.first(), known.last()) {
            return Some(Diagnosis {
                cause: last.cause.clone(),
                times: u32::try_from(known.len()).unwrap_or(u32::MAX),
                within: last.ended.since(first.began),
                log: last.log.clone(),
            });
        }
        let (container, probe) = running.filter(|_| matches!(phase, ReplicaPhase::Starting { .. }))?;
        let inside = self.inside.as_ref().filter(|(id, ..)| id == container).map(|(.., found)| found);
        let listening = inside.and_then(|found| found.listening.clone());
        let log = inside.map(|found| found.log.clone()).unwrap_or_default();
        let cause = FailureCause::Unhealthy { probe: probe.clone(), listening, start_within: None };
        Some(Diagnosis { log, ..of(cause) })
    }
}
