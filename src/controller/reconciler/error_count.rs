//! How many requests of a service failed while a release was attempted. Pure; in memory only, as counters are never stored.
//!
//! Known only where one balancer process counted from the beginning of the attempt to its end, and this controller saw
//! both: else nothing is said. The figure is that of the balancer's last word, which is a second old at most; that there was
//! one at all is told at once.

use crate::model::{BalancerReport, Incarnation, Rollout, RolloutState, ServiceName};

/// What a balancer process has counted of a service since it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RolloutErrorCount {
    by: Incarnation,
    failed: u64,
}

impl RolloutErrorCount {
    /// From the balancer's last word; `None` while there is no balancer.
    pub(crate) fn of(report: Option<&BalancerReport>, service: &ServiceName) -> Option<Self> {
        let report = report?;
        let failed = report.failed.get(service).copied().unwrap_or_default();
        Some(Self { by: report.incarnation.clone(), failed })
    }

    fn since(&self, began: &Self) -> Option<u64> {
        // A service that was out of the table meanwhile counts from zero again.
        if self.by == began.by { self.failed.checked_sub(began.failed) } else { None }
    }
}

/// The rollout under way, or the last one.
#[derive(Debug, Default)]
pub(crate) enum Attempt {
    /// Its beginning was not seen, or nobody counted.
    #[default]
    Unknown,
    /// It began when so many had been counted.
    Since(RolloutErrorCount),
    /// It ended, and so many failed in it.
    Ended(u64),
}

impl Attempt {
    /// Takes in a pass: the rollout before and after it, and what was counted when it began.
    pub(crate) fn pass(&mut self, before: Option<&Rollout>, after: &Rollout, now: Option<RolloutErrorCount>) {
        if begins(before, after) {
            *self = now.map_or(Self::Unknown, Self::Since);
        } else if let Self::Since(_) = self
            && !after.state.is_under_way()
        {
            *self = self.failed(now.as_ref()).map_or(Self::Unknown, Self::Ended);
        }
    }

    /// How many failed in it, until now where it is under way.
    pub(crate) fn failed(&self, now: Option<&RolloutErrorCount>) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::Since(began) => now?.since(began),
            Self::Ended(failed) => Some(*failed),
        }
    }
}

fn begins(before: Option<&Rollout>, after: &Rollout) -> bool {
    let progresses = |rollout: &Rollout| matches!(rollout.state, RolloutState::Progressing { .. });
    let went_on = before.is_some_and(|before| progresses(before) && before.target == after.target);
    progresses(after) && !went_on
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FailureReason, Millis, RevisionNumber, RolloutFailure};

    fn rollout(target: u64, state: RolloutState) -> Rollout {
        Rollout { state, ..crate::testing::rollout(target) }
    }

    fn failure() -> RolloutFailure {
        let reason = FailureReason::DeadlineExceeded { deadline: Millis(1), observed: vec![] };
        RolloutFailure { revision: RevisionNumber(2), reason, at: jiff::Timestamp::UNIX_EPOCH }
    }

    fn tally(by: &str, failed: u64) -> Option<RolloutErrorCount> {
        Some(RolloutErrorCount { by: Incarnation(by.to_owned()), failed })
    }

    /// The figure after each pass, from stable revision 1 on; a row is the target, the state, and the balancer's count.
    #[track_caller]
    fn check(passes: &[(u64, RolloutState, Option<RolloutErrorCount>)], expected: &[Option<u64>]) {
        let (mut attempt, mut before) = (Attempt::default(), rollout(1, RolloutState::Complete));
        let mut told = Vec::new();
        for (target, state, now) in passes {
            let after = rollout(*target, state.clone());
            attempt.pass(Some(&before), &after, now.clone());
            told.push(attempt.failed(now.as_ref()));
            before = after;
        }
        assert_eq!(told, expected);
    }

    #[test]
    fn failures_count_from_the_beginning_of_an_attempt_to_its_end() {
        let goes = || RolloutState::Progressing { waited: Millis(0), most_available: 0 };
        let goes_back =
            || RolloutState::RollingBack { failure: failure(), waited: Millis(0), most_available: 0 };
        let is_back = || RolloutState::RolledBack { failure: failure() };
        let stands = || RolloutState::Failed { failure: failure() };
        check(
            &[
                (1, RolloutState::Complete, tally("a", 5)),
                (2, goes(), tally("a", 7)),
                (2, goes(), tally("a", 8)),
                (1, goes_back(), tally("a", 9)),
                (1, is_back(), tally("a", 9)),
                (1, is_back(), tally("a", 50)),
                (2, goes(), tally("a", 50)),
                (2, RolloutState::Complete, tally("a", 50)),
            ],
            &[None, Some(0), Some(1), Some(2), Some(2), Some(2), Some(0), Some(0)],
        );
        check(&[(2, goes(), tally("a", 7)), (3, goes(), tally("a", 9))], &[Some(0), Some(0)]);
        check(&[(2, goes(), tally("a", 7)), (2, stands(), tally("a", 9))], &[Some(0), Some(2)]);
        check(
            &[(2, goes(), None), (2, goes(), tally("a", 7)), (2, stands(), tally("a", 9))],
            &[None, None, None],
        );
        check(&[(2, goes(), tally("a", 7)), (2, stands(), tally("b", 9))], &[Some(0), None]);
        check(&[(2, goes(), tally("a", 7)), (2, stands(), tally("a", 1))], &[Some(0), None]);
        check(
            &[(2, goes(), tally("a", 7)), (2, goes(), None), (2, stands(), tally("a", 8))],
            &[Some(0), None, Some(1)],
        );
    }

    #[test]
    fn a_controller_that_starts_meanwhile_says_nothing() {
        let goes = rollout(2, RolloutState::Progressing { waited: Millis(0), most_available: 0 });
        let mut attempt = Attempt::default();
        attempt.pass(Some(&goes), &goes, tally("a", 7));
        assert_eq!(attempt.failed(tally("a", 8).as_ref()), None);
    }
}
