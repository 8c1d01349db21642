//! When a rollout fails unless it makes progress, and what happens then. Pure.

use serde::{Deserialize, Serialize};

use crate::controller::service_state::ServiceState;
use crate::model::{
    Millis, NotReadyCause, OnFailure, Replica, ReplicaName, ReplicaPhase, RevisionNumber, RolloutState,
};

/// When a rollout fails unless it makes progress, and what happens then; part of an answer of the API, never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutDeadline {
    /// In whole seconds; time that does not count, such as a pull, is not taken off.
    pub remaining: Millis,
    /// The replica whose `startWithin` ends first; without one it is the rollout's own deadline, which any progress
    /// starts again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<ReplicaName>,
    /// The revision that a failure rolls back to; without one it is not rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolls_back_to: Option<RevisionNumber>,
}

/// The deadline of a rollout in progress; `None` while no time counts.
pub(super) fn deadline(state: &ServiceState, now: jiff::Timestamp) -> Option<RolloutDeadline> {
    let rollout = state.rollout.as_ref()?;
    let policy = &state.service.spec.rollout;
    let whole_rollout = |waited: &Millis, rolls_back_to| RolloutDeadline {
        remaining: Millis(policy.deadline.0.saturating_sub(waited.0)).whole_seconds(),
        replica: None,
        rolls_back_to,
    };
    match &rollout.state {
        RolloutState::Progressing { waited, .. } if !rollout.paused => {
            let stable = rollout.stable.filter(|stable| *stable != rollout.target);
            let stable = stable.filter(|_| policy.on_failure == OnFailure::Rollback);
            let whole = whole_rollout(waited, stable);
            let starting = state.replicas.iter().filter(|replica| replica.revision == rollout.target);
            let starting = starting.filter_map(|r| Some((start_time_left(state, r, now)?, &r.name))).min();
            Some(match starting.filter(|(left, _)| *left < whole.remaining) {
                Some((remaining, name)) => {
                    RolloutDeadline { remaining, replica: Some(name.clone()), ..whole }
                }
                None => whole,
            })
        }
        RolloutState::RollingBack { waited, .. } => Some(whole_rollout(waited, None)),
        _ => None,
    }
}

/// The rest of `startWithin` for a replica that has not passed its first health check, or that exits before it does.
fn start_time_left(state: &ServiceState, replica: &Replica, now: jiff::Timestamp) -> Option<Millis> {
    let status = state.statuses.get(&replica.name).filter(|_| replica.runs())?;
    let elapsed = match &status.phase {
        ReplicaPhase::Starting { .. } | ReplicaPhase::Waiting { .. } | ReplicaPhase::BackOff { .. }
            if status.failures > 0 =>
        {
            status.trial.total.0
        }
        ReplicaPhase::Starting { cause: Some(NotReadyCause::Unhealthy { .. }) } => {
            u64::try_from(now.as_millisecond() - status.since.as_millisecond()).unwrap_or(0)
        }
        _ => return None,
    };
    // What a revision runs with is its own health check, not the spec's of a later generation.
    let health =
        state.revisions.get(&replica.revision).map_or(&state.service.spec.health, |r| &r.spec.health);
    Some(Millis(health.start_within.0.saturating_sub(elapsed)).whole_seconds())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::Trial;
    use crate::model::{Desired, FailureReason, ReplicaStatus, RolloutFailure};
    use crate::testing;

    fn at(second: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_second(second).unwrap()
    }

    /// Revision 2 replaces revision 1; a replica of it fails its health check since second 100.
    fn rolling(state: RolloutState) -> ServiceState {
        let name: ReplicaName = "users-2-a".into();
        let replica = Replica {
            name: name.clone(),
            service: "users".into(),
            app: "shop".into(),
            slot: 1,
            revision: RevisionNumber(2),
            hash: "".into(),
            node: "n".into(),
            created_at: None,
            desired: Desired::Run,
        };
        let cause = NotReadyCause::unhealthy("GET / → 503");
        let status = ReplicaStatus {
            replica: name.clone(),
            phase: ReplicaPhase::Starting { cause: Some(cause) },
            attempt: 1,
            failures: 0,
            container: None,
            published: BTreeMap::new(),
            address: None,
            ready_after: None,
            trial: Trial::default(),
            since: at(100),
            diagnosis: None,
            cut: None,
            history: Default::default(),
        };
        let mut rollout = testing::rollout(2);
        rollout.stable = Some(RevisionNumber(1));
        rollout.state = state;
        ServiceState {
            service: testing::service("users"),
            service_revision: 1,
            rollout: Some(rollout),
            rollout_revision: Some(1),
            traffic: None,
            revisions: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            replicas: vec![replica],
            statuses: BTreeMap::from([(name, status)]),
            endpoints: BTreeMap::new(),
        }
    }

    fn progressing(waited: Millis) -> RolloutState {
        RolloutState::Progressing { waited, most_available: 0 }
    }

    #[test]
    fn deadline_is_the_replicas_if_that_ends_first() {
        let state = rolling(progressing(Millis::secs(10)));
        let rolls_back_to = Some(RevisionNumber(1));
        let first = deadline(&state, at(105)).unwrap();
        let expected =
            RolloutDeadline { remaining: Millis::secs(55), replica: Some("users-2-a".into()), rolls_back_to };
        assert_eq!(first, expected, "startWithin is 60s");
        let late = rolling(progressing(Millis::secs(280)));
        let expected = RolloutDeadline { remaining: Millis::secs(20), replica: None, rolls_back_to };
        assert_eq!(deadline(&late, at(105)), Some(expected), "deadline is 300s");
    }

    #[test]
    fn deadline_of_a_paused_or_complete_rollout_is_none() {
        let mut paused = rolling(progressing(Millis(0)));
        paused.rollout.as_mut().unwrap().paused = true;
        assert_eq!(deadline(&paused, at(105)), None);
        assert_eq!(deadline(&rolling(RolloutState::Complete), at(105)), None);
    }

    #[test]
    fn deadline_rolls_back_only_once_and_only_if_the_policy_says_so() {
        let by = "abort users".into();
        let failure = RolloutFailure {
            revision: RevisionNumber(3),
            reason: FailureReason::Aborted { by },
            at: at(100),
        };
        let back = RolloutState::RollingBack { failure, waited: Millis(1), most_available: 0 };
        let expected = RolloutDeadline { remaining: Millis::secs(299), replica: None, rolls_back_to: None };
        assert_eq!(deadline(&rolling(back), at(105)), Some(expected));
        let mut pausing = rolling(progressing(Millis(0)));
        pausing.service.spec.rollout.on_failure = OnFailure::Pause;
        assert_eq!(deadline(&pausing, at(105)).unwrap().rolls_back_to, None);
    }
}
