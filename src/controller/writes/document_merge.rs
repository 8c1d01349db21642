//! Documents merged with what is stored: conflicts with what commands changed are refused together.

use std::collections::BTreeSet;

use super::choices::ConflictChoices;
use super::fields::FieldsError;
use super::handle::Writes;
use super::kinds::dispatch;
use super::merge::{MergeInput, MergedFields};
use super::merged::Merged;
use super::object::{Object, ObjectChange, WriteStamp};
use super::snapshot::{WriteSnapshot, changed_meanwhile};
use super::types::{ApplyDocument, ApplyOptions, DocumentProblem, Overridden, WriteAction};
use crate::controller::error::{Conflict, ControllerError};
use crate::model::{Author, ObjectSpec, Problem, ResolvedImage};

/// The three sides of a document's merge.
pub(crate) fn merge_input<'a>(
    file: &ObjectSpec,
    applied: Option<&ObjectSpec>,
    live: Option<&'a Object>,
) -> Result<MergeInput<'a>, FieldsError> {
    Ok(MergeInput {
        rules: dispatch::rules(file.kind()),
        file: dispatch::fields(file)?,
        applied: applied.map(dispatch::fields).transpose()?,
        live: live.map(|live| dispatch::fields(&live.spec())).transpose()?.unwrap_or_default(),
        overrides: live.map(Object::overrides).unwrap_or_default(),
    })
}

/// Merges and checks what comes of it.
///
/// # Errors
/// Where that is not sound: the manifest and a kept value do not fit together.
pub(crate) fn merge_spec(
    file: &ObjectSpec,
    input: &MergeInput<'_>,
    choices: &ConflictChoices,
) -> Result<Merged, Problem> {
    let MergedFields { fields, keeps_image, overrides, kept, conflicts, overwritten } = input.merge(choices);
    let spec =
        dispatch::assemble(file.kind(), fields).map_err(|error| Problem::new("spec", error.to_string()))?;
    // Without overrides the spec is the manifest's, which has been checked.
    let problem = if overrides.is_empty() { None } else { spec.problems().into_iter().next() };
    match problem {
        Some(problem) => {
            let message = format!("with the overrides that are kept: {}", problem.message);
            Err(Problem { message, ..problem })
        }
        None => Ok(Merged { spec, keeps_image, overrides, kept, conflicts, overwritten }),
    }
}

impl ApplyOptions {
    /// `keep` and `overwrite`, parsed.
    pub(super) fn choices(&self) -> Result<ConflictChoices, ControllerError> {
        ConflictChoices::parse(&self.keep, &self.overwrite).map_err(ControllerError::BadValue)
    }
}

impl WriteSnapshot {
    fn merge_input(&self, document: &ApplyDocument) -> Result<MergeInput<'_>, FieldsError> {
        merge_input(&document.spec, self.applied.as_ref(), self.object.as_ref())
    }

    /// The change that applying a document makes; `image` is its resolved image, where it was resolved.
    ///
    /// # Errors
    /// [`ControllerError::Overridden`]; [`ControllerError::ChangedMeanwhile`] where an override went after the images
    /// were resolved.
    pub(super) fn apply(
        &self,
        document: &ApplyDocument,
        options: &ApplyOptions,
        image: Option<&ResolvedImage>,
        stamp: &WriteStamp<'_>,
    ) -> Result<ObjectChange, ControllerError> {
        let invalid = |problem| ControllerError::Invalid(vec![DocumentProblem { document: 0, problem }]);
        let input = self.merge_input(document)?;
        let merged = merge_spec(&document.spec, &input, &options.choices()?).map_err(invalid)?;
        let conflicts = conflicts(document, &merged);
        if !options.diff && !conflicts.is_empty() {
            return Err(ControllerError::Overridden { conflicts, by: stamp.by.clone() });
        }
        let image = match (&self.object, image) {
            (Some(object), _) if merged.keeps_image => object.image().cloned(),
            (_, Some(image)) => Some(image.clone()),
            (_, None) if image_of(&merged.spec).is_none() => None,
            (Some(object), None) => return Err(changed_meanwhile(object, object.generation(), Vec::new())),
            (None, None) => return Err(ControllerError::NotFound(vec![document.object()])),
        };
        let mut change = dispatch::apply(document, self.object.as_ref(), merged, image, stamp)?;
        if options.diff && change.action == WriteAction::Created {
            change.changes = dispatch::settings(&change.after.spec())?;
        }
        Ok(change)
    }
}

/// The image of a spec, where its kind has one.
fn image_of(spec: &ObjectSpec) -> Option<&str> {
    spec.image().map(|(image, _)| image)
}

fn conflicts(document: &ApplyDocument, merged: &Merged) -> Vec<Conflict> {
    let conflict = |over: &Overridden| Conflict {
        object: document.object(),
        origin: document.origin.clone(),
        over: over.clone(),
    };
    merged.conflicts.iter().map(conflict).collect()
}

impl Writes {
    /// Merges all documents with what is stored now.
    ///
    /// # Errors
    /// [`ControllerError::Overridden`] with all conflicts together, unless this is a diff;
    /// [`ControllerError::BadValue`] for a choice about a field that no document has.
    pub(super) async fn merge_all(
        &self,
        documents: &[ApplyDocument],
        options: &ApplyOptions,
        by: &Author,
    ) -> Result<Vec<Merged>, ControllerError> {
        let choices = options.choices()?;
        let mut known = BTreeSet::new();
        let mut overridden = BTreeSet::new();
        let mut all = Vec::new();
        let mut problems = Vec::new();
        let mut in_conflict = Vec::new();
        for (index, document) in documents.iter().enumerate() {
            let snapshot = self.snapshot(&document.object()).await?;
            let input = snapshot.merge_input(document)?;
            known.extend(input.known());
            overridden.extend(input.overridden());
            match merge_spec(&document.spec, &input, &choices) {
                Ok(merged) => {
                    in_conflict.extend(conflicts(document, &merged));
                    all.push(merged);
                }
                Err(problem) => problems.push(DocumentProblem { document: index, problem }),
            }
        }
        choices.check(&known, &overridden).map_err(ControllerError::BadValue)?;
        if !problems.is_empty() {
            return Err(ControllerError::Invalid(problems));
        }
        if !in_conflict.is_empty() && !options.diff {
            return Err(ControllerError::Overridden { conflicts: in_conflict, by: by.clone() });
        }
        Ok(all)
    }
}
