//! Image references as Docker writes them: `[registry/]repository[:tag][@digest]`. Pure.
//!
//! Parsing never fails: whether a reference is valid is for Docker to say.
//! Deliberately absent: Docker's long form (`docker.io/library/…`). The Engine lists images in the short one.

/// The parts of a reference, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageReference<'a> {
    /// With the registry, where one is named.
    pub repository: &'a str,
    /// `v1`
    pub tag: Option<&'a str>,
    /// `sha256:…`
    pub digest: Option<&'a str>,
}

impl<'a> ImageReference<'a> {
    /// Splits a reference into its parts. An image id is a repository named `sha256` to this: ask [`is_image_id`] first.
    pub fn parse(text: &'a str) -> Self {
        let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
        // A colon before the last slash belongs to the registry's port.
        match name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
            Some((repository, tag)) => Self { repository, tag: Some(tag), digest },
            None => Self { repository: name, tag: None, digest },
        }
    }
}

/// Whether the text is the id of an image (`sha256:…`), which no registry knows.
pub fn is_image_id(text: &str) -> bool {
    text.starts_with("sha256:")
}

/// Adds `latest` to a reference without tag and digest, as Docker does.
pub fn with_default_tag(text: &str) -> String {
    let ImageReference { tag, digest, .. } = ImageReference::parse(text);
    if tag.is_some() || digest.is_some() || is_image_id(text) {
        text.to_owned()
    } else {
        format!("{text}:latest")
    }
}

/// What `ctl rollout users --image X` means: a value without `/`, `:` or `@` is a tag of the current repository, anything
/// else is a full reference.
pub fn with_image(current: &str, asked: &str) -> String {
    if asked.contains(['/', ':', '@']) {
        asked.to_owned()
    } else {
        format!("{}:{asked}", ImageReference::parse(current).repository)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_splits_repository_tag_and_digest() {
        for (text, repository, tag, digest) in [
            ("hello", "hello", None, None),
            ("hello:v1", "hello", Some("v1"), None),
            ("hello@sha256:aa", "hello", None, Some("sha256:aa")),
            ("hello:v1@sha256:aa", "hello", Some("v1"), Some("sha256:aa")),
            ("localhost:5000/hello", "localhost:5000/hello", None, None),
            ("localhost:5000/acme/hello:v1", "localhost:5000/acme/hello", Some("v1"), None),
        ] {
            assert_eq!(ImageReference::parse(text), ImageReference { repository, tag, digest }, "{text}");
        }
    }

    #[test]
    fn with_default_tag_adds_latest_where_no_version_is_named() {
        for (written, full) in [
            ("hello", "hello:latest"),
            ("hello:v1", "hello:v1"),
            ("localhost:5000/hello", "localhost:5000/hello:latest"),
            ("localhost:5000/hello:v1", "localhost:5000/hello:v1"),
            ("hello@sha256:aa", "hello@sha256:aa"),
            ("sha256:aa", "sha256:aa"),
        ] {
            assert_eq!(with_default_tag(written), full);
        }
    }

    #[test]
    fn with_image_takes_a_plain_word_as_a_tag_of_the_repository() {
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
