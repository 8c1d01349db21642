//! From an image reference to what containers are made from.

use crate::engine::{Engine, EngineError};
use crate::model::{Pull, ResolvedImage};

/// The full reference for what a user wrote: a missing tag is `latest`, as Docker has it.
pub(crate) fn full_reference(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    let has_version = image.contains('@') || last.contains(':') || is_image_id(image);
    if has_version { image.to_owned() } else { format!("{image}:latest") }
}

/// What `ctl rollout users --image X` means: a value without `/`, `:` or `@` is a tag of the current repository, anything
/// else is a full reference.
pub(crate) fn with_image(current: &str, asked: &str) -> String {
    if asked.contains(['/', ':', '@']) {
        asked.to_owned()
    } else {
        format!("{}:{asked}", repository(current))
    }
}

/// The part of a reference before tag and digest.
fn repository(reference: &str) -> &str {
    let name = reference.split_once('@').map_or(reference, |(name, _)| name);
    match name.rfind(':') {
        Some(colon) if !name[colon..].contains('/') => &name[..colon],
        _ => name,
    }
}

fn is_image_id(image: &str) -> bool {
    image.starts_with("sha256:")
}

/// Resolves a reference on this Engine, pulling first where the policy says so. Pinned to the digest under which the
/// reference's own repository knows the image, or to the image id where no registry does.
pub(crate) async fn resolve(
    engine: &dyn Engine,
    image: &str,
    pull: Pull,
) -> Result<ResolvedImage, EngineError> {
    let reference = full_reference(image);
    if pull == Pull::Always && !is_image_id(image) {
        engine.pull(&reference).await?;
    }
    let found = match engine.image(&reference).await {
        Err(error) if error.is_not_found() && pull == Pull::IfMissing && !is_image_id(image) => {
            engine.pull(&reference).await?;
            engine.image(&reference).await?
        }
        other => other?,
    };
    let own =
        |digest: &&String| digest.split_once('@').is_some_and(|(name, _)| name == repository(&reference));
    let pinned = found.digests.iter().find(own).unwrap_or(&found.id).clone();
    Ok(ResolvedImage { reference, pinned })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tag_is_latest() {
        for (written, full) in [
            ("hello", "hello:latest"),
            ("hello:v1", "hello:v1"),
            ("localhost:5000/hello", "localhost:5000/hello:latest"),
            ("localhost:5000/hello:v1", "localhost:5000/hello:v1"),
            ("hello@sha256:aa", "hello@sha256:aa"),
            ("sha256:aa", "sha256:aa"),
        ] {
            assert_eq!(full_reference(written), full);
        }
    }

    #[test]
    fn a_plain_word_is_a_tag_of_the_repository() {
        for (current, asked, image) in [
            ("users:1", "v2", "users:v2"),
            ("localhost:5000/users", "v2", "localhost:5000/users:v2"),
            ("ghcr.io/acme/users:1@sha256:aa", "2", "ghcr.io/acme/users:2"),
            ("users:1", "other:v2", "other:v2"),
            ("users:1", "acme/users", "acme/users"),
            ("users:1", "users@sha256:bb", "users@sha256:bb"),
        ] {
            assert_eq!(with_image(current, asked), image);
        }
    }
}
