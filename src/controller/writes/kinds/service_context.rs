//! What a write of a service depends on next to the service: its rollout, and the revisions it may go back to. Pure.

use crate::controller::service_state::ServiceState;
use crate::controller::writes::failed_override::{LiveService, live};
use crate::controller::writes::fields::FieldsError;
use crate::controller::writes::object::{Object, ObjectContext};
use crate::controller::writes::rollout_phase::{RolloutPosition, position};
use crate::model::{Override, RevisionNumber, RevisionOutcome, Rollout, Service};
use crate::store::Compare;

impl ServiceState {
    pub(in crate::controller::writes) fn position(&self) -> RolloutPosition {
        position(&self.service, self.rollout.as_ref(), &self.revisions)
    }

    pub(in crate::controller::writes) fn outcome(
        &self,
        revision: RevisionNumber,
    ) -> Option<&RevisionOutcome> {
        self.outcomes.get(&revision).map(|record| &record.outcome)
    }

    /// The revision that an undo goes back to; see [`last_good`].
    pub(in crate::controller::writes) fn last_good(&self) -> Option<RevisionNumber> {
        last_good(self.rollout.as_ref()?, self.revisions.keys().copied(), |number| self.outcome(number))
    }
}

impl ObjectContext {
    /// The object as a manifest is merged with it, and what commands changed of it whose release failed.
    pub(in crate::controller::writes) fn live(
        &self,
        object: &Object,
    ) -> Result<(Object, Vec<Override>), FieldsError> {
        match self {
            Self::Service(state) => {
                let LiveService { service, failed } = live(state)?;
                Ok((Object::Service(Box::new(service)), failed))
            }
            Self::None => Ok((object.clone(), Vec::new())),
        }
    }

    fn with<'a>(&'a self, after: &'a Object) -> Option<(&'a ServiceState, &'a Service)> {
        match self {
            Self::Service(before) => Some((before, after.as_service()?)),
            Self::None => None,
        }
    }

    /// What must not have changed next to the object when a change is committed: a request to pause or abort was judged by
    /// the rollout.
    pub(in crate::controller::writes) fn further_compares(&self, after: &Object) -> Vec<Compare> {
        let Some((before, after)) = self.with(after) else { return Vec::new() };
        let changes_intervention = before.service.intervention != after.intervention;
        if changes_intervention && before.service.release().is(after.release()) {
            vec![before.rollout_unchanged()]
        } else {
            Vec::new()
        }
    }

    /// A note where a release replaces one whose rollout has not ended.
    pub(in crate::controller::writes) fn replaced_note(&self, after: &Object) -> Option<String> {
        let (before, after) = self.with(after)?;
        if before.service.release().is(after.release()) { None } else { before.position().replaced_note() }
    }
}

/// What an undo goes back to: out of a rollout that is under way or paused, to the last revision that completed; else to
/// the newest kept one before the current that completed. One without a record, made by an earlier version of `ctl`,
/// counts as completed.
fn last_good<'a>(
    rollout: &Rollout,
    kept: impl DoubleEndedIterator<Item = RevisionNumber>,
    outcome: impl Fn(RevisionNumber) -> Option<&'a RevisionOutcome>,
) -> Option<RevisionNumber> {
    let completed = |number: RevisionNumber| outcome(number).is_none_or(|o| *o == RevisionOutcome::Complete);
    let mut earlier = kept.filter(|number| *number < rollout.target && completed(*number));
    rollout.stable.filter(|stable| *stable != rollout.target).or_else(|| earlier.next_back())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn last_good_is_the_newest_earlier_revision_that_completed() {
        let kept: Vec<RevisionNumber> = (1..=4).map(RevisionNumber).collect();
        let undone = |target, stable: Option<u64>, bad: &[u64]| {
            let rollout = Rollout { stable: stable.map(RevisionNumber), ..crate::testing::rollout(target) };
            let superseded =
                |n: &u64| (RevisionNumber(*n), RevisionOutcome::Superseded { by: RevisionNumber(n + 1) });
            let outcomes: BTreeMap<_, _> = bad.iter().map(superseded).collect();
            let outcome = |number| outcomes.get(&number);
            last_good(&rollout, kept.iter().copied(), outcome).map(|number| number.0)
        };
        assert_eq!(undone(4, Some(4), &[]), Some(3), "complete: the one before");
        assert_eq!(undone(4, Some(4), &[3]), Some(2), "complete: the last good one before");
        assert_eq!(undone(4, Some(2), &[]), Some(2), "under way: 3 never completed");
        assert_eq!(undone(2, Some(2), &[]), Some(1), "rolled back: 4 is not before 2");
        assert_eq!(undone(3, None, &[]), Some(2), "nothing ever completed, by no record");
        assert_eq!(undone(3, None, &[1, 2]), None, "nothing ever completed");
        assert_eq!(undone(1, None, &[]), None);
    }
}
