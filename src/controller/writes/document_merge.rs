//! Documents merged with what is stored: conflicts with what commands changed are refused together.

use std::collections::BTreeSet;

use super::choices::ConflictChoices;
use super::fields::{FieldsError, assemble, object_fields};
use super::handle::Writes;
use super::kinds::dispatch;
use super::merge::{MergeInput, MergeOutcome};
use super::object::{Object, ObjectChange, WriteStamp};
use super::snapshot::{WriteSnapshot, changed_meanwhile};
use super::types::{ApplyDocument, ApplyOptions, DocumentProblem, Overridden, WriteAction};
use crate::controller::error::{Conflict, ControllerError};
use crate::model::{Author, ObjectSpec, Override, Problem, ResolvedImage};

/// The spec of a document after the merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Merged {
    pub(crate) spec: ObjectSpec,
    pub(crate) outcome: MergeOutcome,
}

/// The three sides of a document's merge.
pub(crate) fn merge_input<'a>(
    file: &ObjectSpec,
    applied: Option<&ObjectSpec>,
    live: Option<&'a Object>,
) -> Result<MergeInput<'a>, FieldsError> {
    let rules = dispatch::rules(file.kind());
    Ok(MergeInput {
        file: object_fields(file, &rules)?,
        applied: applied.map(|applied| object_fields(applied, &rules)).transpose()?,
        live: live.map(|live| object_fields(&live.spec(), &rules)).transpose()?.unwrap_or_default(),
        overrides: live.map(|live| live.header().overrides).unwrap_or_default(),
        rules,
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
    let (fields, outcome) = input.merge(choices);
    let spec = assemble(file.kind(), fields).map_err(|error| Problem::new("spec", error.to_string()))?;
    // Without overrides the spec is the manifest's, which has been checked.
    let problem = if outcome.overrides.is_empty() { None } else { spec.problems().into_iter().next() };
    match problem {
        Some(problem) => {
            let message = format!("with the overrides that are kept: {}", problem.message);
            Err(Problem { message, ..problem })
        }
        None => Ok(Merged { spec, outcome }),
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
        merge_input(&document.spec, self.applied.as_ref(), self.live.as_ref())
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
        let Merged { spec, outcome } =
            merge_spec(&document.spec, &input, &options.choices()?).map_err(invalid)?;
        let conflicts = conflicts(document, &outcome);
        if !options.diff && !conflicts.is_empty() {
            return Err(ControllerError::Overridden { conflicts, by: stamp.by.clone() });
        }
        let image = match (&self.live, image) {
            (Some(object), _) if outcome.keeps_image => object.header().image.cloned(),
            (_, Some(image)) => Some(image.clone()),
            (_, None) if spec.image().is_none() => None,
            (Some(object), None) => {
                return Err(changed_meanwhile(object, object.header().generation, Vec::new()));
            }
            (None, None) => return Err(ControllerError::NotFound(vec![document.object()])),
        };
        let before = self.object.as_ref();
        let went_back_to = self.context.went_back_to();
        let mut change = dispatch::apply(document, before, went_back_to, spec, outcome, image, stamp)?;
        change.notes.extend(self.failed.iter().map(failed_note));
        if options.diff && change.action == WriteAction::Created {
            change.changes = dispatch::settings(&change.after.spec())?;
        }
        Ok(change)
    }
}

/// Why an override is not kept.
fn failed_note(over: &Override) -> String {
    let value = over.new.as_ref().map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
    let value = value.unwrap_or_else(|| "nothing".to_owned());
    format!(
        "{} was set to {value} by {}, whose release failed; it is not kept",
        over.field,
        over.by.summary()
    )
}

fn conflicts(document: &ApplyDocument, merged: &MergeOutcome) -> Vec<Conflict> {
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
                    in_conflict.extend(conflicts(document, &merged.outcome));
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
