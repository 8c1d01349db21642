//! What a write needs of the node: images resolved before anything is written, or there still for an undo; paths that may be
//! mounted.

use std::collections::BTreeMap;

use super::document_merge::Merged;
use super::handle::Writes;
use super::types::{ApplyDocument, DocumentProblem};
use crate::agent::EngineError;
use crate::controller::error::{ControllerError, UnresolvedImage};
use crate::controller::service_state::ServiceState;
use crate::model::image_reference::{follows_a_tag, is_image_id, with_default_tag};
use crate::model::{
    ContainerProcess, ObjectRef, Problem, Pull, ResolvedImage, Revision, ScaleTarget, Service, ServiceName,
};

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
        let mut empty = Vec::new();
        for (document, merged) in documents.iter().zip(merged) {
            let (image, pull) = match document.spec.image() {
                Some(asked) if !merged.outcome.keeps_image => asked,
                _ => {
                    resolved.push(None);
                    continue;
                }
            };
            match self.links.resolve_image(image, pull).await {
                Ok(image) => {
                    empty.extend(nothing_to_run(document, merged, &image));
                    resolved.push(Some(image));
                }
                Err(error) => {
                    failed.push(unresolved(document.object(), &document.origin, (image, pull), error)?)
                }
            }
        }
        match (failed.is_empty(), empty.is_empty()) {
            (false, _) => Err(ControllerError::Images(failed)),
            (true, false) => Err(ControllerError::NothingToRun(empty)),
            (true, true) => Ok(resolved),
        }
    }

    /// Refuses documents that mount a path of the node that they may not, or that does not exist.
    pub(super) async fn check_host_paths(&self, documents: &[ApplyDocument]) -> Result<(), ControllerError> {
        let mut problems = Vec::new();
        for (document, asked) in documents.iter().enumerate() {
            let volumes = asked.spec.as_service().map_or(&[][..], |spec| &spec.volumes);
            for (index, volume) in volumes.iter().enumerate() {
                let Some(path) = volume.host_path() else { continue };
                if let Err(message) = self.links.check_host_path(path).await {
                    let problem = Problem::new(format!("spec.volumes[{index}].hostPath"), message);
                    problems.push(DocumentProblem { document, problem });
                }
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(ControllerError::Invalid(problems)) }
    }

    /// The image that the tag of an image means by now on the node, where it is another one. What cannot be asked is not
    /// said: nothing is decided by it.
    pub(super) async fn moved_tag(&self, image: &ResolvedImage) -> Option<ResolvedImage> {
        if !follows_a_tag(&image.reference) {
            return None;
        }
        let now = self.links.resolve_image(&image.reference, Pull::Never).await.ok()?;
        (now.pinned != image.pinned).then_some(now)
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
            Ok(resolved) => {
                match ContainerProcess::of(&service.spec, &resolved.config).check(&resolved.config) {
                    Ok(()) => Ok(resolved),
                    Err(error) => Err(ControllerError::NothingToRun(vec![UnresolvedImage {
                        object: name.into(),
                        origin: command.to_owned(),
                        reference: resolved.reference,
                        why: error.to_string(),
                    }])),
                }
            }
            Err(error) => {
                let asked = (image, service.spec.pull);
                Err(ControllerError::Images(vec![unresolved(name.into(), command, asked, error)?]))
            }
        }
    }

    /// Refuses more replicas of a service whose image is gone and cannot be pulled: they would wait for it forever. One that
    /// can be pulled is pulled by the replicas. While the Engine is away nothing is known, and they wait for it anyway.
    pub(super) async fn check_images_to_start(
        &self,
        targets: &BTreeMap<ServiceName, ScaleTarget>,
    ) -> Result<(), ControllerError> {
        for (name, scale) in targets {
            let Some(state) = ServiceState::read(self.store.as_ref(), name).await? else { continue };
            let target = state.rollout.as_ref().and_then(|rollout| state.revisions.get(&rollout.target));
            let stored = state.service.spec.replica_count();
            let grows = scale.of(stored).is_ok_and(|count| count > stored);
            let is_pullable = |r: &Revision| r.spec.pull != Pull::Never && !is_image_id(&r.image.pinned);
            let Some(revision) = target.filter(|revision| grows && !is_pullable(revision)) else { continue };
            match self.check_image_of(revision).await {
                Err(ControllerError::Engine(_) | ControllerError::NodeNotConnected(_)) => {}
                checked => checked?,
            }
        }
        Ok(())
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
                let mut gone = unresolved((&revision.service).into(), "", (reference, pull), error)?;
                gone.reference = format!("{} @ {}", gone.reference, revision.image.short());
                Err(ControllerError::ImageGone { revision: revision.number, gone: Box::new(gone) })
            }
        }
    }
}

/// An image of which a document's containers could not run anything.
fn nothing_to_run(
    document: &ApplyDocument,
    merged: &Merged,
    image: &ResolvedImage,
) -> Option<UnresolvedImage> {
    let process = ContainerProcess::of(merged.spec.as_service()?, &image.config);
    let error = process.check(&image.config).err()?;
    Some(UnresolvedImage {
        object: document.object(),
        origin: document.origin.clone(),
        reference: image.reference.clone(),
        why: error.to_string(),
    })
}

/// An unavailable Engine is an error of its own; any other is the image's.
fn unresolved(
    object: ObjectRef,
    origin: &str,
    (reference, pull): (&str, Pull),
    error: EngineError,
) -> Result<UnresolvedImage, ControllerError> {
    if error.is_away() {
        return Err(error.into());
    }
    let reference = with_default_tag(reference);
    Ok(UnresolvedImage { object, origin: origin.to_owned(), reference, why: why(&error, pull) })
}

/// Why the image cannot be resolved, without its name: the message names it before.
fn why(error: &EngineError, pull: Pull) -> String {
    // An image that may be on the Engine is only pulled once it is known not to be.
    let looked = if pull == Pull::IfMissing { "the Engine does not have it, and " } else { "" };
    match error {
        EngineError::NotFound { .. } => "the Engine does not have it".to_owned(),
        EngineError::PullDenied { message, .. } => format!("{looked}the registry denied the pull: {message}"),
        EngineError::ImageUnknown { message, .. } => {
            format!("{looked}the registry does not have it: {message}")
        }
        EngineError::RegistryUnreachable { message, .. } => {
            format!("{looked}the registry cannot be reached: {message}")
        }
        other => other.to_string(),
    }
}
