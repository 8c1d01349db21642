//! The images of the fake, and those of its registry.

use std::collections::{BTreeMap, BTreeSet};

use super::behaviour::Behaviour;
use crate::engine::{EngineError, EngineObject, ImageInfo};
use crate::model::image_reference::ImageReference;
use crate::model::sha256_hex;

#[derive(Debug, Clone)]
struct Image {
    digests: BTreeSet<String>,
    tags: BTreeSet<String>,
    behaviour: Behaviour,
}

/// What the registry has under a reference.
#[derive(Debug, Clone)]
enum Remote {
    Has { digest: String, behaviour: Box<Behaviour> },
    Fails(EngineError),
}

/// Local images and the registry's. References are compared in Docker's short form.
#[derive(Debug, Default)]
pub(super) struct Images {
    /// By image id.
    local: BTreeMap<String, Image>,
    /// By reference, tagged or by digest.
    remote: BTreeMap<String, Remote>,
    /// Images ever made: two builds of one tag get different ids.
    made: u64,
}

impl Images {
    fn find(&self, reference: &str) -> Option<(&String, &Image)> {
        let wanted = short(reference);
        let has = |id: &String, image: &Image| {
            *id == reference || image.tags.contains(&wanted) || image.digests.contains(&wanted)
        };
        self.local.iter().find(|(id, image)| has(id, image))
    }

    fn info(id: &str, image: &Image) -> ImageInfo {
        ImageInfo {
            id: id.to_owned(),
            digests: image.digests.iter().cloned().collect(),
            tags: image.tags.iter().cloned().collect(),
            config: image.behaviour.config.clone(),
        }
    }

    pub(super) fn get(&self, reference: &str) -> Result<ImageInfo, EngineError> {
        let found = self.find(reference).map(|(id, image)| Self::info(id, image));
        found.ok_or_else(|| EngineError::NotFound { what: EngineObject::Image, name: reference.to_owned() })
    }

    /// Id and behaviour of the image that a container would be created from.
    pub(super) fn behaviour(&self, reference: &str) -> Option<(String, Behaviour)> {
        self.find(reference).map(|(id, image)| (id.clone(), image.behaviour.clone()))
    }

    /// Moves a tag to this image.
    fn move_tag(&mut self, id: &str, tag: String) {
        for image in self.local.values_mut() {
            image.tags.remove(&tag);
        }
        if let Some(image) = self.local.get_mut(id) {
            image.tags.insert(tag);
        }
    }

    /// Builds an image that no registry has.
    pub(super) fn build(&mut self, tag: &str, behaviour: Behaviour) -> ImageInfo {
        self.made += 1;
        let id = format!("sha256:{}", hex_id(&format!("image {} {}", self.made, short(tag))));
        let image = Image { digests: BTreeSet::new(), tags: BTreeSet::new(), behaviour };
        self.local.insert(id.clone(), image.clone());
        self.move_tag(&id, short(tag));
        Self::info(&id, self.local.get(&id).unwrap_or(&image))
    }

    /// Pushes an image to the registry under a tag; returns its digest reference, which also names it.
    pub(super) fn publish(&mut self, tag: &str, behaviour: Behaviour) -> String {
        self.made += 1;
        let digest = hex_id(&format!("manifest {} {}", self.made, short(tag)));
        let repository = ImageReference::parse(tag).map_or(tag.to_owned(), |tag| tag.repository());
        let digest = format!("{repository}@sha256:{digest}");
        let remote = Remote::Has { digest: digest.clone(), behaviour: Box::new(behaviour) };
        self.remote.insert(digest.clone(), remote.clone());
        self.remote.insert(short(tag), remote);
        digest
    }

    pub(super) fn fail_pull(&mut self, reference: &str, error: EngineError) {
        self.remote.insert(short(reference), Remote::Fails(error));
    }

    pub(super) fn pull(&mut self, reference: &str) -> Result<(), EngineError> {
        let (digest, behaviour) = match self.remote.get(&short(reference)) {
            Some(Remote::Has { digest, behaviour }) => (digest.clone(), Behaviour::clone(behaviour)),
            Some(Remote::Fails(error)) => return Err(error.clone()),
            None => {
                let message = "manifest unknown".to_owned();
                return Err(EngineError::ImageUnknown { image: reference.to_owned(), message });
            }
        };
        let id = format!("sha256:{}", hex_id(&format!("config of {digest}")));
        let image = self.local.entry(id.clone()).or_insert_with(|| Image {
            digests: BTreeSet::new(),
            tags: BTreeSet::new(),
            behaviour,
        });
        image.digests.insert(digest);
        if !reference.contains('@') {
            self.move_tag(&id, short(reference));
        }
        Ok(())
    }

    pub(super) fn tag(&mut self, image: &str, tag: &str) -> Result<(), EngineError> {
        let id = self.get(image)?.id;
        self.move_tag(&id, short(tag));
        Ok(())
    }

    /// Removes a tag, and with its last tag the image; false if there was no such tag.
    pub(super) fn untag(&mut self, tag: &str, used: impl Fn(&str) -> bool) -> Result<bool, EngineError> {
        let tag = short(tag);
        let Some((id, image)) = self.local.iter_mut().find(|(_, image)| image.tags.contains(&tag)) else {
            return Ok(false);
        };
        let is_last = image.tags.len() == 1;
        if is_last && used(id) {
            let message = format!("{tag} is the last tag of an image that a container uses");
            return Err(EngineError::Conflict { message });
        }
        image.tags.remove(&tag);
        if is_last {
            let id = id.clone();
            self.local.remove(&id);
        }
        Ok(true)
    }

    /// Removes an image by hand.
    pub(super) fn remove(&mut self, reference: &str) {
        if let Some(id) = self.find(reference).map(|(id, _)| id.clone()) {
            self.local.remove(&id);
        }
    }
}

/// What the Engine lists a reference as: in short form, with `latest` or, if there is a digest, without tag.
fn short(reference: &str) -> String {
    match ImageReference::parse(reference) {
        Ok(parsed) if parsed.digest.is_some() => ImageReference { tag: None, ..parsed }.to_string(),
        Ok(parsed) => parsed.or_latest().to_string(),
        Err(_) => reference.to_owned(),
    }
}

/// A hash of the text in hex: an id that is the same in every run.
pub(super) fn hex_id(text: &str) -> String {
    sha256_hex(text.as_bytes())
}
