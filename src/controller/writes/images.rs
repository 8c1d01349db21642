//! What a write needs of the Engine: images resolved before anything is written, or there still for an undo.

use super::document_merge::Merged;
use super::handle::Writes;
use super::types::ApplyDocument;
use crate::agent::EngineError;
use crate::controller::error::{ControllerError, UnresolvedImage};
use crate::model::image_reference::with_default_tag;
use crate::model::{ObjectRef, Pull, ResolvedImage, Revision, Service, ServiceName};

impl Writes {
    /// The images of all documents, but for those that keep the live one or have none; those that cannot be resolved are
    /// refused together.
    pub(super) async fn resolve_all(
        &self,
        documents: &[ApplyDocument],
        merged: &[Merged],
    ) -> Result<Vec<Option<ResolvedImage>>, ControllerError> {
        let mut resolved = Vec::new();
        let mut failed = Vec::new();
        for (document, merged) in documents.iter().zip(merged) {
            let (image, pull) = match document.spec.image() {
                Some(asked) if !merged.outcome.keeps_image => asked,
                _ => {
                    resolved.push(None);
                    continue;
                }
            };
            match self.links.resolve_image(image, pull).await {
                Ok(image) => resolved.push(Some(image)),
                Err(error) => failed.push(unresolved(document.object(), &document.origin, image, error)?),
            }
        }
        if failed.is_empty() { Ok(resolved) } else { Err(ControllerError::Images(failed)) }
    }

    /// Another image for a service.
    pub(super) async fn resolve_one(
        &self,
        name: &ServiceName,
        command: &str,
        image: &str,
        service: &Service,
    ) -> Result<ResolvedImage, ControllerError> {
        match self.links.resolve_image(image, service.spec.pull).await {
            Ok(resolved) => Ok(resolved),
            Err(error) => Err(ControllerError::Images(vec![unresolved(name.into(), command, image, error)?])),
        }
    }

    /// Refuses to go back to a revision whose image is neither on the Engine nor, where it may be pulled, in a registry.
    pub(super) async fn check_image_of(&self, revision: &Revision) -> Result<(), ControllerError> {
        let pull = match revision.spec.pull {
            Pull::Never => Pull::Never,
            Pull::Always | Pull::IfMissing => Pull::IfMissing,
        };
        let ResolvedImage { reference, pinned, .. } = &revision.image;
        match self.links.resolve_image(pinned, pull).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let mut gone = unresolved((&revision.service).into(), "", reference, error)?;
                gone.reference = format!("{} @ {}", gone.reference, revision.image.short());
                Err(ControllerError::ImageGone { revision: revision.number, gone: Box::new(gone) })
            }
        }
    }
}

/// An unavailable Engine is an error of its own; any other is the image's.
fn unresolved(
    object: ObjectRef,
    origin: &str,
    reference: &str,
    error: EngineError,
) -> Result<UnresolvedImage, ControllerError> {
    if error.is_away() {
        return Err(error.into());
    }
    let reference = with_default_tag(reference);
    Ok(UnresolvedImage { object, origin: origin.to_owned(), reference, why: why(&error) })
}

/// Why the image cannot be resolved, without its name: the message names it before.
fn why(error: &EngineError) -> String {
    match error {
        EngineError::NotFound { .. } => "the Engine does not have it".to_owned(),
        EngineError::PullDenied { message, .. } => format!("the registry denied the pull: {message}"),
        EngineError::ImageUnknown { message, .. } => format!("the registry does not have it: {message}"),
        EngineError::RegistryUnreachable { message, .. } => {
            format!("the registry cannot be reached: {message}")
        }
        other => other.to_string(),
    }
}
