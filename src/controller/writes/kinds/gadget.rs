//! Gadgets, a kind for tests: what each request makes of one. Pure.

use super::metadata::metadata;
use crate::controller::writes::diff;
use crate::controller::writes::fields::{FieldRules, FieldsError};
use crate::controller::writes::merge::MergeOutcome;
use crate::controller::writes::object::{Object, ObjectChange, WriteStamp};
use crate::controller::writes::types::{ApplyDocument, WriteAction};
use crate::model::{Gadget, GadgetSpec};

pub(super) const RULES: FieldRules =
    FieldRules { whole_blocks: &["action"], live_if_unset: &[("spec.size", 7)], image: None };

pub(in crate::controller::writes) fn apply(
    document: &ApplyDocument,
    before: Option<&Gadget>,
    spec: GadgetSpec,
    merged: MergeOutcome,
    stamp: &WriteStamp<'_>,
) -> Result<ObjectChange, FieldsError> {
    let mut after = Gadget {
        metadata: metadata(document, before.map(|gadget| &gadget.metadata), stamp),
        spec,
        overrides: merged.overrides,
        source: stamp.source.clone(),
        written_by: stamp.by.clone(),
        is_being_deleted: false,
    };
    let changes = match before {
        Some(before) => diff::changes(&before.spec, &after.spec)?,
        None => Vec::new(),
    };
    let action = match before {
        None => WriteAction::Created,
        Some(before) if before.spec == after.spec && before.source == after.source => WriteAction::Unchanged,
        Some(_) => WriteAction::Changed,
    };
    if action != WriteAction::Unchanged {
        after.metadata.generation = after.metadata.generation.next();
    }
    Ok(ObjectChange {
        changes,
        applied: Some(document.spec.clone()),
        kept: merged.kept,
        conflicts: merged.conflicts,
        ..ObjectChange::new(Object::Gadget(Box::new(after)), action)
    })
}

pub(in crate::controller::writes) fn delete(before: &Gadget, stamp: &WriteStamp<'_>) -> ObjectChange {
    if before.is_being_deleted {
        return ObjectChange::new(Object::Gadget(Box::new(before.clone())), WriteAction::Deleted);
    }
    let mut after = Gadget { written_by: stamp.by.clone(), is_being_deleted: true, ..before.clone() };
    after.metadata.generation = before.metadata.generation.next();
    ObjectChange::new(Object::Gadget(Box::new(after)), WriteAction::Deleted)
}
