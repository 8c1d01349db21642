//! From generations to revisions: each generation of the spec is read once.
//!
//! The release that a generation asks for is compared with the last revision that was made, whatever became of it. So a
//! scale after a rollback does not try the failed release again, and an undo, which asks for what an older revision
//! released, makes a new number like any other change.

use std::collections::BTreeMap;

use super::pass::event;
use super::{ReplicaView, ServiceView, census};
use crate::model::{
    Event, EventKind, EventReason, HASH_SCHEMA, Millis, Now, Revision, RevisionNumber, RevisionOutcome,
    Rollout, RolloutState, Service,
};

/// The rollout after this generation was read.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) rollout: Rollout,
    pub(super) new_revision: Option<Revision>,
    /// Whether a new rollout begins here.
    pub(super) fresh: bool,
    /// What that makes of the revisions involved.
    pub(super) outcomes: Vec<(RevisionNumber, RevisionOutcome)>,
    pub(super) events: Vec<Event>,
}

impl Observed {
    fn nothing_new(rollout: Rollout, events: Vec<Event>) -> Self {
        Self { rollout, new_revision: None, fresh: false, outcomes: Vec::new(), events }
    }
}

/// Reads the generation, if it was not read before.
pub(super) fn observe(view: &ServiceView, now: Now) -> Observed {
    let generation = view.service.metadata.generation;
    match &view.rollout {
        Some(rollout) if rollout.observed_generation == generation => {
            Observed::nothing_new(rollout.clone(), Vec::new())
        }
        Some(rollout) if asks_for_nothing_new(&view.service, rollout, &view.revisions) => {
            let events = scaled(view, rollout, now).into_iter().collect();
            Observed::nothing_new(Rollout { observed_generation: generation, ..rollout.clone() }, events)
        }
        before => start(view, before.as_ref(), now),
    }
}

/// Whether a service asks for the release that was last made a revision of, whatever became of it.
pub fn asks_for_nothing_new(
    service: &Service,
    rollout: &Rollout,
    revisions: &BTreeMap<RevisionNumber, Revision>,
) -> bool {
    revisions.get(&rollout.last_revision).is_some_and(|last| last.release().is(service.release()))
}

/// A rollout to a new revision; it supersedes one that is under way.
fn start(view: &ServiceView, before: Option<&Rollout>, now: Now) -> Observed {
    let newest_kept = view.revisions.keys().next_back().copied().unwrap_or_default();
    let last = before.map_or(newest_kept, |r| r.last_revision.max(newest_kept));
    let revision = release(view, last.next(), now);
    let state = RolloutState::Progressing { waited: Millis(0), most_available: 0 };
    let first = before.and_then(|before| first_that_serves(view, before));
    let rollout = Rollout {
        observed_generation: view.service.metadata.generation,
        target: revision.number,
        stable: before.and_then(|r| r.stable).or(first),
        last_revision: revision.number,
        issued_names: before.map(|r| r.issued_names.clone()).unwrap_or_default(),
        failure_baseline: BTreeMap::new(),
        paused: false,
        cut: before.map(|r| r.cut.clone()).unwrap_or_default(),
        unstable: before.map(|r| r.unstable.clone()).unwrap_or_default(),
        state,
        since: now.wall,
    };
    let what = format!("revision {} ({})", revision.number, revision.image.reference);
    let message = match before.map(|r| r.target) {
        Some(target) => format!("{what} replaces revision {target}"),
        None => format!("{what} is created"),
    };
    let events = vec![event(view, now, EventKind::Normal, EventReason::RolloutStarted, message)];
    let mut outcomes = vec![(revision.number, RevisionOutcome::InProgress)];
    if let Some(before) = before.filter(|before| is_in_progress(view, before)) {
        let outcome = match first.filter(|first| has_settled(view, *first)) {
            Some(_) => RevisionOutcome::Complete,
            None => RevisionOutcome::Superseded { by: revision.number },
        };
        outcomes.push((before.target, outcome));
    }
    Observed { rollout, new_revision: Some(revision), fresh: true, outcomes, events }
}

/// A first release that is still watched, and serves with all its replicas: it is what a later release replaces, and what a
/// failure of that goes back to. It has not completed for that.
fn first_that_serves(view: &ServiceView, before: &Rollout) -> Option<RevisionNumber> {
    let running: Vec<&ReplicaView> =
        view.replicas.iter().filter(|r| r.replica.runs() && !census::is_gone(r)).collect();
    let is_first = before.stable.is_none() && is_in_progress(view, before);
    let serves = |r: &&ReplicaView| r.replica.revision == before.target && census::is_available(view, r);
    let wanted = wanted_of(view, view.revisions.get(&before.target)?);
    (is_first && running.len() >= wanted && running.iter().all(serves)).then_some(before.target)
}

/// Whether all its replicas have served for `healthyFor`.
pub(super) fn has_settled(view: &ServiceView, number: RevisionNumber) -> bool {
    let Some(revision) = view.revisions.get(&number) else { return false };
    let healthy_for = revision.spec.rollout.healthy_for;
    let running = view.replicas.iter().filter(|r| r.replica.runs() && r.replica.revision == number);
    let settled = running.filter(|r| r.serving_for.is_some_and(|time| time >= healthy_for)).count();
    settled >= wanted_of(view, revision)
}

/// Replicas that a first release has to serve with: a later count may be lower.
fn wanted_of(view: &ServiceView, revision: &Revision) -> usize {
    revision.spec.replica_count().min(view.service.spec.replica_count()).max(1) as usize
}

fn is_in_progress(view: &ServiceView, rollout: &Rollout) -> bool {
    matches!(rollout.state, RolloutState::Progressing { .. }) && view.revisions.contains_key(&rollout.target)
}

fn release(view: &ServiceView, number: RevisionNumber, now: Now) -> Revision {
    let service = &view.service;
    let mut revision = Revision {
        service: service.name().clone(),
        number,
        generation: service.metadata.generation,
        spec: service.spec.clone(),
        image: service.image.clone(),
        restarts: service.restarts,
        hash: "".into(),
        hash_schema: HASH_SCHEMA,
        created_at: now.wall,
        created_by: service.written_by.clone(),
    };
    revision.hash = revision.template().hash();
    revision
}

/// The event of a generation that changes the count of a service at rest. During a rollout the number that was wanted
/// before is not known, and the rollout itself is what people look at.
fn scaled(view: &ServiceView, rollout: &Rollout, now: Now) -> Option<Event> {
    let running = view.replicas.iter().filter(|r| r.replica.runs() && !census::is_gone(r)).count();
    let wanted = view.service.spec.replica_count();
    let changed = !rollout.state.is_under_way() && usize::try_from(wanted) != Ok(running);
    changed.then(|| {
        let message = format!("from {running} to {wanted} replicas");
        event(view, now, EventKind::Normal, EventReason::Scaled, message)
    })
}
