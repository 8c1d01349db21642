//! How many requests of a service failed during a rollout. Pure.
//!
//! Counters are never stored. The figure is known only if the same balancer processes counted from the start of the
//! rollout to its end and this controller saw both. It comes from the balancers' last reports, which are at most a second
//! old; a balancer reports the first failure immediately.

use std::collections::BTreeMap;

use crate::model::{BalancerReports, Incarnation, Rollout, RolloutState, ServiceName};

/// What each balancer process has counted of a service since it started: of all revisions, because a rollout is to blame
/// for the requests that fail on old replicas too, and for those that find none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailedRequestCount(BTreeMap<Incarnation, u64>);

impl FailedRequestCount {
    /// From the last reports; `None` unless every balancer is connected.
    pub(crate) fn of(reports: &BalancerReports, service: &ServiceName) -> Option<Self> {
        let counts =
            reports.connected().map(|(_, report)| (report.incarnation.clone(), report.failed(service)));
        reports.are_all_connected().then(|| Self(counts.collect()))
    }

    /// The sum over all processes; `None` if they are not the same as at the beginning.
    fn since(&self, began: &Self) -> Option<u64> {
        if !self.0.keys().eq(began.0.keys()) {
            return None;
        }
        // A service that was absent from the tables for a while counts from zero again.
        self.0.iter().map(|(process, failed)| failed.checked_sub(began.0[process])).sum()
    }
}

/// The rollout under way, or the last one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum RolloutErrorCount {
    /// Its start was not seen, or no balancer counted.
    #[default]
    Unknown,
    /// Under way; the count when it started.
    Since(FailedRequestCount),
    /// Ended, with this many failed requests.
    Ended(u64),
}

impl RolloutErrorCount {
    /// Takes in a pass: the rollout before and after it, and the count at its start.
    pub(crate) fn pass(
        &mut self,
        before: Option<&Rollout>,
        after: &Rollout,
        now: Option<FailedRequestCount>,
    ) {
        if begins(before, after) {
            *self = now.map_or(Self::Unknown, Self::Since);
        } else if let Self::Since(_) = self
            && !after.state.is_under_way()
        {
            *self = self.failed(now.as_ref()).map_or(Self::Unknown, Self::Ended);
        }
    }

    /// How many failed in it; until now, if it is under way.
    pub(crate) fn failed(&self, now: Option<&FailedRequestCount>) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::Since(began) => now?.since(began),
            Self::Ended(failed) => Some(*failed),
        }
    }
}

fn begins(before: Option<&Rollout>, after: &Rollout) -> bool {
    let progresses = |rollout: &Rollout| matches!(rollout.state, RolloutState::Progressing { .. });
    let continues = before.is_some_and(|before| progresses(before) && before.target == after.target);
    progresses(after) && !continues
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

    fn count(by: &str, failed: u64) -> Option<FailedRequestCount> {
        Some(FailedRequestCount([(Incarnation(by.to_owned()), failed)].into()))
    }

    /// The figure after each pass, from stable revision 1 on; a row is the target, the state, and the balancer's count.
    #[track_caller]
    fn check(passes: &[(u64, RolloutState, Option<FailedRequestCount>)], expected: &[Option<u64>]) {
        let mut attempt = RolloutErrorCount::default();
        let mut before = rollout(1, RolloutState::Complete);
        let mut figures = Vec::new();
        for (target, state, now) in passes {
            let after = rollout(*target, state.clone());
            attempt.pass(Some(&before), &after, now.clone());
            figures.push(attempt.failed(now.as_ref()));
            before = after;
        }
        assert_eq!(figures, expected);
    }

    #[test]
    fn error_count_runs_from_the_start_of_a_rollout_to_its_end() {
        let goes = || RolloutState::Progressing { waited: Millis(0), most_available: 0 };
        let goes_back =
            || RolloutState::RollingBack { failure: failure(), waited: Millis(0), most_available: 0 };
        let is_back = || RolloutState::RolledBack { failure: failure() };
        let failed = || RolloutState::Failed { failure: failure(), back_from: None };
        check(
            &[
                (1, RolloutState::Complete, count("a", 5)),
                (2, goes(), count("a", 7)),
                (2, goes(), count("a", 8)),
                (1, goes_back(), count("a", 9)),
                (1, is_back(), count("a", 9)),
                (1, is_back(), count("a", 50)),
                (2, goes(), count("a", 50)),
                (2, RolloutState::Complete, count("a", 50)),
            ],
            &[None, Some(0), Some(1), Some(2), Some(2), Some(2), Some(0), Some(0)],
        );
        check(&[(2, goes(), count("a", 7)), (3, goes(), count("a", 9))], &[Some(0), Some(0)]);
        check(&[(2, goes(), count("a", 7)), (2, failed(), count("a", 9))], &[Some(0), Some(2)]);
        check(
            &[(2, goes(), None), (2, goes(), count("a", 7)), (2, failed(), count("a", 9))],
            &[None, None, None],
        );
        check(&[(2, goes(), count("a", 7)), (2, failed(), count("b", 9))], &[Some(0), None]);
        check(&[(2, goes(), count("a", 7)), (2, failed(), count("a", 1))], &[Some(0), None]);
        check(
            &[(2, goes(), count("a", 7)), (2, goes(), None), (2, failed(), count("a", 8))],
            &[Some(0), None, Some(1)],
        );
    }

    #[test]
    fn failures_are_summed_only_over_the_same_processes() {
        let counts = |rows: &[(&str, u64)]| {
            FailedRequestCount(
                rows.iter().map(|(by, failed)| (Incarnation((*by).to_owned()), *failed)).collect(),
            )
        };
        let began = counts(&[("a", 7), ("b", 1)]);
        assert_eq!(counts(&[("a", 9), ("b", 4)]).since(&began), Some(5));
        assert_eq!(counts(&[("a", 9), ("b", 0)]).since(&began), None, "`b` counts from zero again");
        assert_eq!(counts(&[("a", 9), ("c", 4)]).since(&began), None);
        assert_eq!(counts(&[("a", 9)]).since(&began), None);
    }

    #[test]
    fn error_count_is_unknown_when_the_controller_started_during_the_rollout() {
        let goes = rollout(2, RolloutState::Progressing { waited: Millis(0), most_available: 0 });
        let mut attempt = RolloutErrorCount::default();
        attempt.pass(Some(&goes), &goes, count("a", 7));
        assert_eq!(attempt.failed(count("a", 8).as_ref()), None);
    }
}
