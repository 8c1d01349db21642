//! How long a replica has been trying to serve: counted by each pass, continued from the stored status. Pure.

use crate::model::{ContainerId, Millis, Mono, ReplicaStatus, Trial};

/// The clock of a replica's trial.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::agent) struct TrialClock {
    total: Millis,
    container: Option<(ContainerId, Millis)>,
    /// The container that an earlier agent had begun to try.
    adopted: Option<ContainerId>,
    /// Until when it is counted; `None` while no time counts.
    counted: Option<Mono>,
}

impl TrialClock {
    /// Continues what an earlier agent stored.
    pub(super) fn of_status(status: &ReplicaStatus) -> Self {
        let container = status.container.clone().map(|id| (id, status.trial.container));
        Self { total: status.trial.total, container, adopted: status.container.clone(), counted: None }
    }

    /// Counts the time since the last pass, up to `most`; `running` is the container that has not been ready.
    pub(super) fn count(&mut self, running: Option<&ContainerId>, most: Millis, now: Mono) {
        let passed = self.counted.map_or(Millis(0), |since| now.since(since));
        self.counted = Some(now);
        self.total = self.total.plus(passed).min(most);
        let Some(id) = running else { return };
        let before =
            self.container.take().filter(|(tried, _)| tried == id).map(|(_, time)| time.plus(passed));
        self.container = Some((id.clone(), before.unwrap_or_default().min(most)));
    }

    /// Time does not count until the next pass that counts.
    pub(super) fn hold(&mut self) {
        self.counted = None;
    }

    /// It has served for long enough: the next failure begins another trial.
    pub(super) fn passed(&mut self) {
        *self = Self::default();
    }

    /// Whether no trial is under way, because the last one was passed.
    pub(in crate::agent) fn has_passed(&self) -> bool {
        *self == Self::default()
    }

    /// Whether its time is up.
    pub(super) fn is_over(&self, start_within: Millis) -> bool {
        self.total >= start_within
    }

    /// Whether the time of a container is up that an earlier agent began to try: the probes of this one know less of it.
    pub(super) fn is_over_for(&self, container: &ContainerId, start_within: Millis) -> bool {
        let tried = self.container.as_ref().filter(|(id, _)| id == container);
        self.adopted.as_ref() == Some(container) && tried.is_some_and(|(_, time)| *time >= start_within)
    }

    /// As it is stored.
    pub(in crate::agent) fn trial(&self) -> Trial {
        let container = self.container.as_ref().map(|(_, time)| *time).unwrap_or_default();
        Trial { total: self.total, container }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Millis = Millis::secs(10);

    fn seconds(seconds: u64) -> Mono {
        Mono(seconds * 1000)
    }

    fn tried(clock: &TrialClock) -> (u64, u64) {
        let Trial { total, container } = clock.trial();
        (total.0 / 1000, container.0 / 1000)
    }

    #[test]
    fn trial_counts_all_containers_and_the_waits_between_them() {
        let (one, two) = (ContainerId::new("c1"), ContainerId::new("c2"));
        let mut clock = TrialClock::default();
        clock.count(Some(&one), MOST, seconds(100));
        assert_eq!(tried(&clock), (0, 0));
        clock.count(Some(&one), MOST, seconds(103));
        assert_eq!(tried(&clock), (3, 3));
        clock.count(None, MOST, seconds(105));
        clock.count(Some(&two), MOST, seconds(106));
        assert_eq!(tried(&clock), (6, 0), "another container");
        clock.hold();
        clock.count(Some(&two), MOST, seconds(200));
        assert_eq!(tried(&clock), (6, 0), "the Engine was away");
        clock.count(Some(&two), MOST, seconds(300));
        assert_eq!(tried(&clock), (10, 10), "no more than startWithin");
        assert!(clock.is_over(MOST) && !clock.is_over_for(&two, MOST), "the probes know");
        clock.passed();
        assert_eq!(tried(&clock), (0, 0));
    }
}
