//! Tests of the changes to a service.

use super::*;
use crate::controller::writes::choices::ConflictChoices;
use crate::controller::writes::document_merge::{merge_input, merge_spec};
use crate::controller::writes::kinds::dispatch;
use crate::model::{HASH_SCHEMA, RevisionNumber, Volume};
use std::collections::BTreeMap;

const AT: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

static ANN: Author = Author { command: String::new(), user: String::new() };

fn stamp() -> WriteStamp<'static> {
    WriteStamp { by: &ANN, at: AT, uid: "u1".into(), source: None }
}

fn image(pinned: &str) -> ResolvedImage {
    ResolvedImage::without_config("users:1", pinned)
}

fn document(replicas: Option<u32>) -> ApplyDocument {
    ApplyDocument {
        name: "users".into(),
        app: "shop".into(),
        annotations: BTreeMap::new(),
        spec: ServiceSpec { replicas, ..ServiceSpec::of_image("users:1") }.into(),
        origin: "app.yaml:1".into(),
    }
}

fn stored(replicas: u32) -> Service {
    applied(&document(Some(replicas)), None, "sha256:aa").after
}

/// An [`ObjectChange`] of a service.
struct Changed {
    after: Service,
    action: WriteAction,
    changes: Vec<FieldChange>,
    notes: Vec<String>,
    kept: Vec<Overridden>,
}

impl From<Result<ObjectChange, FieldsError>> for Changed {
    fn from(change: Result<ObjectChange, FieldsError>) -> Self {
        let ObjectChange { after, action, changes, notes, kept, .. } = change.unwrap();
        Self { after: after.as_service().unwrap().clone(), action, changes, notes, kept }
    }
}

fn scale(before: &Service, replicas: u32) -> Changed {
    super::scale(before, replicas, &stamp()).into()
}

fn restart(before: &Service) -> Changed {
    super::restart(before, &stamp()).into()
}

fn intervention(before: &Service, kind: Option<InterventionKind>) -> Changed {
    super::intervention(before, kind, &stamp()).into()
}

fn delete(before: &Service, volumes: bool) -> Changed {
    super::delete(before, volumes, &stamp()).into()
}

/// The same file as last time, if it was applied before; its image now resolves to `pinned`.
fn applied(document: &ApplyDocument, before: Option<&Service>, pinned: &str) -> Changed {
    let before = before.map(|before| Object::Service(Box::new(before.clone())));
    let input = merge_input(&document.spec, None, before.as_ref()).unwrap();
    let merged = merge_spec(&document.spec, &input, &ConflictChoices::default()).unwrap();
    let kept = before.as_ref().filter(|_| merged.outcome.keeps_image);
    let kept = kept.and_then(|object| object.header().image).cloned();
    let image = Some(kept.unwrap_or_else(|| image(pinned)));
    dispatch::apply(document, before.as_ref(), None, merged.spec, merged.outcome, image, &stamp()).into()
}

#[test]
fn apply_creates_with_one_replica_and_generation_one() {
    let change = applied(&document(None), None, "sha256:aa");
    assert_eq!((change.action, change.after.metadata.generation), (WriteAction::Created, Generation(1)));
    assert_eq!(change.after.spec.replicas, Some(1));
}

#[test]
fn apply_of_the_same_file_changes_nothing() {
    let before = stored(3);
    let change = applied(&document(Some(3)), Some(&before), "sha256:aa");
    assert_eq!((change.action, &change.after), (WriteAction::Unchanged, &before));
    assert!(change.changes.is_empty() && change.notes.is_empty());
}

#[test]
fn apply_without_replicas_keeps_the_live_count() {
    let change = applied(&document(None), Some(&stored(7)), "sha256:aa");
    assert_eq!((change.action, change.after.spec.replicas), (WriteAction::Unchanged, Some(7)));
}

#[test]
fn apply_of_an_unchanged_file_keeps_overrides() {
    let scaled = scale(&stored(3), 5).after;
    assert_eq!(scaled.metadata.generation, Generation(2));
    let change = applied(&document(Some(3)), Some(&scaled), "sha256:aa");
    assert_eq!((change.action, &change.after, change.kept.len()), (WriteAction::Unchanged, &scaled, 1));
    let agreed = applied(&document(Some(5)), Some(&scaled), "sha256:aa");
    assert_eq!(agreed.action, WriteAction::Unchanged, "the file says what is live");
    assert_eq!((agreed.after.metadata.generation, agreed.after.overrides), (Generation(2), vec![]));
}

#[test]
fn apply_of_a_moved_tag_is_a_change() {
    let change = applied(&document(Some(3)), Some(&stored(3)), "sha256:bb");
    assert_eq!(change.action, WriteAction::Changed);
    let (old, new) = (Some("users:1 @ aa".to_owned()), Some("users:1 @ bb".to_owned()));
    assert_eq!(change.changes, [FieldChange { path: "spec.image".to_owned(), old, new }]);
}

#[test]
fn undo_restores_the_restart_counter() {
    let first = stored(3);
    let revision = Revision {
        service: "users".into(),
        number: RevisionNumber(1),
        generation: Generation(1),
        spec: first.spec.clone(),
        image: first.image.clone(),
        restarts: 0,
        hash: "h".into(),
        hash_schema: HASH_SCHEMA,
        created_at: AT,
        created_by: Author::default(),
    };
    let restarted = restart(&first).after;
    assert_eq!((restarted.restarts, restarted.metadata.generation), (1, Generation(2)));
    let scaled = scale(&restarted, 5).after;
    let undone = Changed::from(undo(&scaled, &revision, Vec::new(), &stamp()));
    assert_eq!((undone.action, undone.after.restarts), (WriteAction::Changed, 0));
    assert_eq!(undone.after.spec.replicas, Some(5), "an undo leaves the count alone");
}

#[test]
fn intervention_ends_with_its_release() {
    let paused = intervention(&stored(3), Some(InterventionKind::Pause)).after;
    assert_eq!(paused.metadata.generation, Generation(2));
    let scaled = scale(&paused, 5).after;
    assert_eq!(scaled.intervention, paused.intervention, "the count is no release");
    let same = applied(&document(Some(5)), Some(&scaled), "sha256:aa");
    assert_eq!((same.action, same.after.intervention), (WriteAction::Unchanged, paused.intervention.clone()));
    let other = applied(&document(Some(5)), Some(&scaled), "sha256:bb");
    assert_eq!((other.action, other.after.intervention), (WriteAction::Changed, None));
    assert_eq!(intervention(&scaled, None).after.intervention, None);
    assert_eq!(restart(&scaled).after.intervention, None);
}

#[test]
fn delete_twice_is_delete_once() {
    let gone = delete(&stored(1), false).after;
    assert!(gone.deleted_at.is_some() && !gone.deletes_volumes);
    let again = delete(&gone, false);
    assert_eq!((again.action, &again.after), (WriteAction::Deleted, &gone));
    let named = delete(&gone, true).after;
    assert!(named.deletes_volumes && named.deleted_at == gone.deleted_at);
    assert_eq!(delete(&named, false).after, named, "what was named stays named");
}

#[test]
fn delete_notes_what_becomes_of_volumes() {
    let mut before = stored(1);
    let (name, path) = ("data".to_owned(), "/data".to_owned());
    before.spec.volumes = vec![Volume::named(name, path)];
    assert_eq!(delete(&before, false).notes, ["its volumes are kept: data"]);
    assert_eq!(delete(&before, true).notes, ["its volumes are deleted with it: data"]);
    let mut document = document(Some(1));
    document.spec = before.spec.clone().into();
    let made = applied(&document, None, "sha256:aa");
    assert_eq!(made.notes, [STOPS_FIRST]);
    let again = applied(&document, Some(&made.after), "sha256:aa");
    assert_eq!((again.action, again.notes), (WriteAction::Unchanged, vec![]));
}
