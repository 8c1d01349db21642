//! What a write needs of the Engine: images resolved before anything is written, or there still for an undo.

use crate::agent::EngineError;
use crate::controller::error::{ControllerError, UnresolvedImage};
use crate::controller::writes::Merged;
use crate::controller::{ApplyDocument, Controller};
use crate::model::image_reference::with_default_tag;
use crate::model::{Pull, ResolvedImage, Revision, Service, ServiceName};

impl Controller {
    /// What all documents are made from, but for those that keep the live image; those that cannot be resolved are refused together.
    pub(crate) async fn resolve_all(
        &self,
        documents: &[ApplyDocument],
        merged: &[Merged],
    ) -> Result<Vec<Option<ResolvedImage>>, ControllerError> {
        let mut resolved = Vec::new();
        let mut failed = Vec::new();
        for (document, merged) in documents.iter().zip(merged) {
            let spec = &document.spec;
            if merged.keeps_image {
                resolved.push(None);
                continue;
            }
            match self.links.resolve_image(&spec.image, spec.pull).await {
                Ok(image) => resolved.push(Some(image)),
                Err(error) => {
                    failed.push(unresolved(&document.name, &document.origin, &spec.image, error)?);
                }
            }
        }
        if failed.is_empty() { Ok(resolved) } else { Err(ControllerError::Images(failed)) }
    }

    /// What a service would be made from with another image.
    pub(crate) async fn resolve_one(
        &self,
        name: &ServiceName,
        command: &str,
        image: &str,
        service: &Service,
    ) -> Result<ResolvedImage, ControllerError> {
        match self.links.resolve_image(image, service.spec.pull).await {
            Ok(resolved) => Ok(resolved),
            Err(error) => Err(ControllerError::Images(vec![unresolved(name, command, image, error)?])),
        }
    }

    /// Refuses to go back to a revision whose image is neither on the Engine nor, where it may be pulled, in a registry.
    pub(crate) async fn check_image_of(&self, revision: &Revision) -> Result<(), ControllerError> {
        let pull = match revision.spec.pull {
            Pull::Never => Pull::Never,
            Pull::Always | Pull::IfMissing => Pull::IfMissing,
        };
        let ResolvedImage { reference, pinned } = &revision.image;
        match self.links.resolve_image(pinned, pull).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let mut gone = unresolved(&revision.service, "", reference, error)?;
                gone.reference = format!("{} @ {}", gone.reference, revision.image.short());
                Err(ControllerError::ImageGone { revision: revision.number, gone: Box::new(gone) })
            }
        }
    }
}

/// An Engine that is away is an error of its own; anything else is the image's.
fn unresolved(
    service: &ServiceName,
    origin: &str,
    reference: &str,
    error: EngineError,
) -> Result<UnresolvedImage, ControllerError> {
    if error.is_away() {
        return Err(error.into());
    }
    let reference = with_default_tag(reference);
    let (service, origin, why) = (service.clone(), origin.to_owned(), why(&error));
    Ok(UnresolvedImage { service, origin, reference, why })
}

/// Why there is no such image, without its name: whoever reads this has just been told.
fn why(error: &EngineError) -> String {
    match error {
        EngineError::NotFound { .. } => "the Engine does not have it".to_owned(),
        EngineError::PullDenied { message, .. } => format!("the registry refuses to give it: {message}"),
        EngineError::ImageUnknown { message, .. } => format!("the registry does not have it: {message}"),
        EngineError::RegistryUnreachable { message, .. } => {
            format!("the registry cannot be reached: {message}")
        }
        other => other.to_string(),
    }
}
