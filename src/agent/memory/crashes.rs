//! The containers of a replica that failed in a row, with the evidence from each: the source of its diagnosis. Pure.

use crate::engine::ObservedContainer;
use crate::model::{
    CRASHES_TOGETHER, ContainerId, Diagnosis, Evidence, FailedProbe, Millis, Mono, NotReadyCause,
    ReplicaPhase,
};

/// A container that does not become healthy is examined again after this long.
const EXAMINE_AGAIN: Millis = Millis::secs(5);
/// A container that fails its first probes for less than this is starting, and is not examined.
const PATIENCE: Millis = Millis::secs(1);

/// A container that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Crash {
    /// `None` if it could not even be created.
    container: Option<ContainerId>,
    cause: NotReadyCause,
    began: Mono,
    ended: Mono,
    evidence: Evidence,
    /// Whether evidence was collected: only then is it reported, so that no one judges it without.
    examined: bool,
}

/// What is remembered of a replica's failures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::agent) struct Crashes {
    /// The last of them, oldest first.
    all: Vec<Crash>,
    /// How many came before these.
    dropped: u32,
    /// When the first of all began.
    began: Option<Mono>,
    /// What an earlier agent had diagnosed, and when this one read it.
    earlier: Option<(Diagnosis, Mono)>,
    /// The last evidence from the running container, and when it was collected.
    inside: Option<(ContainerId, Mono, Evidence)>,
}

impl Crashes {
    /// Continues what an earlier agent stored: the failures of its containers count.
    pub(super) fn of_diagnosis(diagnosis: Option<&Diagnosis>, now: Mono) -> Self {
        let failed = diagnosis.filter(|diagnosis| diagnosis.evidence.times > 0);
        Self { earlier: failed.map(|diagnosis| (diagnosis.clone(), now)), ..Self::default() }
    }

    /// A container failed; it is to be examined.
    pub(super) fn failed(&mut self, container: &ObservedContainer, cause: NotReadyCause, now: Mono) {
        let ran = container.started_at.zip(container.finished_at).map(|(from, to)| to.duration_since(from));
        let ran = ran.and_then(|ran| u64::try_from(ran.as_millis()).ok()).unwrap_or(0);
        let began = Mono(now.0.saturating_sub(ran));
        self.push(Crash {
            container: Some(container.id.clone()),
            cause,
            began,
            ended: now,
            evidence: Evidence::default(),
            examined: false,
        });
    }

    /// A container could not be created.
    pub(super) fn not_created(&mut self, message: String, now: Mono) {
        self.push(Crash {
            container: None,
            cause: NotReadyCause::cannot_start(message),
            began: now,
            ended: now,
            evidence: Evidence::default(),
            examined: true,
        });
    }

    fn push(&mut self, crash: Crash) {
        self.began.get_or_insert(crash.began);
        self.all.push(crash);
        let surplus = self.all.len().saturating_sub(CRASHES_TOGETHER);
        self.all.drain(..surplus);
        self.dropped = self.dropped.saturating_add(u32::try_from(surplus).unwrap_or(u32::MAX));
    }

    /// It was healthy for long: earlier failures are over.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// A container was examined.
    pub(super) fn found(&mut self, container: &ContainerId, evidence: Evidence, now: Mono) {
        for crash in self.all.iter_mut().filter(|c| c.container.as_ref() == Some(container)) {
            crash.examined = true;
            crash.evidence.clone_from(&evidence);
        }
        self.inside = Some((container.clone(), now, evidence));
    }

    /// A container that is gone cannot be examined any more.
    pub(super) fn retain(&mut self, exists: impl Fn(&ContainerId) -> bool) {
        for crash in &mut self.all {
            crash.examined |= crash.container.as_ref().is_some_and(|id| !exists(id));
        }
    }

    /// Containers that failed and were not examined.
    pub(in crate::agent) fn unexamined(&self) -> impl Iterator<Item = &ContainerId> {
        self.all.iter().filter(|crash| !crash.examined).filter_map(|crash| crash.container.as_ref())
    }

    /// How long until a container that has failed its probes since `since` is to be examined.
    pub(in crate::agent) fn examine_after(&self, container: &ContainerId, since: Mono, now: Mono) -> Millis {
        match self.inside.as_ref().filter(|(id, ..)| id == container) {
            Some((_, at, _)) => at.after(EXAMINE_AGAIN).since(now),
            None => since.after(PATIENCE).since(now),
        }
    }

    /// The diagnosis of a replica in this phase, if anything is wrong. `running` has the last failed probe of its container.
    pub(in crate::agent) fn diagnosis(
        &self,
        phase: &ReplicaPhase,
        running: Option<(&ContainerId, &FailedProbe)>,
    ) -> Option<Diagnosis> {
        let is_starting = matches!(phase, ReplicaPhase::Starting { .. });
        if !is_starting && !matches!(phase, ReplicaPhase::Waiting { .. } | ReplicaPhase::BackOff { .. }) {
            return None;
        }
        if let Some(cause @ (NotReadyCause::ImageNotFound { .. } | NotReadyCause::PullDenied { .. })) =
            phase.cause()
        {
            return Some(Diagnosis { cause: cause.clone(), evidence: Evidence::default() });
        }
        let known: Vec<&Crash> = self.all.iter().take_while(|crash| crash.examined).collect();
        if let Some(last) = known.last() {
            let here = u32::try_from(known.len()).unwrap_or(u32::MAX).saturating_add(self.dropped);
            let evidence = Evidence {
                times: self.before().times.saturating_add(here),
                within: self.time_until(last),
                ..last.evidence.clone()
            };
            return Some(Diagnosis { cause: last.cause.clone(), evidence });
        }
        if let Some((earlier, _)) = &self.earlier {
            return Some(earlier.clone());
        }
        let (container, probe) = running.filter(|_| is_starting)?;
        let inside = self.inside.as_ref().filter(|(id, ..)| id == container);
        let evidence = inside.map(|(.., evidence)| evidence.clone()).unwrap_or_default();
        Some(Diagnosis { cause: NotReadyCause::unhealthy(probe.clone()), evidence })
    }

    /// What an earlier agent had counted.
    fn before(&self) -> Evidence {
        self.earlier.as_ref().map(|(diagnosis, _)| diagnosis.evidence.clone()).unwrap_or_default()
    }

    /// From the start of the first container that failed to the end of this one.
    fn time_until(&self, last: &Crash) -> Millis {
        match &self.earlier {
            Some((earlier, read)) => earlier.evidence.within.plus(last.ended.since(*read)),
            None => last.ended.since(self.began.unwrap_or(last.began)),
        }
    }
}
