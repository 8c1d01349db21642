//! A command whose release failed, or was aborted, leaves no override: what is live is what served before. Pure.
//!
//! The spec keeps asking for the failed release, so that a retry can try it again. An apply of the manifest neither
//! keeps that release nor is in conflict with it: the merge sees the release that the service went back to, with the
//! overrides that were in force then.

use super::fields::{Field, Fields, FieldsError};
use super::kinds::service::fields_with_digest;
use crate::controller::service_state::ServiceState;
use crate::model::{Override, Revision, RolloutState, Service};
use crate::orchestrator::asks_for_nothing_new;

/// A service as a merge sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LiveService {
    /// With the release that serves, where the last one came from a command and failed.
    pub(crate) service: Service,
    /// What that command changed, and is not live.
    pub(crate) failed: Vec<Override>,
}

/// The service without the overrides of a release that failed.
pub(crate) fn live(state: &ServiceState) -> Result<LiveService, FieldsError> {
    let service = &state.service;
    let as_stored = || LiveService { service: service.clone(), failed: Vec::new() };
    let Some(failed) = failed_release(state).filter(|_| !service.overrides.is_empty()) else {
        return Ok(as_stored());
    };
    let Some(stable) = went_back_to(state) else {
        return Ok(without(service, |over| over.by != failed.created_by));
    };
    let asked = fields_with_digest(service)?;
    let went_back = Service {
        spec: service.spec.with_release_of(&stable.spec),
        image: stable.image.clone(),
        restarts: stable.restarts,
        ..service.clone()
    };
    let serving = fields_with_digest(&went_back)?;
    let is_live = |over: &Override| {
        let field = Field::parse(&over.field);
        asked.get(&field) == serving.get(&field)
    };
    let LiveService { failed, .. } = without(service, is_live);
    if failed.is_empty() {
        return Ok(as_stored());
    }
    let mut overrides: Vec<Override> =
        service.overrides.iter().filter_map(|over| in_force(over, is_live(over), &serving, stable)).collect();
    overrides.sort_by(|a, b| a.field.cmp(&b.field));
    Ok(LiveService { service: Service { overrides, ..went_back }, failed })
}

/// The revision that serves, where the release that the service asks for failed or was aborted.
pub(crate) fn went_back_to(state: &ServiceState) -> Option<&Revision> {
    let failed = failed_release(state)?;
    let stable = state.rollout.as_ref()?.stable.filter(|stable| *stable != failed.number)?;
    state.revisions.get(&stable)
}

/// The revision of the release that the service asks for, where that failed or was aborted.
fn failed_release(state: &ServiceState) -> Option<&Revision> {
    let rollout = state.rollout.as_ref()?;
    let failure = match &rollout.state {
        RolloutState::Progressing { .. } | RolloutState::Complete => return None,
        RolloutState::RollingBack { failure, .. } | RolloutState::RolledBack { failure } => failure,
        RolloutState::Failed { failure, back_from } => back_from.as_ref().unwrap_or(failure),
    };
    let is_asked_for = failure.revision == rollout.last_revision
        && asks_for_nothing_new(&state.service, rollout, &state.revisions);
    state.revisions.get(&failure.revision).filter(|_| is_asked_for)
}

fn without(service: &Service, is_live: impl Fn(&Override) -> bool) -> LiveService {
    let (overrides, failed) = service.overrides.iter().cloned().partition(is_live);
    LiveService { service: Service { overrides, ..service.clone() }, failed }
}

/// An override as it was in force before the failed release; `None` where that release made it.
fn in_force(over: &Override, is_live: bool, serving: &Fields, stable: &Revision) -> Option<Override> {
    if is_live {
        return Some(over.clone());
    }
    let new = serving.get(&Field::parse(&over.field)).cloned();
    // An earlier command had changed the field as well.
    (new != over.old).then(|| Override {
        field: over.field.clone(),
        old: over.old.clone(),
        new,
        by: stable.created_by.clone(),
        at: stable.created_at,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::controller::writes::kinds::service::record_overrides;
    use crate::model::{
        Author, FailureReason, Generation, HASH_SCHEMA, Millis, ResolvedImage, RevisionNumber, Rollout,
        RolloutFailure,
    };
    use crate::testing;

    fn image(tag: &str) -> ResolvedImage {
        ResolvedImage::without_config(format!("users:{tag}"), format!("sha256:{tag}"))
    }

    fn release(number: u64, service: &Service) -> Revision {
        Revision {
            number: RevisionNumber(number),
            service: service.name().clone(),
            generation: service.metadata.generation,
            spec: service.spec.clone(),
            image: service.image.clone(),
            restarts: 0,
            hash: "".into(),
            hash_schema: HASH_SCHEMA,
            created_at: jiff::Timestamp::UNIX_EPOCH,
            created_by: service.written_by.clone(),
        }
    }

    fn with_image(before: &Service, tag: &str) -> Service {
        let mut after = before.clone();
        after.spec.image = format!("users:{tag}");
        after.image = image(tag);
        after.written_by = Author::from(format!("rollout users --image {tag}").as_str());
        after.metadata.generation = before.metadata.generation.next();
        after.overrides =
            record_overrides(before, &after, &after.written_by, jiff::Timestamp::UNIX_EPOCH).unwrap();
        after
    }

    fn failure(revision: u64) -> RolloutFailure {
        let reason = FailureReason::DeadlineExceeded { deadline: Millis::secs(1), observed: Vec::new() };
        RolloutFailure { revision: RevisionNumber(revision), reason, at: jiff::Timestamp::UNIX_EPOCH }
    }

    /// `v1` was applied; the tags were rolled out one after the other, and the last one came to this state.
    fn state(tags: &[&str], stable: Option<u64>, rollout_state: RolloutState) -> ServiceState {
        let mut service = testing::service("users");
        service.spec.image = "users:v1".to_owned();
        service.image = image("v1");
        service.metadata.generation = Generation(1);
        let mut revisions = BTreeMap::from([(RevisionNumber(1), release(1, &service))]);
        for (number, tag) in (2..).zip(tags) {
            service = with_image(&service, tag);
            revisions.insert(RevisionNumber(number), release(number, &service));
        }
        let last = RevisionNumber(u64::try_from(revisions.len()).unwrap());
        let rollout = Rollout {
            stable: stable.map(RevisionNumber),
            last_revision: last,
            observed_generation: service.metadata.generation,
            state: rollout_state,
            ..testing::rollout(stable.unwrap_or(last.0))
        };
        ServiceState {
            service_revision: 1,
            rollout: Some(rollout),
            rollout_revision: Some(1),
            traffic: None,
            revisions,
            outcomes: BTreeMap::new(),
            replicas: Vec::new(),
            statuses: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            service,
        }
    }

    /// The image that is live, the override in force and the number of failed ones.
    fn seen(state: &ServiceState) -> (String, Option<String>, usize) {
        let LiveService { service, failed } = live(state).unwrap();
        let over = service.overrides.first().and_then(|over| over.new.as_ref()?.as_str().map(str::to_owned));
        (service.spec.image, over, failed.len())
    }

    #[test]
    fn live_leaves_out_an_override_whose_release_failed() {
        let rolled_back = |revision| RolloutState::RolledBack { failure: failure(revision) };
        let rolling_back =
            RolloutState::RollingBack { failure: failure(2), waited: Millis(0), most_available: 0 };
        let failed = RolloutState::Failed { failure: failure(2), back_from: None };
        let rollback_failed = RolloutState::Failed { failure: failure(1), back_from: Some(failure(2)) };
        let progressing = RolloutState::Progressing { waited: Millis(0), most_available: 0 };
        let (v1, good, bad) = ("users:v1", "users:good", "users:bad");
        for (what, tags, stable, state_of_rollout, image, over, dropped) in [
            ("rolled back", &["bad"][..], Some(1), rolled_back(2), v1, None, 1),
            ("on its way back", &["bad"], Some(1), rolling_back, v1, None, 1),
            ("not rolled back", &["bad"], Some(1), failed.clone(), v1, None, 1),
            ("the rollback failed", &["bad"], Some(1), rollback_failed, v1, None, 1),
            ("nothing ever served", &["bad"], None, failed, bad, None, 1),
            ("an earlier command was good", &["good", "bad"], Some(2), rolled_back(3), good, Some("good"), 1),
            ("it is being tried", &["bad"], Some(1), progressing, bad, Some("bad"), 0),
            ("it completed", &["good"], Some(2), RolloutState::Complete, good, Some("good"), 0),
        ] {
            let state = state(tags, stable, state_of_rollout);
            let over = over.map(|tag| self::image(tag).summary());
            assert_eq!(seen(&state), (image.to_owned(), over, dropped), "{what}");
        }
    }

    #[test]
    fn live_keeps_overrides_that_are_no_part_of_the_failed_release() {
        let mut state = state(&["bad"], Some(1), RolloutState::RolledBack { failure: failure(2) });
        let before = state.service.clone();
        state.service.spec.replicas = Some(5);
        let by = Author::from("scale users=5");
        state.service.overrides =
            record_overrides(&before, &state.service, &by, jiff::Timestamp::UNIX_EPOCH).unwrap();
        let LiveService { service, failed } = live(&state).unwrap();
        assert_eq!(failed.iter().map(|over| over.field.as_str()).collect::<Vec<_>>(), ["spec.image"]);
        assert_eq!(service.overrides.iter().map(|over| &over.by).collect::<Vec<_>>(), [&by]);
        assert_eq!(service.spec.replicas, Some(5));
    }
}
