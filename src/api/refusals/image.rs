//! The errors for images that cannot be used. Pure.

use std::collections::BTreeSet;

use crate::api::codes;
use crate::api::types::ErrorDetail;
use crate::controller::UnresolvedImage;
use crate::model::RevisionNumber;

/// An error suggests one or two commands.
const NEXT_MAX: usize = 2;

pub(super) fn unresolved(images: &[UnresolvedImage]) -> ErrorDetail {
    let what = match images {
        [image] => format!("cannot resolve image {} of service {}", image.reference, image.object.name),
        images => format!("cannot resolve {} images", images.len()),
    };
    // A single image is named by the first line already.
    let line = |i: &UnresolvedImage| match images {
        [_] => format!("{}: {}", i.origin, i.why),
        _ => format!("{} ({}): {}: {}", i.object.name, i.origin, i.reference, i.why),
    };
    let references: BTreeSet<&str> = images.iter().map(|image| image.reference.as_str()).collect();
    let pulls = references.iter().take(NEXT_MAX).map(|reference| format!("docker pull {reference}"));
    ErrorDetail {
        why: images.iter().map(line).collect(),
        next: pulls.collect(),
        ..codes::IMAGE_UNRESOLVED.detail(what)
    }
}

pub(super) fn nothing_to_run(images: &[UnresolvedImage]) -> ErrorDetail {
    let line = |i: &UnresolvedImage| format!("{} ({}): {}: {}", i.object.name, i.origin, i.reference, i.why);
    let what = match images {
        [image] => format!("service {} has nothing to run", image.object.name),
        images => format!("{} services have nothing to run", images.len()),
    };
    ErrorDetail {
        why: images.iter().map(line).collect(),
        next: vec!["ctl explain service.spec.command".to_owned()],
        ..codes::INVALID_MANIFEST.detail(what)
    }
}

pub(super) fn image_gone(revision: RevisionNumber, gone: &UnresolvedImage) -> ErrorDetail {
    let name = &gone.object.name;
    let what = format!("the image of revision {revision} of {name} no longer exists");
    let why = vec![format!("{}: {}", gone.reference, gone.why)];
    ErrorDetail { why, next: vec![format!("ctl history {name}")], ..codes::IMAGE_GONE.detail(what) }
}
