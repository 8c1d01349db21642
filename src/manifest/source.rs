//! The text that a run reads, positions in it, and what is refused before any YAML is parsed.

use std::path::Path;

use super::finding::Findings;
use super::limits::LIMITS;
use crate::model::Problem;

/// A named text: a file, or standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Name that messages show, such as `manifests/hello.yaml`.
    pub name: String,
    /// The text as read. What is not UTF-8 is a finding.
    pub bytes: Vec<u8>,
}

impl Source {
    /// A text under a name.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

/// What a manifest in a directory is called; everything else there is left alone.
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
    fn at(bytes: &[u8], offset: usize) -> Self {
        let before = bytes.get(..offset).unwrap_or(bytes);
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        // Bytes that continue a character of UTF-8 have the form 10xxxxxx.
        let column = 1 + before[line_start..].iter().filter(|b| **b & 0xC0 != 0x80).count();
        Self { offset, len: 0, line, column }
    }
}

/// The text of a source and how many bytes (of a byte order mark) stand before it, or a finding.
pub(super) fn decode<'s>(
    source: &'s Source,
    index: usize,
    findings: &mut Findings,
) -> Option<(&'s str, usize)> {
    let bytes = source.bytes.as_slice();
    let mut refuse = |offset: usize, message: &str| {
        findings.add(index, Span::at(bytes, offset), Problem::new("", message));
        None
    };
    if bytes.starts_with(&[0xFE, 0xFF]) || bytes.starts_with(&[0xFF, 0xFE]) {
        return refuse(0, "the text is UTF-16; manifests are UTF-8");
    }
    if let Some(offset) = bytes.iter().position(|b| *b == 0) {
        return refuse(offset, "the text contains NUL; manifests are UTF-8 text");
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let body = text.strip_prefix('\u{feff}').unwrap_or(text);
            Some((body, text.len() - body.len()))
        }
        Err(error) => refuse(error.valid_up_to(), "the text is not UTF-8 from here on"),
    }
}

/// Whether all sources together are small enough to be read at all.
pub(super) fn check_run_size(sources: &[Source], findings: &mut Findings) -> bool {
    let mut total = 0usize;
    for (index, source) in sources.iter().enumerate() {
        total = total.saturating_add(source.bytes.len());
        if total > LIMITS.run {
            let message =
                format!("the run has more than the {} MiB allowed for all its files", LIMITS.run >> 20);
            findings.add(index, Span::START, Problem::new("", message));
            return false;
        }
    }
    true
}
