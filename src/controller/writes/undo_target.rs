//! What an undo goes back to: what served before. Pure.
//!
//! The rule: where a service asks for something else than what serves (a rollout is under way, paused, failed, rolled back or
//! aborted, or was not observed yet), an undo asks again for what serves. Where it asks for what serves, an undo goes to the
//! last release before it that completed and is another one; a restart makes no other release.

use crate::controller::service_state::ServiceState;
use crate::model::{Release, Revision, RevisionNumber, RevisionOutcome, RolloutFailure, RolloutState};

/// The revision that an undo goes back to; `None` where nothing else ever served.
pub(crate) fn undo_target(state: &ServiceState) -> Option<RevisionNumber> {
    let rollout = state.rollout.as_ref()?;
    let serving = rollout.stable.and_then(|stable| state.revisions.get(&stable));
    match serving {
        Some(serving) if !serving.release().is(state.service.release()) => Some(serving.number),
        Some(serving) => last_other(state, serving),
        None => state.revisions.get(&rollout.target).and_then(|target| last_other(state, target)),
    }
}

/// The newest revision before this one that completed with another release. One without a record, made by an earlier
/// version of `ctl`, counts as completed.
fn last_other(state: &ServiceState, than: &Revision) -> Option<RevisionNumber> {
    let completed = |number: RevisionNumber| {
        state.outcomes.get(&number).is_none_or(|record| record.outcome == RevisionOutcome::Complete)
    };
    let earlier = state.revisions.values().rev().filter(|revision| revision.number < than.number);
    let mut others = earlier.filter(|revision| completed(revision.number) && !is_restart_of(revision, than));
    others.next().map(|revision| revision.number)
}

/// Whether both release the same, in the same or other containers.
fn is_restart_of(one: &Revision, other: &Revision) -> bool {
    one.release().is(Release { restarts: one.restarts, ..other.release() })
}

/// The release that an undo takes back, and what became of it where it does not serve: for people.
pub(crate) fn undone(state: &ServiceState) -> String {
    let observed = state.rollout.as_ref().and_then(|rollout| state.revisions.get(&rollout.last_revision));
    match observed.filter(|revision| revision.release().is(state.service.release())) {
        Some(revision) => named(revision),
        None => state.service.image.summary(),
    }
}

/// `revision 4 (users:1.4 @ c0ffee123456)`.
pub(crate) fn named(revision: &Revision) -> String {
    format!("revision {} ({})", revision.number, revision.image.summary())
}

/// The failure that the service is already back from, on this revision: an undo to it replaces no replica.
pub(crate) fn back_already(state: &ServiceState, to: RevisionNumber) -> Option<&RolloutFailure> {
    let rollout = state.rollout.as_ref().filter(|rollout| rollout.target == to)?;
    match &rollout.state {
        RolloutState::RolledBack { failure } => Some(failure),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{
        FailureReason, Generation, HASH_SCHEMA, Millis, OutcomeRecord, ResolvedImage, Rollout, Service,
    };
    use crate::testing;

    fn asks(service: &Service, tag: &str) -> Service {
        let (tag, restarts) = tag.split_once('+').map_or((tag, 0), |(tag, n)| (tag, n.parse().unwrap()));
        let mut asks = service.clone();
        asks.spec.image = format!("users:{tag}");
        asks.image = ResolvedImage::without_config(asks.spec.image.clone(), format!("sha256:{tag}"));
        asks.restarts = restarts;
        asks
    }

    fn release(service: &Service, number: RevisionNumber) -> Revision {
        Revision {
            service: service.name().clone(),
            number,
            generation: Generation(number.0),
            spec: service.spec.clone(),
            image: service.image.clone(),
            restarts: service.restarts,
            hash: "".into(),
            hash_schema: HASH_SCHEMA,
            created_at: jiff::Timestamp::UNIX_EPOCH,
            created_by: service.written_by.clone(),
        }
    }

    fn failure(revision: RevisionNumber) -> RolloutFailure {
        let reason = FailureReason::Aborted { by: "abort users".into() };
        RolloutFailure { revision, reason, at: jiff::Timestamp::UNIX_EPOCH }
    }

    fn outcome(word: char, revision: RevisionNumber) -> Option<RevisionOutcome> {
        let failure = failure(revision);
        Some(match word {
            '-' => return None,
            'c' => RevisionOutcome::Complete,
            'p' => RevisionOutcome::InProgress,
            'f' => RevisionOutcome::Failed { failure },
            'r' => RevisionOutcome::RolledBack { failure },
            'a' => RevisionOutcome::Aborted { failure },
            's' => RevisionOutcome::Superseded { by: revision.next() },
            other => panic!("no such outcome: {other}"),
        })
    }

    /// The revisions, `TAG` or `TAG+RESTARTS` with the letter of their outcome (`c`omplete, in `p`rogress, `f`ailed,
    /// `r`olled back, `a`borted, `s`uperseded, `-` without a record); the last is what the service asks for.
    fn state(releases: &[(&str, char)], stable: u64, rollout_state: RolloutState) -> ServiceState {
        let mut service = testing::service("users");
        let mut revisions = BTreeMap::new();
        let mut outcomes = BTreeMap::new();
        for ((tag, word), number) in releases.iter().zip((1..).map(RevisionNumber)) {
            service = asks(&service, tag);
            revisions.insert(number, release(&service, number));
            if let Some(outcome) = outcome(*word, number) {
                let at = jiff::Timestamp::UNIX_EPOCH;
                outcomes.insert(number, OutcomeRecord { revision: number, outcome, at });
            }
        }
        let last = RevisionNumber(u64::try_from(releases.len()).unwrap());
        let stable = Some(RevisionNumber(stable)).filter(|stable| stable.0 > 0);
        let forward = matches!(
            rollout_state,
            RolloutState::Progressing { .. } | RolloutState::Failed { back_from: None, .. }
        );
        let target = stable.filter(|_| !forward).unwrap_or(last);
        let rollout =
            Rollout { stable, last_revision: last, state: rollout_state, ..testing::rollout(target.0) };
        ServiceState {
            service,
            service_revision: 1,
            rollout: Some(rollout),
            rollout_revision: Some(1),
            traffic: None,
            revisions,
            outcomes,
            replicas: Vec::new(),
            statuses: BTreeMap::new(),
            endpoints: BTreeMap::new(),
        }
    }

    fn under_way() -> RolloutState {
        RolloutState::Progressing { waited: Millis(0), most_available: 0 }
    }

    #[test]
    fn undo_target_is_what_served_before_in_every_state_of_a_rollout() {
        let complete = || RolloutState::Complete;
        let rolled_back = |n| RolloutState::RolledBack { failure: failure(RevisionNumber(n)) };
        let rolling_back = |n| RolloutState::RollingBack {
            failure: failure(RevisionNumber(n)),
            waited: Millis(0),
            most_available: 0,
        };
        let failed = |n| RolloutState::Failed { failure: failure(RevisionNumber(n)), back_from: None };
        let rollback_failed = RolloutState::Failed {
            failure: failure(RevisionNumber(2)),
            back_from: Some(failure(RevisionNumber(3))),
        };
        let (v1, v2, v3) = (("1", 'c'), ("2", 'c'), ("3", 'c'));
        for (what, releases, stable, state_of_rollout, expected) in [
            ("complete: the one before", vec![v1, v2], 2, complete(), Some(1)),
            ("nothing before", vec![v1], 1, complete(), None),
            ("over a superseded one", vec![v1, ("2", 's'), v3], 3, complete(), Some(1)),
            ("over one that was rolled back", vec![v1, ("bad", 'r'), v3], 3, complete(), Some(1)),
            ("over one that failed", vec![v1, ("bad", 'f'), v3], 3, complete(), Some(1)),
            ("over an aborted one", vec![v1, ("2", 'a'), v3], 3, complete(), Some(1)),
            ("an undo of an undo", vec![v1, v2, v1], 3, complete(), Some(2)),
            ("a restart is no other release", vec![v1, v2, ("2+1", 'c')], 3, complete(), Some(1)),
            ("without a record", vec![("1", '-'), ("2", '-')], 2, complete(), Some(1)),
            ("in progress: what serves", vec![v1, v2, ("3", 'p')], 2, under_way(), Some(2)),
            ("a restart in progress", vec![v1, v2, ("2+1", 'p')], 2, under_way(), Some(2)),
            ("after a superseded one", vec![v1, ("2", 's'), ("3", 'p')], 1, under_way(), Some(1)),
            ("the first in progress", vec![("1", 'p')], 0, under_way(), None),
            ("nothing ever completed", vec![("1", 's'), ("2", 'p')], 0, under_way(), None),
            ("rolling back", vec![v1, v2, ("bad", 'f')], 2, rolling_back(3), Some(2)),
            ("rolled back: what serves", vec![v1, v2, ("bad", 'r')], 2, rolled_back(3), Some(2)),
            ("aborted: what serves", vec![v1, v2, ("3", 'a')], 2, rolled_back(3), Some(2)),
            ("aborted on its way to an older one", vec![v1, v2, ("1", 'a')], 2, rolled_back(3), Some(2)),
            ("failed, not rolled back", vec![v1, v2, ("bad", 'f')], 2, failed(3), Some(2)),
            ("the rollback failed", vec![v1, v2, ("bad", 'f')], 2, rollback_failed, Some(2)),
            ("the first failed", vec![("bad", 'f')], 0, failed(1), None),
            ("twice after a rollback", vec![v1, v2, ("bad", 'r'), v2], 4, complete(), Some(1)),
        ] {
            let state = state(&releases, stable, state_of_rollout);
            assert_eq!(undo_target(&state), expected.map(RevisionNumber), "{what}");
        }
    }

    #[test]
    fn undo_of_a_release_that_no_pass_has_observed_asks_for_what_serves() {
        let mut state = state(&[("1", 'c'), ("2", 'c')], 2, RolloutState::Complete);
        state.service = asks(&state.service, "3");
        state.service.metadata.generation = Generation(3);
        assert_eq!(undo_target(&state), Some(RevisionNumber(2)));
        assert_eq!(undone(&state), "users:3 @ 3");
    }

    #[test]
    fn undone_names_the_revision_that_is_asked_for() {
        let state = state(
            &[("1", 'c'), ("2", 'r')],
            1,
            RolloutState::RolledBack { failure: failure(RevisionNumber(2)) },
        );
        assert_eq!(undone(&state), "revision 2 (users:2 @ 2)");
        assert!(back_already(&state, RevisionNumber(1)).is_some());
        assert!(back_already(&state, RevisionNumber(2)).is_none());
    }
}
