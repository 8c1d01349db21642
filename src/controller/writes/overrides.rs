//! An apply over what commands changed: reads, has it merged, and refuses what the user has to decide.

use std::collections::BTreeSet;

use super::before::{Before, changed_meanwhile};
use super::diff;
use super::edit::{self, Edit, Writer};
use super::merge::{Choices, Merged, Sides};
use super::request::{ApplyDocument, ApplyOptions, DocumentProblem, Overridden, WriteAction};
use crate::controller::Controller;
use crate::controller::error::{Conflict, ControllerError};
use crate::model::{Author, ResolvedImage, ServiceName, ServiceSpec};

/// How a run is applied, its choices understood.
pub(super) struct Way {
    pub(super) applying: ApplyOptions,
    choices: Choices,
}

impl Way {
    /// # Errors
    /// [`ControllerError::BadValue`] where the choices contradict one another.
    pub(super) fn of(applying: ApplyOptions) -> Result<Self, ControllerError> {
        let choices = Choices::of(&applying.keep, &applying.overwrite).map_err(ControllerError::BadValue)?;
        Ok(Self { applying, choices })
    }
}

impl Before {
    fn sides<'a>(&'a self, document: &'a ApplyDocument) -> Sides<'a> {
        Sides { file: &document.spec, applied: self.applied.as_ref(), live: self.service() }
    }

    /// What applying a document makes of the service; `image` is what its image stands for, where that was asked.
    ///
    /// # Errors
    /// [`ControllerError::Overridden`]; [`ControllerError::ChangedMeanwhile`] where an override went after the images were resolved.
    pub(super) fn apply(
        &self,
        document: &ApplyDocument,
        way: &Way,
        image: Option<&ResolvedImage>,
        writer: &Writer<'_>,
    ) -> Result<Edit, ControllerError> {
        let invalid = |problem| ControllerError::Invalid(vec![DocumentProblem { document: 0, problem }]);
        let merged = self.sides(document).merge(&way.choices).map_err(invalid)?;
        let conflicts = conflicts(document, &merged);
        if !way.applying.diff && !conflicts.is_empty() {
            return Err(ControllerError::Overridden { conflicts, by: writer.by.clone() });
        }
        let image = match (self.service(), image) {
            (Some(service), _) if merged.keeps_image => service.image.clone(),
            (_, Some(image)) => image.clone(),
            (Some(service), None) => {
                return Err(changed_meanwhile(service, service.metadata.generation, Vec::new()));
            }
            (None, None) => return Err(ControllerError::NotFound(vec![document.name.clone()])),
        };
        let mut edit = edit::apply(document, self.service(), merged, image, writer);
        if way.applying.diff && edit.action == WriteAction::Created {
            edit.changes = diff::settings(&edit.after.spec);
        }
        Ok(edit)
    }
}

fn conflicts(document: &ApplyDocument, merged: &Merged) -> Vec<Conflict> {
    let of = |over: &Overridden| Conflict {
        service: document.name.clone(),
        origin: document.origin.clone(),
        over: over.clone(),
    };
    merged.conflicts.iter().map(of).collect()
}

impl Controller {
    /// Merges all documents with what is stored now.
    ///
    /// # Errors
    /// [`ControllerError::Overridden`] with all conflicts together, unless this is a diff; [`ControllerError::BadValue`] for a choice about
    /// a field that there is none of.
    pub(super) async fn merge_all(
        &self,
        documents: &[ApplyDocument],
        way: &Way,
        by: &Author,
    ) -> Result<Vec<Merged>, ControllerError> {
        let (mut known, mut overridden) = (BTreeSet::new(), BTreeSet::new());
        let (mut all, mut problems, mut in_the_way) = (Vec::new(), Vec::new(), Vec::new());
        for (index, document) in documents.iter().enumerate() {
            let before = self.read_before(&document.name).await?;
            let sides = before.sides(document);
            known.extend(sides.known());
            overridden.extend(sides.overridden());
            match sides.merge(&way.choices) {
                Ok(merged) => {
                    in_the_way.extend(conflicts(document, &merged));
                    all.push(merged);
                }
                Err(problem) => problems.push(DocumentProblem { document: index, problem }),
            }
        }
        way.choices.check(&known, &overridden).map_err(ControllerError::BadValue)?;
        if !problems.is_empty() {
            return Err(ControllerError::Invalid(problems));
        }
        if !in_the_way.is_empty() && !way.applying.diff {
            return Err(ControllerError::Overridden { conflicts: in_the_way, by: by.clone() });
        }
        Ok(all)
    }
}

/// The specs that a run would write, by name.
pub(super) fn specs<'a>(
    documents: &'a [ApplyDocument],
    merged: &[Merged],
) -> Vec<(&'a ServiceName, ServiceSpec)> {
    documents.iter().zip(merged).map(|(document, merged)| (&document.name, merged.spec.clone())).collect()
}
