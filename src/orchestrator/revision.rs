//! From generations to revisions: each generation of the spec is read once.
//!
//! The release that a generation asks for is compared with the last revision that was made, whatever became of it. So a
//! scale after a rollback does not try the failed release again, and an undo, which asks for what an older revision
//! released, makes a new number like any other change.

use std::collections::BTreeMap;

use super::deadline::is_under_way;
use super::pass::event;
use super::{ServiceView, census};
use crate::model::{
    Event, EventKind, HASH_SCHEMA, Millis, Now, Revision, RevisionNumber, Rollout, RolloutState,
};

/// The rollout after this generation was read.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) rollout: Rollout,
    pub(super) new_revision: Option<Revision>,
    /// Whether a new rollout begins here.
    pub(super) fresh: bool,
    pub(super) events: Vec<Event>,
}

/// Reads the generation, if it was not read before.
pub(super) fn observe(view: &ServiceView, now: Now) -> Observed {
    let generation = view.service.metadata.generation;
    match &view.rollout {
        Some(rollout) if rollout.observed == generation => {
            Observed { rollout: rollout.clone(), new_revision: None, fresh: false, events: Vec::new() }
        }
        Some(rollout) if asks_for_nothing_new(view, rollout) => {
            let events = scaled(view, rollout, now).into_iter().collect();
            let rollout = Rollout { observed: generation, ..rollout.clone() };
            Observed { rollout, new_revision: None, fresh: false, events }
        }
        before => start(view, before.as_ref(), now),
    }
}

fn asks_for_nothing_new(view: &ServiceView, rollout: &Rollout) -> bool {
    let service = &view.service;
    view.revisions
        .get(&rollout.last_revision)
        .is_some_and(|last| last.releases(&service.spec, &service.image, service.restarts))
}

/// A rollout to a new revision; it supersedes one that is under way.
fn start(view: &ServiceView, before: Option<&Rollout>, now: Now) -> Observed {
    let newest_kept = view.revisions.keys().next_back().copied().unwrap_or_default();
    let last = before.map_or(newest_kept, |r| r.last_revision.max(newest_kept));
    let revision = release(view, last.next(), now);
    let state = RolloutState::Progressing { waited: Millis(0), best: 0 };
    let rollout = Rollout {
        observed: view.service.metadata.generation,
        target: revision.number,
        stable: before.and_then(|r| r.stable),
        last_revision: revision.number,
        issued: before.map(|r| r.issued.clone()).unwrap_or_default(),
        forgiven: BTreeMap::new(),
        state,
        since: now.wall,
    };
    let what = format!("revision {} ({})", revision.number, revision.image.reference);
    let message = match before.map(|r| r.target) {
        Some(target) => format!("{what} replaces revision {target}"),
        None => format!("{what} is created"),
    };
    let events = vec![event(view, now, EventKind::Normal, "RolloutStarted", message)];
    Observed { rollout, new_revision: Some(revision), fresh: true, events }
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
        cause: service.written_by.clone(),
    };
    revision.hash = revision.template().hash();
    revision
}

/// The event of a generation that changes the count of a service at rest. During a rollout the number that was wanted
/// before is not known, and the rollout itself is what people look at.
fn scaled(view: &ServiceView, rollout: &Rollout, now: Now) -> Option<Event> {
    let running = view.replicas.iter().filter(|r| r.replica.runs() && !census::is_gone(r)).count();
    let wanted = view.service.spec.replica_count();
    let changed = !is_under_way(rollout) && usize::try_from(wanted) != Ok(running);
    changed.then(|| {
        let message = format!("from {running} to {wanted} replicas");
        event(view, now, EventKind::Normal, "Scaled", message)
    })
}
