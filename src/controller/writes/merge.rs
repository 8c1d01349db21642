//! The three-way merge of an apply: what was last applied, the manifest, and what is live. Pure.
//!
//! Purpose: a manifest that was not changed never takes back what a command changed since, and one that was changed in
//! the same place is a conflict that the user decides.
//! Invariants: merging what was merged changes nothing; a field without an override is the manifest's; a field of
//! `live_if_unset` that the manifest leaves out is the live one.
//! Deliberately absent: what kind the object is of (its fields and [`FieldRules`] are arguments), what an image means
//! for, the transaction.

use std::collections::BTreeSet;

use serde_json::Value;

use super::choices::ConflictChoices;
use super::fields::{Field, FieldRules, Fields};
use super::types::Overridden;
use crate::model::Override;
use crate::model::image_reference::is_same_image;

/// The three sides, as fields.
#[derive(Debug)]
pub(crate) struct MergeInput<'a> {
    pub(crate) rules: FieldRules,
    /// The manifest as it is now.
    pub(crate) file: Fields,
    /// The manifest as it was last applied; `None` counts as the same.
    pub(crate) applied: Option<Fields>,
    /// The object; empty where there is none yet.
    pub(crate) live: Fields,
    /// What commands changed of it.
    pub(crate) overrides: &'a [Override],
}

/// What became of each override.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct MergeOutcome {
    /// Whether the image stays the live one, with its digest.
    pub(crate) keeps_image: bool,
    /// The overrides that stay, of conflicts too.
    pub(crate) overrides: Vec<Override>,
    /// Those in fields that the manifest did not change, or that the user has kept.
    pub(crate) kept: Vec<Overridden>,
    /// Those in fields that the manifest did change: nothing may be written before the user decides.
    pub(crate) conflicts: Vec<Overridden>,
    /// Overrides that `--overwrite` replaces with the manifest's value.
    pub(crate) overwritten: Vec<Overridden>,
}

impl MergeInput<'_> {
    /// All fields that one of the three has.
    pub(crate) fn known(&self) -> BTreeSet<Field> {
        let unset = self.rules.live_if_unset.iter().map(|(path, _)| Field::parse(path));
        let set = self.file.keys().chain(self.applied.iter().flat_map(Fields::keys)).chain(self.live.keys());
        set.cloned().chain(unset).collect()
    }

    /// The fields that a command changed.
    pub(crate) fn overridden(&self) -> BTreeSet<Field> {
        self.overrides.iter().map(|over| Field::parse(&over.field)).collect()
    }

    /// The fields to write, those in conflict with their live value.
    pub(crate) fn merge(&self, choices: &ConflictChoices) -> (Fields, MergeOutcome) {
        let mut fields = self.file.clone();
        let mut merged = MergeOutcome::default();
        for (path, initial) in self.rules.live_if_unset {
            let field = Field::parse(path);
            let live = self.live.get(&field).cloned().unwrap_or_else(|| Value::from(*initial));
            fields.entry(field).or_insert(live);
        }
        for over in self.overrides {
            let field = Field::parse(&over.field);
            let overridden = self.describe(over, &field);
            match self.resolve(choices, &field) {
                FieldResolution::Agreed => continue,
                FieldResolution::Overwritten => {
                    merged.overwritten.push(overridden);
                    continue;
                }
                FieldResolution::Kept => merged.kept.push(overridden),
                FieldResolution::Conflict => merged.conflicts.push(overridden),
            }
            merged.overrides.push(over.clone());
            merged.keeps_image |= self.rules.is_image(&field);
            match self.live.get(&field) {
                Some(value) => fields.insert(field, value.clone()),
                None => fields.remove(&field),
            };
        }
        (fields, merged)
    }

    fn resolve(&self, choices: &ConflictChoices, field: &Field) -> FieldResolution {
        let is_image = self.rules.is_image(field);
        let stated = self.file.get(field);
        let may_be_unset = self.rules.live_if_unset.iter().any(|(path, _)| Field::parse(path) == *field);
        let is_silent = stated.is_none() && may_be_unset;
        let was = self.applied.as_ref().map(|applied| applied.get(field));
        let changed = !is_silent && was.is_some_and(|was| !same_value(is_image, was, stated));
        // An image of the same text may be another one: an undo over a tag that moved.
        let agrees = same_value(is_image, self.live.get(field), stated) && (changed || !is_image);
        if agrees {
            FieldResolution::Agreed
        } else if choices.overwrite.contains(field) {
            FieldResolution::Overwritten
        } else if choices.keep.contains(field) || !changed {
            FieldResolution::Kept
        } else {
            FieldResolution::Conflict
        }
    }

    fn describe(&self, over: &Override, field: &Field) -> Overridden {
        let text = |value: &Value| match value.as_str() {
            Some(image) if self.rules.is_image(field) => image.to_owned(),
            _ => value.to_string(),
        };
        Overridden {
            field: over.field.clone(),
            file: self.file.get(field).map(text),
            applied: self.applied.as_ref().and_then(|applied| applied.get(field)).map(text),
            live: over.new.as_ref().map(text),
            by: over.by.clone(),
            at: over.at,
        }
    }
}

/// What becomes of an override.
enum FieldResolution {
    /// The manifest now has the live value, so the override ends.
    Agreed,
    Overwritten,
    Kept,
    Conflict,
}

/// Whether two values of a field mean the same: `redis` and `library/redis:latest` are one image.
fn same_value(is_image: bool, a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a.and_then(Value::as_str), b.and_then(Value::as_str)) {
        (Some(a), Some(b)) if is_image => is_same_image(a, b),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests;
