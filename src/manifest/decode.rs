//! Refuses, before any YAML is parsed, text that is not UTF-8 and runs that are too large. Pure.

use super::finding::Findings;
use super::limits::LIMITS;
use super::source::{ManifestSource, Span};
use crate::model::Problem;

/// The text of a source and the bytes of the byte order mark before it, or a finding.
pub(super) fn decode<'s>(
    source: &'s ManifestSource,
    index: usize,
    findings: &mut Findings,
) -> Option<(&'s str, usize)> {
    let bytes = source.bytes.as_slice();
    let mut refuse = |offset: usize, message: &str| {
        findings.add(index, Span::at(bytes, offset), Problem::new("", message));
        None
    };
    if bytes.starts_with(&[0xFE, 0xFF]) || bytes.starts_with(&[0xFF, 0xFE]) {
        return refuse(0, "the text is UTF-16; save it as UTF-8");
    }
    if let Some(offset) = bytes.iter().position(|b| *b == 0) {
        return refuse(offset, "the text contains a NUL byte; expected UTF-8");
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let body = text.strip_prefix('\u{feff}').unwrap_or(text);
            Some((body, text.len() - body.len()))
        }
        Err(error) => refuse(error.valid_up_to(), "invalid UTF-8"),
    }
}

/// Whether all sources together are small enough to be read.
pub(super) fn check_run_size(sources: &[ManifestSource], findings: &mut Findings) -> bool {
    let mut total = 0usize;
    for (index, source) in sources.iter().enumerate() {
        total = total.saturating_add(source.bytes.len());
        if total > LIMITS.run {
            let message =
                format!("the files have more than {} MiB together; apply fewer at a time", LIMITS.run >> 20);
            findings.add(index, Span::START, Problem::new("", message));
            return false;
        }
    }
    true
}
