//! Image references by Docker's rules: `[registry/]path[:tag][@digest]`. Pure.
//!
//! `redis`, `library/redis` and `index.docker.io/library/redis` name one repository, which is parsed to `docker.io` and
//! `library/redis` and shown in Docker's short form, `redis`: the Engine lists images in it.
//! Deliberately absent: registries with an IPv6 address.
//!
//! No crate fits: `oci-spec` 0.10 gives every reference without a version the tag `latest`, where `rollout --image v2` and a
//! comparison of manifests need to know that there was none, and says of every malformed one only that it is; `docker-image` 0.2
//! is under the EUPL, and `docker-image-reference` is still at 0.1.

use std::fmt;

/// Docker Hub, the registry of references that name none.
pub const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_OLD: &str = "index.docker.io";
/// Docker Hub's repositories without a user.
const OFFICIAL: &str = "library/";
const DEFAULT_TAG: &str = "latest";
const NAME_MAX: usize = 255;
const TAG_MAX: usize = 128;

/// An image reference in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    /// `docker.io`, `localhost:5000`
    pub registry: String,
    /// `library/redis`
    pub path: String,
    /// `v1`
    pub tag: Option<String>,
    /// `sha256:…`
    pub digest: Option<String>,
}

/// Why a text is not an image reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImageReferenceError {
    #[error("the repository is missing")]
    NoRepository,
    #[error("the repository has more than {NAME_MAX} characters")]
    LongRepository,
    #[error("the repository must be in lower case")]
    UpperCase,
    #[error(
        "a repository has lower-case letters, digits and, between them, `.`, `_`, `__` or hyphens, in parts separated by `/`"
    )]
    Repository,
    #[error("the registry is not a host name or `host:port`")]
    Registry,
    #[error(
        "a tag has at most {TAG_MAX} letters, digits, `_`, `.` and `-`, and starts with neither `.` nor `-`"
    )]
    Tag,
    #[error("a digest is `sha256:` and 64 hex digits, or its like with `sha384` and `sha512`")]
    Digest,
    #[error("this is an image id without its prefix `sha256:`")]
    BareId,
}

impl ImageReference {
    /// Parses a reference. An image id is a repository named `sha256` here: ask [`is_image_id`] first.
    pub fn parse(text: &str) -> Result<Self, ImageReferenceError> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        if name.len() == 64 && is_hex(name) {
            return Err(ImageReferenceError::BareId);
        }
        let (registry, path) = split_registry(name);
        check_registry(registry)?;
        check_path(path)?;
        tag.map_or(Ok(()), check_tag)?;
        digest.map_or(Ok(()), check_digest)?;
        let is_official = registry == DOCKER_HUB && !path.contains('/');
        let path = if is_official { format!("{OFFICIAL}{path}") } else { path.to_owned() };
        if path.len() > NAME_MAX {
            return Err(ImageReferenceError::LongRepository);
        }
        Ok(Self {
            registry: registry.to_owned(),
            path,
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }

    /// Registry and path in Docker's short form: `redis`, `acme/users`, `ghcr.io/acme/users`.
    pub fn repository(&self) -> String {
        if self.registry == DOCKER_HUB {
            let path = self.path.strip_prefix(OFFICIAL).filter(|path| !path.contains('/'));
            return path.unwrap_or(&self.path).to_owned();
        }
        format!("{}/{}", self.registry, self.path)
    }

    /// Whether another reference is in the same repository.
    pub fn is_in_repository_of(&self, other: &Self) -> bool {
        self.registry == other.registry && self.path == other.path
    }

    /// Adds the tag `latest` to a reference without tag and digest, as Docker does.
    #[must_use]
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.to_owned());
        }
        self
    }
}

/// In Docker's short form.
impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// The first part of a name is a registry if it cannot be a part of a repository, or is `localhost`.
fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((DOCKER_HUB_OLD, path)) => (DOCKER_HUB, path),
        Some((first, path)) if is_registry(first) => (first, path),
        _ => (DOCKER_HUB, name),
    }
}

fn is_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.contains(|c: char| c.is_ascii_uppercase())
}

fn check_registry(registry: &str) -> Result<(), ImageReferenceError> {
    let (host, port) = registry.split_once(':').unwrap_or((registry, "0"));
    let is_label = |label: &str| {
        let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !label.is_empty() && label.chars().all(is_inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_number = !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
    if host.split('.').all(is_label) && is_number { Ok(()) } else { Err(ImageReferenceError::Registry) }
}

fn check_path(path: &str) -> Result<(), ImageReferenceError> {
    if path.is_empty() {
        return Err(ImageReferenceError::NoRepository);
    }
    if path.contains(|c: char| c.is_ascii_uppercase()) {
        return Err(ImageReferenceError::UpperCase);
    }
    if path.split('/').all(is_path_component) { Ok(()) } else { Err(ImageReferenceError::Repository) }
}

/// Runs of letters and digits, separated by one `.`, one or two `_`, or any number of hyphens.
fn is_path_component(component: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_separator =
        |text: &str| matches!(text, "." | "_" | "__") || (!text.is_empty() && text.chars().all(|c| c == '-'));
    component.starts_with(is_alphanumeric)
        && component.ends_with(is_alphanumeric)
        && component.split(is_alphanumeric).all(|text| text.is_empty() || is_separator(text))
}

fn check_tag(tag: &str) -> Result<(), ImageReferenceError> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_inner = |c: char| is_word(c) || matches!(c, '.' | '-');
    let is_tag = tag.len() <= TAG_MAX && tag.starts_with(is_word) && tag.chars().all(is_inner);
    if is_tag { Ok(()) } else { Err(ImageReferenceError::Tag) }
}

fn check_digest(digest: &str) -> Result<(), ImageReferenceError> {
    let length = |algorithm: &str| match algorithm {
        "sha256" => Some(64),
        "sha384" => Some(96),
        "sha512" => Some(128),
        _ => None,
    };
    match digest.split_once(':') {
        Some((algorithm, hex)) if length(algorithm) == Some(hex.len()) && is_hex(hex) => Ok(()),
        _ => Err(ImageReferenceError::Digest),
    }
}

fn is_hex(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
}

/// Whether the text is the id of an image (`sha256:…`), which no registry knows.
pub fn is_image_id(text: &str) -> bool {
    text.starts_with("sha256:")
}

/// Refuses a text that is neither an image reference nor an image id.
pub fn check_image(text: &str) -> Result<(), ImageReferenceError> {
    if is_image_id(text) { Ok(()) } else { ImageReference::parse(text).map(|_| ()) }
}

/// Adds `latest` to a reference without tag and digest; everything else stays as written.
pub fn with_default_tag(text: &str) -> String {
    match ImageReference::parse(text) {
        Ok(ImageReference { tag: None, digest: None, .. }) => format!("{text}:{DEFAULT_TAG}"),
        _ => text.to_owned(),
    }
}

/// Whether a reference follows what is newest in its repository: it has the tag `latest`, or no tag and no digest.
pub fn is_latest(text: &str) -> bool {
    let tag =
        ImageReference::parse(text).map(ImageReference::or_latest).map(|image| (image.tag, image.digest));
    matches!(tag, Ok((Some(tag), None)) if tag == DEFAULT_TAG)
}

/// Whether a tag decides which image a text means: it has no digest and is no image id.
pub fn follows_a_tag(text: &str) -> bool {
    !is_image_id(text) && ImageReference::parse(text).is_ok_and(|image| image.digest.is_none())
}

/// Whether two texts name the same image: `redis` and `docker.io/library/redis:latest` do.
pub fn is_same_image(a: &str, b: &str) -> bool {
    match (ImageReference::parse(a), ImageReference::parse(b)) {
        (Ok(a), Ok(b)) => a.or_latest() == b.or_latest(),
        _ => a == b,
    }
}

/// What `ctl rollout users --image X` means: a value without `/`, `:` or `@` is a tag of the current repository, anything
/// else is a full reference.
pub fn with_image(current: &str, asked: &str) -> String {
    match ImageReference::parse(current) {
        Ok(reference) if !asked.contains(['/', ':', '@']) && !is_image_id(current) => {
            format!("{}:{asked}", reference.repository())
        }
        _ => asked.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn parse(text: &str) -> ImageReference {
        ImageReference::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn parse_splits_registry_path_tag_and_digest() {
        let pinned = format!("hello@{DIGEST}");
        let tagged = format!("localhost:5000/acme/hello:v1@{DIGEST}");
        for (text, registry, path, tag, digest) in [
            ("hello", "docker.io", "library/hello", None, None),
            ("hello:v1", "docker.io", "library/hello", Some("v1"), None),
            ("acme/hello:v1", "docker.io", "acme/hello", Some("v1"), None),
            (&pinned, "docker.io", "library/hello", None, Some(DIGEST)),
            ("localhost/hello", "localhost", "hello", None, None),
            ("localhost:5000/hello", "localhost:5000", "hello", None, None),
            (&tagged, "localhost:5000", "acme/hello", Some("v1"), Some(DIGEST)),
            ("ghcr.io/a/b/c", "ghcr.io", "a/b/c", None, None),
            ("GHCR/hello", "GHCR", "hello", None, None),
        ] {
            let expected = ImageReference {
                registry: registry.to_owned(),
                path: path.to_owned(),
                tag: tag.map(str::to_owned),
                digest: digest.map(str::to_owned),
            };
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn parse_takes_all_spellings_of_a_hub_repository_for_one() {
        for text in ["redis:7", "library/redis:7", "docker.io/redis:7", "index.docker.io/library/redis:7"] {
            assert_eq!(parse(text), parse("docker.io/library/redis:7"), "{text}");
            assert_eq!(parse(text).to_string(), "redis:7", "{text}");
        }
        assert_eq!(parse("docker.io/acme/users").to_string(), "acme/users");
        assert_ne!(parse("localhost/redis"), parse("redis"));
    }

    #[test]
    fn parse_refuses_what_docker_refuses() {
        use ImageReferenceError as E;
        for (text, error) in [
            ("", E::NoRepository),
            ("ghcr.io/", E::NoRepository),
            (":v1", E::NoRepository),
            ("Redis", E::UpperCase),
            ("ghcr.io/Acme/users", E::UpperCase),
            ("red is", E::Repository),
            ("-redis", E::Repository),
            ("re..dis", E::Repository),
            ("re___dis", E::Repository),
            ("acme//redis", E::Repository),
            ("acme/../redis", E::Repository),
            ("réd", E::Repository),
            ("http://ghcr.io/users", E::Registry),
            ("ghcr.io:port/users", E::Registry),
            ("-ghcr.io/users", E::Registry),
            ("redis:", E::Tag),
            ("redis:.7", E::Tag),
            ("redis:7 ", E::Tag),
            ("redis@7", E::Digest),
            ("redis@sha256:aa", E::Digest),
            ("redis@", E::Digest),
            (&DIGEST["sha256:".len()..], E::BareId),
        ] {
            assert_eq!(ImageReference::parse(text), Err(error), "{text}");
        }
        let long = "x".repeat(NAME_MAX + 1);
        assert_eq!(ImageReference::parse(&long), Err(E::LongRepository));
        for text in ["a--b", "a__b/c.d", "a-b_c.d:V1.0_x-y"] {
            assert!(ImageReference::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn with_default_tag_adds_latest_where_no_version_is_named() {
        let pinned = format!("hello@{DIGEST}");
        for (written, full) in [
            ("hello", "hello:latest"),
            ("hello:v1", "hello:v1"),
            ("docker.io/library/hello", "docker.io/library/hello:latest"),
            ("localhost:5000/hello", "localhost:5000/hello:latest"),
            ("localhost:5000/hello:v1", "localhost:5000/hello:v1"),
            (&pinned, &pinned),
            ("sha256:aa", "sha256:aa"),
            ("Hello", "Hello"),
        ] {
            assert_eq!(with_default_tag(written), full);
        }
    }

    #[test]
    fn is_latest_and_follows_a_tag_look_at_tag_and_digest() {
        let pinned = format!("redis:latest@{DIGEST}");
        for (text, latest, tagged) in [
            ("redis", true, true),
            ("redis:latest", true, true),
            ("localhost:5000/redis", true, true),
            ("redis:7", false, true),
            (&pinned, false, false),
            (DIGEST, false, false),
            ("Not Valid", false, false),
        ] {
            assert_eq!((is_latest(text), follows_a_tag(text)), (latest, tagged), "{text}");
        }
    }

    #[test]
    fn is_same_image_compares_what_docker_would_pull() {
        assert!(is_same_image("redis", "docker.io/library/redis:latest"));
        assert!(!is_same_image("redis", "redis:7"));
        assert!(!is_same_image("redis", "ghcr.io/redis"));
        assert!(is_same_image("Not Valid", "Not Valid"));
    }

    #[test]
    fn with_image_takes_a_plain_word_as_a_tag_of_the_repository() {
        let pinned = format!("ghcr.io/acme/users:1@{DIGEST}");
        for (current, asked, image) in [
            ("users:1", "v2", "users:v2"),
            ("localhost:5000/users", "v2", "localhost:5000/users:v2"),
            (&pinned, "2", "ghcr.io/acme/users:2"),
            ("users:1", "other:v2", "other:v2"),
            ("users:1", "acme/users", "acme/users"),
            ("users:1", "users@sha256:bb", "users@sha256:bb"),
            (DIGEST, "v2", "v2"),
        ] {
            assert_eq!(with_image(current, asked), image);
        }
    }
}
