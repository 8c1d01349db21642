//! Services: what each request makes of one. Pure.

use super::image_notes::{image_notes, not_pulled};
use super::metadata::metadata;
use crate::controller::writes::diff;
use crate::controller::writes::fields::{Field, FieldRules, Fields, FieldsError, fields};
use crate::controller::writes::merge::MergeOutcome;
use crate::controller::writes::object::{Object, ObjectChange, WriteStamp};
use crate::controller::writes::overrides::record;
use crate::controller::writes::types::{ApplyDocument, FieldChange, Overridden, WriteAction};
use crate::model::{
    Author, Generation, InterventionKind, Override, Release, ResolvedImage, Revision, RolloutIntervention,
    Service, ServiceSpec, Volume,
};

/// How the fields of a service are merged. The checks of `health` exclude one another.
pub(crate) const RULES: FieldRules =
    FieldRules { whole_blocks: &["health"], live_if_unset: &[("spec.replicas", 1)], image: Some(IMAGE) };

/// The field of the image.
pub(in crate::controller::writes) const IMAGE: &str = "spec.image";

/// A note on a service with volumes that only one container may use at a time.
const STOPS_FIRST: &str =
    "its volumes allow one container at a time, so each old replica is stopped before its replacement starts";

/// The service that a document asks for, its spec merged with what commands changed; `image` is the resolved image of
/// that spec.
pub(in crate::controller::writes) fn apply(
    document: &ApplyDocument,
    before: Option<&Service>,
    went_back_to: Option<&Revision>,
    spec: ServiceSpec,
    merged: MergeOutcome,
    image: ResolvedImage,
    stamp: &WriteStamp<'_>,
) -> Result<ObjectChange, FieldsError> {
    // A retry of the release that failed has counted as a restart: what serves all along is not restarted for that.
    let serves = |revision: &&Revision| {
        Release { spec: &spec, image: &image, restarts: revision.restarts }.is(revision.release())
    };
    let restarts = match went_back_to.filter(serves) {
        Some(serving) => serving.restarts,
        None => before.map_or(0, |service| service.restarts),
    };
    let MergeOutcome { overrides, kept, conflicts, overwritten, .. } = merged;
    let after = Service {
        metadata: metadata(document, before.map(|service| &service.metadata), stamp),
        spec,
        image,
        restarts,
        intervention: before.and_then(|service| service.intervention.clone()),
        overrides,
        deleted_at: None,
        deletes_volumes: false,
        source: stamp.source.clone(),
        written_by: stamp.by.clone(),
        written_at: stamp.at,
    };
    let note =
        |over: &Overridden| format!("{} was set by {} and is overwritten", over.field, over.by.summary());
    let mut notes: Vec<String> = overwritten.iter().map(note).collect();
    let old = before.map_or(after.release(), Service::release);
    let stops_first = after.release().waits_for(old, after.spec.replica_count());
    let change = finish(before, after, Vec::new())?;
    notes.extend(change.notes);
    if change.action != WriteAction::Unchanged && stops_first {
        notes.push(STOPS_FIRST.to_owned());
    }
    if let (WriteAction::Unchanged, Object::Service(after)) = (change.action, &change.after) {
        notes.extend(not_pulled(after));
    }
    Ok(ObjectChange { applied: Some(document.spec.clone()), notes, kept, conflicts, ..change })
}

/// The service with another number of replicas.
pub(in crate::controller::writes) fn scale(
    before: &Service,
    replicas: u32,
    stamp: &WriteStamp<'_>,
) -> Result<ObjectChange, FieldsError> {
    let mut after = written(before, stamp);
    after.spec.replicas = Some(replicas);
    finish_live(before, after, stamp, Vec::new())
}

/// The service with another image.
pub(in crate::controller::writes) fn set_image(
    before: &Service,
    image: &str,
    resolved: ResolvedImage,
    stamp: &WriteStamp<'_>,
) -> Result<ObjectChange, FieldsError> {
    let mut after = written(before, stamp);
    image.clone_into(&mut after.spec.image);
    after.image = resolved;
    finish_live(before, after, stamp, Vec::new())
}

/// The same release in new containers.
pub(in crate::controller::writes) fn restart(
    before: &Service,
    stamp: &WriteStamp<'_>,
) -> Result<ObjectChange, FieldsError> {
    let mut after = written(before, stamp);
    after.restarts = after.restarts.saturating_add(1);
    let counter = FieldChange {
        path: "restarts".to_owned(),
        old: Some(before.restarts.to_string()),
        new: Some(after.restarts.to_string()),
    };
    let mut change = finish(Some(before), after, Vec::new())?;
    change.changes.push(counter);
    Ok(change)
}

/// The service with the release of an earlier revision.
pub(in crate::controller::writes) fn undo(
    before: &Service,
    revision: &Revision,
    notes: Vec<String>,
    stamp: &WriteStamp<'_>,
) -> Result<ObjectChange, FieldsError> {
    let mut after = written(before, stamp);
    after.spec = before.spec.with_release_of(&revision.spec);
    after.image = revision.image.clone();
    after.restarts = revision.restarts;
    finish_live(before, after, stamp, notes)
}

/// The service with a request to pause or abort its rollout, or without one.
pub(in crate::controller::writes) fn intervention(
    before: &Service,
    kind: Option<InterventionKind>,
    stamp: &WriteStamp<'_>,
) -> Result<ObjectChange, FieldsError> {
    let mut after = written(before, stamp);
    after.intervention = kind.map(|kind| RolloutIntervention { kind, by: stamp.by.clone(), at: stamp.at });
    let name = &before.metadata.name;
    let note = match kind {
        Some(InterventionKind::Pause) => format!("its rollout is paused; `ctl resume {name}` resumes it"),
        Some(InterventionKind::Abort) => {
            "its rollout is aborted; it rolls back to the stable revision".to_owned()
        }
        None => format!("its rollout is resumed; `ctl rollout {name}` follows it"),
    };
    finish(Some(before), after, vec![note])
}

/// The service marked as deleted, with its volumes where the user named them. Deleting it again may only add the
/// volumes.
pub(in crate::controller::writes) fn delete(
    before: &Service,
    volumes: bool,
    stamp: &WriteStamp<'_>,
) -> Result<ObjectChange, FieldsError> {
    if before.deleted_at.is_some() && (before.deletes_volumes || !volumes) {
        let change = finish(Some(before), before.clone(), Vec::new())?;
        return Ok(ObjectChange { action: WriteAction::Deleted, ..change });
    }
    let mut after = written(before, stamp);
    after.deleted_at = after.deleted_at.or(Some(stamp.at));
    after.deletes_volumes |= volumes;
    let named = before.spec.volumes.iter().filter_map(Volume::name);
    let of_image = before.release().image_volumes().into_iter().map(|volume| volume.path);
    let names: Vec<&str> = named.chain(of_image).collect();
    let names = names.join(", ");
    let note = match volumes {
        _ if names.is_empty() => None,
        true => Some(format!("its volumes are deleted with it: {names}")),
        false => Some(format!("its volumes are kept: {names}")),
    };
    let change = finish(Some(before), after, note.into_iter().collect())?;
    Ok(ObjectChange { action: WriteAction::Deleted, ..change })
}

fn written(before: &Service, stamp: &WriteStamp<'_>) -> Service {
    Service { written_by: stamp.by.clone(), written_at: stamp.at, ..before.clone() }
}

/// As [`finish`], for a command that changes what the manifest says: it is recorded as an override.
fn finish_live(
    before: &Service,
    mut after: Service,
    stamp: &WriteStamp<'_>,
    notes: Vec<String>,
) -> Result<ObjectChange, FieldsError> {
    after.overrides = record_overrides(before, &after, stamp.by, stamp.at)?;
    finish(Some(before), after, notes)
}

/// The overrides of a service after a command.
pub(in crate::controller::writes) fn record_overrides(
    before: &Service,
    after: &Service,
    by: &Author,
    at: jiff::Timestamp,
) -> Result<Vec<Override>, FieldsError> {
    let old = fields_with_digest(before)?;
    let new = fields_with_digest(after)?;
    Ok(record(&before.overrides, &old, &new, by, at))
}

/// Gives the service its next generation where it differs in something that counts.
fn finish(
    before: Option<&Service>,
    mut after: Service,
    mut notes: Vec<String>,
) -> Result<ObjectChange, FieldsError> {
    let changes = match before {
        Some(before) => changes(before, &after)?,
        None => Vec::new(),
    };
    let is_new_release = before.is_none_or(|before| !before.release().is(after.release()));
    if is_new_release {
        after.intervention = None; // it was about the release that this one replaces
        notes.extend(image_notes(before, &after));
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
        // Dropping an override that no longer differs changes nothing.
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
    Ok(ObjectChange { changes, notes, ..ObjectChange::new(Object::Service(Box::new(after)), action) })
}

/// The fields of a service, its image with the digest.
pub(in crate::controller::writes) fn fields_with_digest(service: &Service) -> Result<Fields, FieldsError> {
    let mut fields = fields(&service.spec, &RULES)?;
    fields.insert(Field::parse(IMAGE), service.image.summary().into());
    Ok(fields)
}

/// What changes from one state of a service to the next; an image is described by its text and its digest.
fn changes(old: &Service, new: &Service) -> Result<Vec<FieldChange>, FieldsError> {
    let mut found = diff::changes(&old.spec, &new.spec)?;
    found.retain(|change| change.path != IMAGE);
    if old.spec.image != new.spec.image || old.image.pinned != new.image.pinned {
        found.push(FieldChange {
            path: IMAGE.to_owned(),
            old: Some(old.image.summary()),
            new: Some(new.image.summary()),
        });
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

#[cfg(test)]
mod tests;
