//! What a write of a service depends on next to the service: its rollout, and the revisions it may go back to. Pure.

use crate::controller::service_state::ServiceState;
use crate::controller::writes::failed_override::{LiveService, live, went_back_to};
use crate::controller::writes::fields::FieldsError;
use crate::controller::writes::object::{Object, ObjectContext};
use crate::controller::writes::rollout_phase::{RolloutPosition, position};
use crate::model::{Override, Replica, ReplicaStatus, Revision, RevisionNumber, RevisionOutcome, Service};
use crate::store::Compare;

impl ServiceState {
    pub(in crate::controller::writes) fn position(&self) -> RolloutPosition {
        position(&self.service, self.rollout.as_ref(), &self.revisions, self.serves())
    }

    /// Whether all wanted replicas are of the rollout's target and ready.
    fn serves(&self) -> bool {
        let target = self.rollout.as_ref().map(|rollout| rollout.target);
        let is_ready = |replica: &Replica| {
            let status = self.statuses.get(&replica.name);
            Some(replica.revision) == target && status.is_some_and(ReplicaStatus::is_ready)
        };
        let running = self.replicas.iter().filter(|replica| replica.runs());
        let wanted = usize::try_from(self.service.spec.replica_count()).unwrap_or(usize::MAX);
        running.clone().count() == wanted && running.clone().all(is_ready)
    }

    pub(in crate::controller::writes) fn outcome(
        &self,
        revision: RevisionNumber,
    ) -> Option<&RevisionOutcome> {
        self.outcomes.get(&revision).map(|record| &record.outcome)
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

    /// The revision that serves, where the release that is asked for failed.
    pub(in crate::controller::writes) fn went_back_to(&self) -> Option<&Revision> {
        match self {
            Self::Service(state) => went_back_to(state),
            Self::None => None,
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
