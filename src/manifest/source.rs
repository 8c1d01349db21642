//! The texts that a run reads, and positions in them. Pure.

use std::path::Path;

/// A named text: a file, or standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestSource {
    /// Name that messages show, such as `manifests/hello.yaml`.
    pub name: String,
    /// The text as read. What is not UTF-8 is a finding.
    pub bytes: Vec<u8>,
}

impl ManifestSource {
    /// A text under a name.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

/// Extensions of manifests in a directory; other files there are ignored.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// Whether a file in a directory is a manifest, by its name.
pub fn is_manifest(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known))
}

/// A stretch of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Bytes before it.
    pub offset: usize,
    /// Its bytes; it ends on the line where it begins. 0 where only a position is known.
    pub len: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Span {
    /// Before the first character.
    pub(super) const START: Span = Span { offset: 0, len: 0, line: 1, column: 1 };

    /// The position of a byte.
    pub(super) fn at(bytes: &[u8], offset: usize) -> Self {
        let before = bytes.get(..offset).unwrap_or(bytes);
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        // Bytes that continue a character of UTF-8 have the form 10xxxxxx.
        let column = 1 + before[line_start..].iter().filter(|b| **b & 0xC0 != 0x80).count();
        Self { offset, len: 0, line, column }
    }
}
