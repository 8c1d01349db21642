//! How long a replica has been trying to serve: counted by each pass, continued from the stored status. Pure.

use crate::model::{ContainerId, Millis, Mono, Now, ReplicaStatus, Trial};

/// The time of a trial is written at least this often while it is counted: the most that an agent counts and does not write.
pub(in crate::agent) const TRIAL_WRITTEN_EVERY: Millis = Millis::secs(2);

/// The clock of a replica's trial.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::agent) struct TrialClock {
    total: Millis,
    container: Option<(ContainerId, Millis)>,
    /// The container that an earlier agent had begun to try.
    adopted: Option<ContainerId>,
    /// Until when it is counted; `None` while no time counts.
    counted: Option<Mono>,
    /// The same for the store: a successor cannot read this agent's monotonic clock.
    counted_at: Option<jiff::Timestamp>,
    /// Until when an earlier agent had counted when it last wrote, before this one has counted on from there.
    unsaved_since: Option<jiff::Timestamp>,
}

impl TrialClock {
    /// Continues what an earlier agent stored.
    pub(super) fn of_status(status: &ReplicaStatus) -> Self {
        let Trial { total, container, counted_at } = status.trial;
        Self {
            total,
            container: status.container.clone().map(|id| (id, container)),
            adopted: status.container.clone(),
            counted: None,
            counted_at,
            unsaved_since: counted_at.filter(|_| status.phase.is_trying()),
        }
    }

    /// Counts the time since the last pass, up to `most`; `running` is the container that has not been ready.
    pub(super) fn count(&mut self, running: Option<&ContainerId>, most: Millis, now: Now) {
        let before = self.trial();
        let passed = self.counted.map_or_else(|| self.unsaved(now.wall), |since| now.mono.since(since));
        self.counted = Some(now.mono);
        self.total = self.total.plus(passed).min(most);
        if let Some(id) = running {
            let tried = self.container.take().filter(|(tried, _)| tried == id);
            let time = tried.map(|(_, time)| time.plus(passed));
            self.container = Some((id.clone(), time.unwrap_or_default().min(most)));
        }
        // a trial that has used up its time is not written again
        if before.counted_at.is_none() || before != self.trial() {
            self.counted_at = Some(now.wall);
        }
    }

    /// What an earlier agent may have counted after its last write. Controllers that live shorter than the time between two writes
    /// would otherwise try a replica for ever.
    fn unsaved(&mut self, now: jiff::Timestamp) -> Millis {
        let Some(since) = self.unsaved_since.take() else { return Millis(0) };
        let passed = u64::try_from(now.as_millisecond() - since.as_millisecond()).unwrap_or(0);
        Millis(passed).min(TRIAL_WRITTEN_EVERY)
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
        Trial { total: self.total, container, counted_at: self.counted_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ReplicaPhase;
    use crate::testing;

    const MOST: Millis = Millis::secs(10);

    /// A moment on both clocks.
    fn at(millis: u64) -> Now {
        let wall = jiff::Timestamp::from_millisecond(i64::try_from(millis).unwrap()).unwrap();
        Now { mono: Mono(millis), wall }
    }

    fn seconds(seconds: u64) -> Now {
        at(seconds * 1000)
    }

    fn tried(clock: &TrialClock) -> (u64, u64) {
        let Trial { total, container, .. } = clock.trial();
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
        let used_up = clock.trial();
        clock.count(Some(&two), MOST, seconds(301));
        assert_eq!(clock.trial(), used_up, "nothing more to write");
        clock.passed();
        assert_eq!(tried(&clock), (0, 0));
    }

    /// Counted by an agent that starts after its predecessor's last write, at second 100.
    fn continued(phase: ReplicaPhase, first_pass: Now) -> Trial {
        let mut status = testing::status("users-1-a", phase);
        status.container = Some("c1".into());
        let (total, container) = (Millis::secs(5), Millis::secs(1));
        status.trial = Trial { total, container, counted_at: Some(seconds(100).wall) };
        let mut clock = TrialClock::of_status(&status);
        clock.hold();
        clock.count(Some(&"c1".into()), MOST, first_pass);
        clock.trial()
    }

    #[test]
    fn trial_of_an_earlier_agent_continues_with_at_most_what_it_had_not_written() {
        let starting = || ReplicaPhase::Starting { cause: None };
        for (what, phase, first_pass, added) in [
            ("the next agent follows at once", starting(), at(100_700), 700),
            ("no agent ran for an hour", starting(), seconds(3_700), 2_000),
            ("the clock was set back", starting(), seconds(50), 0),
            ("it served", ReplicaPhase::Ready, seconds(3_700), 0),
        ] {
            let trial = continued(phase, first_pass);
            assert_eq!((trial.total.0 - 5_000, trial.container.0 - 1_000), (added, added), "{what}");
        }
    }
}
