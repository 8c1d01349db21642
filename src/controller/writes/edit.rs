//! What a user's request makes of a Service. Pure: reading and committing are `write`'s.

use super::diff;
use super::merge::{Merged, record};
use super::request::{ApplyDocument, FieldChange, Overridden, WriteAction, WriteResult};
use crate::model::{
    Author, Generation, InterventionKind, Metadata, ResolvedImage, Revision, RevisionOutcome,
    RolloutIntervention, Service, ServiceSpec,
};

/// Who writes, and when; times and ids are arguments.
#[derive(Debug, Clone)]
pub(crate) struct Writer<'a> {
    /// Who, with which command.
    pub(crate) by: &'a Author,
    /// Now, for people.
    pub(crate) at: jiff::Timestamp,
    /// For an object that does not exist yet.
    pub(crate) uid: String,
    /// The manifests directory that declares what is applied; `None` for a command.
    pub(crate) source: Option<String>,
}

/// What is said of a service whose volumes bear one container at a time.
const STOPS_FIRST: &str = "its volumes bear one container at a time: a replica is stopped before the one that takes its place is started";

/// A Service before and after a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    /// The service with its next generation, or as it is where nothing changes.
    pub(crate) after: Service,
    /// What kind of change it is.
    pub(crate) action: WriteAction,
    /// Field by field.
    pub(crate) changes: Vec<FieldChange>,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
    /// The spec to remember as last applied, where this is an apply.
    pub(crate) applied: Option<ServiceSpec>,
    /// Of an apply: overrides that stay.
    pub(crate) kept: Vec<Overridden>,
    /// Of an apply: overrides in fields that the file changed; it may not be committed then.
    pub(crate) conflicts: Vec<Overridden>,
}

impl Edit {
    /// What the request's answer says of it.
    pub(crate) fn result(&self) -> WriteResult {
        WriteResult {
            name: self.after.metadata.name.clone(),
            action: self.action,
            generation: self.after.metadata.generation,
            image: self.after.image.clone(),
            changes: self.changes.clone(),
            notes: self.notes.clone(),
            kept: self.kept.clone(),
            conflicts: self.conflicts.clone(),
        }
    }
}

/// The service that a document asks for, merged with what commands changed. `image` is what the image of the merged spec
/// stands for.
pub(crate) fn apply(
    document: &ApplyDocument,
    before: Option<&Service>,
    merged: Merged,
    image: ResolvedImage,
    writer: &Writer<'_>,
) -> Edit {
    let Merged { spec, keeps_image: _, overrides, kept, conflicts, overwritten } = merged;
    let metadata = Metadata {
        name: document.name.clone(),
        app: document.app.clone(),
        annotations: document.annotations.clone(),
        uid: before.map_or_else(|| writer.uid.clone(), |service| service.metadata.uid.clone()),
        generation: before.map_or(Generation(0), |service| service.metadata.generation),
        created_at: before.map_or(writer.at, |service| service.metadata.created_at),
    };
    let after = Service {
        metadata,
        spec,
        image,
        restarts: before.map_or(0, |service| service.restarts),
        intervention: before.and_then(|service| service.intervention.clone()),
        overrides,
        deleted_at: None,
        deletes_volumes: false,
        source: writer.source.clone(),
        written_by: writer.by.clone(),
        written_at: writer.at,
    };
    let note =
        |over: &Overridden| format!("{} was set by {}, and is overwritten", over.field, over.by.summary());
    let mut edit = finish(before, after, overwritten.iter().map(note).collect());
    let old = before.map_or(&edit.after.spec, |service| &service.spec);
    if edit.action != WriteAction::Unchanged
        && edit.after.spec.waits_for(old, edit.after.spec.replica_count())
    {
        edit.notes.push(STOPS_FIRST.to_owned());
    }
    Edit { applied: Some(document.spec.clone()), kept, conflicts, ..edit }
}

/// The service with another number of replicas.
pub(crate) fn scale(before: &Service, replicas: u32, writer: &Writer<'_>) -> Edit {
    let mut after = written(before, writer);
    after.spec.replicas = Some(replicas);
    finish_live(before, after, writer, Vec::new())
}

/// The service with another image.
pub(crate) fn set_image(before: &Service, image: &str, resolved: ResolvedImage, writer: &Writer<'_>) -> Edit {
    let mut after = written(before, writer);
    image.clone_into(&mut after.spec.image);
    after.image = resolved;
    finish_live(before, after, writer, Vec::new())
}

/// The same release in new containers.
pub(crate) fn restart(before: &Service, writer: &Writer<'_>) -> Edit {
    let mut after = written(before, writer);
    after.restarts = after.restarts.saturating_add(1);
    let mut edit = finish(Some(before), after, Vec::new());
    let text = |n: u64| Some(n.to_string());
    let (old, new) = (text(before.restarts), text(edit.after.restarts));
    edit.changes.push(FieldChange { path: "restarts".to_owned(), old, new });
    edit
}

/// The service with all that a revision fixes taken from an earlier one.
pub(crate) fn undo(
    before: &Service,
    revision: &Revision,
    outcome: Option<&RevisionOutcome>,
    writer: &Writer<'_>,
) -> Edit {
    let mut after = written(before, writer);
    after.spec = before.spec.with_release_of(&revision.spec);
    after.image = revision.image.clone();
    after.restarts = revision.restarts;
    let mut notes = vec![format!("back to the release of revision {}", revision.number)];
    let doubt = match outcome {
        None | Some(RevisionOutcome::Complete | RevisionOutcome::InProgress) => None,
        Some(RevisionOutcome::Failed { .. } | RevisionOutcome::RolledBack { .. }) => Some("failed"),
        Some(RevisionOutcome::Aborted { .. }) => Some("was aborted"),
        Some(RevisionOutcome::Superseded { .. }) => Some("was superseded before its rollout ended"),
    };
    notes.extend(doubt.map(|doubt| format!("revision {} {doubt}", revision.number)));
    finish_live(before, after, writer, notes)
}

/// The service with the user's word against its rollout, or without it.
pub(crate) fn intervention(before: &Service, kind: Option<InterventionKind>, writer: &Writer<'_>) -> Edit {
    let mut after = written(before, writer);
    after.intervention = kind.map(|kind| RolloutIntervention { kind, by: writer.by.clone(), at: writer.at });
    let name = &before.metadata.name;
    let note = match kind {
        Some(InterventionKind::Pause) => format!("its rollout is paused; `ctl resume {name}` lets it go on"),
        Some(InterventionKind::Abort) => {
            "its rollout is aborted; it goes back to the stable revision".to_owned()
        }
        None => format!("its rollout goes on; `ctl rollout {name}` follows it"),
    };
    finish(Some(before), after, vec![note])
}

/// The service marked as deleted, its volumes with it where the user named them. Deleting it again changes nothing, but
/// that volumes may be named then.
pub(crate) fn delete(before: &Service, volumes: bool, writer: &Writer<'_>) -> Edit {
    if before.deleted_at.is_some() && (before.deletes_volumes || !volumes) {
        let mut edit = finish(Some(before), before.clone(), Vec::new());
        edit.action = WriteAction::Deleted;
        return edit;
    }
    let mut after = written(before, writer);
    after.deleted_at = after.deleted_at.or(Some(writer.at));
    after.deletes_volumes |= volumes;
    let names: Vec<&str> = before.spec.volumes.iter().map(|volume| volume.name.as_str()).collect();
    let note = match (names.join(", "), volumes) {
        (names, _) if names.is_empty() => None,
        (names, true) => Some(format!("its volumes are deleted with it: {names}")),
        (names, false) => Some(format!("its volumes are kept: {names}")),
    };
    let mut edit = finish(Some(before), after, note.into_iter().collect());
    edit.action = WriteAction::Deleted;
    edit
}

fn written(before: &Service, writer: &Writer<'_>) -> Service {
    Service { written_by: writer.by.clone(), written_at: writer.at, ..before.clone() }
}

/// As [`finish`], for a command that changes what the manifest says: it is recorded beside it.
fn finish_live(before: &Service, mut after: Service, writer: &Writer<'_>, notes: Vec<String>) -> Edit {
    after.overrides = record(before, &after, writer.by, writer.at);
    finish(Some(before), after, notes)
}

/// Compares, and gives the service its next generation where something that counts differs.
fn finish(before: Option<&Service>, mut after: Service, notes: Vec<String>) -> Edit {
    let changes = match before {
        Some(before) => diff::services(before, &after),
        None => Vec::new(),
    };
    if before.is_some_and(|before| !before.release().is(after.release())) {
        after.intervention = None; // it was about the release that this one takes the place of
    }
    let same = before.is_some_and(|before| {
        before.spec == after.spec
            && before.intervention == after.intervention
            && before.image.pinned == after.image.pinned
            && before.restarts == after.restarts
            && before.deleted_at == after.deleted_at
            && before.deletes_volumes == after.deletes_volumes
            && before.source == after.source
            && before.metadata.annotations == after.metadata.annotations
    });
    let (action, after) = match before {
        // An override that is no longer one is taken off; nobody has to act on that.
        Some(before) if same => {
            (WriteAction::Unchanged, Service { overrides: after.overrides, ..before.clone() })
        }
        Some(before) => {
            after.metadata.generation = before.metadata.generation.next();
            (WriteAction::Changed, after)
        }
        None => {
            after.metadata.generation = Generation(1);
            (WriteAction::Created, after)
        }
    };
    Edit { after, action, changes, notes, applied: None, kept: Vec::new(), conflicts: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::super::merge::{Choices, Sides};
    use super::*;
    use crate::model::{HASH_SCHEMA, RevisionNumber, Volume};
    use std::collections::BTreeMap;

    const AT: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

    static ANN: Author = Author { command: String::new(), user: String::new() };

    fn writer() -> Writer<'static> {
        Writer { by: &ANN, at: AT, uid: "u1".into(), source: None }
    }

    fn image(pinned: &str) -> ResolvedImage {
        ResolvedImage { reference: "users:1".into(), pinned: pinned.into() }
    }

    fn document(replicas: Option<u32>) -> ApplyDocument {
        ApplyDocument {
            name: "users".into(),
            app: "shop".into(),
            annotations: BTreeMap::new(),
            spec: ServiceSpec { replicas, ..ServiceSpec::of_image("users:1") },
            origin: "app.yaml:1".into(),
        }
    }

    fn stored(replicas: u32) -> Service {
        applied(&document(Some(replicas)), None, "sha256:aa").after
    }

    /// The same file as last time, if it was applied before; its image stands for `pinned` now.
    fn applied(document: &ApplyDocument, before: Option<&Service>, pinned: &str) -> Edit {
        let sides = Sides { file: &document.spec, applied: None, live: before };
        let merged = sides.merge(&Choices::default()).unwrap();
        let kept = before.filter(|_| merged.keeps_image).map(|before| before.image.clone());
        apply(document, before, merged, kept.unwrap_or_else(|| image(pinned)), &writer())
    }

    #[test]
    fn a_new_service_has_one_replica_and_generation_one() {
        let edit = applied(&document(None), None, "sha256:aa");
        assert_eq!((edit.action, edit.after.metadata.generation), (WriteAction::Created, Generation(1)));
        assert_eq!(edit.after.spec.replicas, Some(1));
    }

    #[test]
    fn the_same_file_again_changes_nothing() {
        let before = stored(3);
        let edit = applied(&document(Some(3)), Some(&before), "sha256:aa");
        assert_eq!((edit.action, &edit.after), (WriteAction::Unchanged, &before));
        assert!(edit.changes.is_empty() && edit.notes.is_empty());
    }

    #[test]
    fn a_file_without_replicas_keeps_the_live_number() {
        let edit = applied(&document(None), Some(&stored(7)), "sha256:aa");
        assert_eq!((edit.action, edit.after.spec.replicas), (WriteAction::Unchanged, Some(7)));
    }

    #[test]
    fn a_file_that_did_not_change_leaves_what_a_command_did() {
        let scaled = scale(&stored(3), 5, &writer()).after;
        assert_eq!(scaled.metadata.generation, Generation(2));
        let edit = applied(&document(Some(3)), Some(&scaled), "sha256:aa");
        assert_eq!((edit.action, &edit.after, edit.kept.len()), (WriteAction::Unchanged, &scaled, 1));
        let agreed = applied(&document(Some(5)), Some(&scaled), "sha256:aa");
        assert_eq!(agreed.action, WriteAction::Unchanged, "the file says what is live");
        assert_eq!((agreed.after.metadata.generation, agreed.after.overrides), (Generation(2), vec![]));
    }

    #[test]
    fn a_moved_tag_is_a_change() {
        let edit = applied(&document(Some(3)), Some(&stored(3)), "sha256:bb");
        assert_eq!(edit.action, WriteAction::Changed);
        let (old, new) = (Some("users:1 @ aa".to_owned()), Some("users:1 @ bb".to_owned()));
        assert_eq!(edit.changes, [FieldChange { path: "spec.image".to_owned(), old, new }]);
    }

    #[test]
    fn restart_counts_and_undo_takes_it_back() {
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
        let restarted = restart(&first, &writer()).after;
        assert_eq!((restarted.restarts, restarted.metadata.generation), (1, Generation(2)));
        let scaled = scale(&restarted, 5, &writer()).after;
        let undone = undo(&scaled, &revision, None, &writer());
        assert_eq!((undone.action, undone.after.restarts), (WriteAction::Changed, 0));
        assert_eq!(undone.after.spec.replicas, Some(5), "an undo leaves the count alone");
    }

    #[test]
    fn a_halt_ends_with_the_release_it_is_about() {
        let paused = intervention(&stored(3), Some(InterventionKind::Pause), &writer()).after;
        assert_eq!(paused.metadata.generation, Generation(2));
        let scaled = scale(&paused, 5, &writer()).after;
        assert_eq!(scaled.intervention, paused.intervention, "the count is no release");
        let same = applied(&document(Some(5)), Some(&scaled), "sha256:aa");
        assert_eq!(
            (same.action, same.after.intervention),
            (WriteAction::Unchanged, paused.intervention.clone())
        );
        let other = applied(&document(Some(5)), Some(&scaled), "sha256:bb");
        assert_eq!((other.action, other.after.intervention), (WriteAction::Changed, None));
        assert_eq!(intervention(&scaled, None, &writer()).after.intervention, None);
        assert_eq!(restart(&scaled, &writer()).after.intervention, None);
    }

    #[test]
    fn deleting_twice_is_deleting_once() {
        let gone = delete(&stored(1), false, &writer()).after;
        assert!(gone.deleted_at.is_some() && !gone.deletes_volumes);
        let again = delete(&gone, false, &writer());
        assert_eq!((again.action, &again.after), (WriteAction::Deleted, &gone));
        let named = delete(&gone, true, &writer()).after;
        assert!(named.deletes_volumes && named.deleted_at == gone.deleted_at);
        assert_eq!(delete(&named, false, &writer()).after, named, "what was named stays named");
    }

    #[test]
    fn volumes_are_kept_and_that_is_said() {
        let mut before = stored(1);
        let (name, path) = ("data".to_owned(), "/data".to_owned());
        before.spec.volumes = vec![Volume { name, path, read_only: false, per_replica: false }];
        assert_eq!(delete(&before, false, &writer()).notes, ["its volumes are kept: data"]);
        assert_eq!(delete(&before, true, &writer()).notes, ["its volumes are deleted with it: data"]);
        let mut document = document(Some(1));
        document.spec = before.spec.clone();
        let made = applied(&document, None, "sha256:aa");
        assert_eq!(made.notes, [STOPS_FIRST]);
        let again = applied(&document, Some(&made.after), "sha256:aa");
        assert_eq!((again.action, again.notes), (WriteAction::Unchanged, vec![]));
    }
}
