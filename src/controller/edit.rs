//! What a user's request makes of a Service. Pure: reading and committing are `write`'s.

use super::resolve::full_reference;
use super::{Action, ApplyDocument, FieldChange, WriteResult, diff};
use crate::model::{
    Author, Generation, Halt, HaltKind, Metadata, ResolvedImage, Revision, RevisionOutcome, Service,
    ServiceSpec,
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
    pub(crate) action: Action,
    /// Field by field.
    pub(crate) changes: Vec<FieldChange>,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
    /// The spec to remember as last applied, where this is an apply.
    pub(crate) applied: Option<ServiceSpec>,
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
        }
    }
}

/// The service that a document asks for. A document without `replicas` keeps the live number (1 on create); one with
/// `replicas` wins over an earlier `scale`, and says so.
pub(crate) fn apply(
    document: &ApplyDocument,
    before: Option<&Service>,
    applied: Option<&ServiceSpec>,
    image: ResolvedImage,
    writer: &Writer<'_>,
) -> Edit {
    let live = before.map(|service| service.spec.replica_count());
    let mut spec = document.spec.clone();
    spec.replicas = Some(spec.replicas.or(live).unwrap_or(1));
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
        halt: before.and_then(|service| service.halt.clone()),
        deleted_at: None,
        deletes_volumes: false,
        source: writer.source.clone(),
        written_by: writer.by.command.clone(),
        user: writer.by.user.clone(),
        written_at: writer.at,
    };
    let notes = overwritten(document, before, applied);
    let mut edit = finish(before, after, notes);
    edit.applied = Some(document.spec.clone());
    if edit.action != Action::Unchanged && edit.after.spec.stops_first() {
        edit.notes.push(STOPS_FIRST.to_owned());
    }
    edit
}

/// Says where a file that did not change overwrites what a command changed since.
fn overwritten(
    document: &ApplyDocument,
    before: Option<&Service>,
    applied: Option<&ServiceSpec>,
) -> Vec<String> {
    let (Some(before), Some(applied)) = (before, applied) else { return Vec::new() };
    let mut notes = Vec::new();
    let (asked, live) = (document.spec.replicas, before.spec.replica_count());
    if let Some(asked) = asked.filter(|asked| *asked != live && applied.replicas == Some(*asked)) {
        notes.push(format!("replicas {live} → {asked}: the file wins over what was changed since"));
    }
    let same_text = full_reference(&document.spec.image) == full_reference(&applied.image);
    if same_text && full_reference(&before.spec.image) != full_reference(&document.spec.image) {
        let (live, asked) = (&before.spec.image, &document.spec.image);
        notes.push(format!("image {live} → {asked}: the file wins over what was changed since"));
    }
    notes
}

/// The service with another number of replicas.
pub(crate) fn scale(before: &Service, replicas: u32, writer: &Writer<'_>) -> Edit {
    let mut after = written(before, writer);
    after.spec.replicas = Some(replicas);
    finish(Some(before), after, Vec::new())
}

/// The service with another image.
pub(crate) fn set_image(before: &Service, image: &str, resolved: ResolvedImage, writer: &Writer<'_>) -> Edit {
    let mut after = written(before, writer);
    image.clone_into(&mut after.spec.image);
    after.image = resolved;
    finish(Some(before), after, Vec::new())
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
    finish(Some(before), after, notes)
}

/// The service with the user's word against its rollout, or without it.
pub(crate) fn halt(before: &Service, kind: Option<HaltKind>, writer: &Writer<'_>) -> Edit {
    let mut after = written(before, writer);
    after.halt = kind.map(|kind| Halt { kind, by: writer.by.clone(), at: writer.at });
    let name = &before.metadata.name;
    let note = match kind {
        Some(HaltKind::Pause) => format!("its rollout is paused; `ctl resume {name}` lets it go on"),
        Some(HaltKind::Abort) => "its rollout is aborted; it goes back to the stable revision".to_owned(),
        None => format!("its rollout goes on; `ctl rollout {name}` follows it"),
    };
    finish(Some(before), after, vec![note])
}

/// The service marked as deleted, its volumes with it where the user named them. Deleting it again changes nothing, but
/// that volumes may be named then.
pub(crate) fn delete(before: &Service, volumes: bool, writer: &Writer<'_>) -> Edit {
    if before.deleted_at.is_some() && (before.deletes_volumes || !volumes) {
        let mut edit = finish(Some(before), before.clone(), Vec::new());
        edit.action = Action::Deleted;
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
    edit.action = Action::Deleted;
    edit
}

fn written(before: &Service, writer: &Writer<'_>) -> Service {
    let Author { command, user } = writer.by.clone();
    Service { written_by: command, user, written_at: writer.at, ..before.clone() }
}

/// Compares, and gives the service its next generation where something that counts differs.
fn finish(before: Option<&Service>, mut after: Service, notes: Vec<String>) -> Edit {
    let changes = match before {
        Some(before) => diff::changes(Some(&before.spec), &after.spec),
        None => Vec::new(),
    };
    if before.is_some_and(|before| !before.release().is(after.release())) {
        after.halt = None; // it was about the release that this one takes the place of
    }
    let same = before.is_some_and(|before| {
        before.spec == after.spec
            && before.halt == after.halt
            && before.image.pinned == after.image.pinned
            && before.restarts == after.restarts
            && before.deleted_at == after.deleted_at
            && before.deletes_volumes == after.deletes_volumes
            && before.source == after.source
            && before.metadata.annotations == after.metadata.annotations
    });
    let (action, after) = match before {
        Some(before) if same => (Action::Unchanged, before.clone()),
        Some(before) => {
            after.metadata.generation = before.metadata.generation.next();
            (Action::Changed, after)
        }
        None => {
            after.metadata.generation = Generation(1);
            (Action::Created, after)
        }
    };
    let mut edit = Edit { after, action, changes, notes, applied: None };
    if let Some(before) = before.filter(|before| before.image.pinned != edit.after.image.pinned)
        && before.spec.image == edit.after.spec.image
    {
        let (old, new) = (before.image.short(), edit.after.image.short());
        edit.notes.push(format!("{} now stands for {new}, it was {old}", edit.after.image.reference));
    }
    edit
}

#[cfg(test)]
mod tests {
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
        apply(&document(Some(replicas)), None, None, image("sha256:aa"), &writer()).after
    }

    #[test]
    fn a_new_service_has_one_replica_and_generation_one() {
        let edit = apply(&document(None), None, None, image("sha256:aa"), &writer());
        assert_eq!((edit.action, edit.after.metadata.generation), (Action::Created, Generation(1)));
        assert_eq!(edit.after.spec.replicas, Some(1));
    }

    #[test]
    fn the_same_file_again_changes_nothing() {
        let before = stored(3);
        let edit = apply(
            &document(Some(3)),
            Some(&before),
            Some(&document(Some(3)).spec),
            image("sha256:aa"),
            &writer(),
        );
        assert_eq!((edit.action, &edit.after), (Action::Unchanged, &before));
        assert!(edit.changes.is_empty() && edit.notes.is_empty());
    }

    #[test]
    fn a_file_without_replicas_keeps_the_live_number() {
        let edit = apply(&document(None), Some(&stored(7)), None, image("sha256:aa"), &writer());
        assert_eq!((edit.action, edit.after.spec.replicas), (Action::Unchanged, Some(7)));
    }

    #[test]
    fn a_file_wins_over_scale_and_says_so() {
        let scaled = scale(&stored(3), 5, &writer()).after;
        assert_eq!(scaled.metadata.generation, Generation(2));
        let applied = document(Some(3)).spec;
        let edit = apply(&document(Some(3)), Some(&scaled), Some(&applied), image("sha256:aa"), &writer());
        assert_eq!(edit.notes, ["replicas 5 → 3: the file wins over what was changed since"]);
        assert_eq!(edit.after.metadata.generation, Generation(3));
    }

    #[test]
    fn a_moved_tag_is_a_change() {
        let edit = apply(&document(Some(3)), Some(&stored(3)), None, image("sha256:bb"), &writer());
        assert_eq!(edit.action, Action::Changed);
        assert_eq!(edit.notes, ["users:1 now stands for bb, it was aa"]);
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
            cause: String::new(),
            user: String::new(),
        };
        let restarted = restart(&first, &writer()).after;
        assert_eq!((restarted.restarts, restarted.metadata.generation), (1, Generation(2)));
        let scaled = scale(&restarted, 5, &writer()).after;
        let undone = undo(&scaled, &revision, None, &writer());
        assert_eq!((undone.action, undone.after.restarts), (Action::Changed, 0));
        assert_eq!(undone.after.spec.replicas, Some(5), "an undo leaves the count alone");
    }

    #[test]
    fn a_halt_ends_with_the_release_it_is_about() {
        let paused = halt(&stored(3), Some(HaltKind::Pause), &writer()).after;
        assert_eq!(paused.metadata.generation, Generation(2));
        let scaled = scale(&paused, 5, &writer()).after;
        assert_eq!(scaled.halt, paused.halt, "the count is no release");
        let same = apply(&document(Some(5)), Some(&scaled), None, image("sha256:aa"), &writer());
        assert_eq!((same.action, same.after.halt), (Action::Unchanged, paused.halt.clone()));
        let other = apply(&document(Some(5)), Some(&scaled), None, image("sha256:bb"), &writer());
        assert_eq!((other.action, other.after.halt), (Action::Changed, None));
        assert_eq!(halt(&scaled, None, &writer()).after.halt, None);
        assert_eq!(restart(&scaled, &writer()).after.halt, None);
    }

    #[test]
    fn deleting_twice_is_deleting_once() {
        let gone = delete(&stored(1), false, &writer()).after;
        assert!(gone.deleted_at.is_some() && !gone.deletes_volumes);
        let again = delete(&gone, false, &writer());
        assert_eq!((again.action, &again.after), (Action::Deleted, &gone));
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
        let made = apply(&document, None, None, image("sha256:aa"), &writer());
        assert_eq!(made.notes, [STOPS_FIRST]);
        let again = apply(&document, Some(&made.after), None, image("sha256:aa"), &writer());
        assert_eq!((again.action, again.notes), (Action::Unchanged, vec![]));
    }
}
