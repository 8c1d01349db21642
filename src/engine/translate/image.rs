//! Images. Pure.

use bollard::models::ImageInspect;

use crate::engine::ImageInfo;

/// `None` if the response has no id.
pub(in crate::engine) fn image(image: ImageInspect) -> Option<ImageInfo> {
    Some(ImageInfo {
        id: image.id?,
        digests: image.repo_digests.unwrap_or_default(),
        tags: image.repo_tags.unwrap_or_default(),
    })
}
