//! Errors of the YAML parser in the words of a user, with the line to write where one value explains them. Pure.

use granit_parser::{ErrorKind, ScanError};

use super::limits::LIMITS;
use super::split::Chunk;
use super::{disguise, quotes};
use crate::model::Problem;

/// A syntax error with the bytes of the chunk that it is about: where they begin, and how many they are.
pub(super) struct SyntaxProblem {
    pub(super) offset: usize,
    pub(super) len: usize,
    pub(super) problem: Problem,
}

/// `has_anchors` is whether the document has any: without one, no alias was meant.
pub(super) fn problem(chunk: &Chunk<'_>, error: &ScanError, has_anchors: bool) -> SyntaxProblem {
    let offset = error.marker().byte_offset().unwrap_or(0).min(chunk.text.len());
    let message = match error.kind() {
        ErrorKind::RecursionLimitExceeded => return at(offset, Problem::new("", too_deep())),
        ErrorKind::UnknownAnchor if has_anchors => {
            return at(offset, Problem::new("", "unknown anchor; text that begins with `*` needs quotes"));
        }
        ErrorKind::UnknownAnchor => "unknown anchor".to_owned(),
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInPlainScalar => "YAML does not allow a tab here; indent with spaces".to_owned(),
        _ => format!("invalid YAML: {}", error.info()),
    };
    let (start, line) = line_at(chunk.text, offset);
    if let Some(found) = quotes::find(line) {
        let problem = Problem::new("", found.why).suggest(found.quoted);
        return SyntaxProblem { offset: start + found.start, len: found.len, problem };
    }
    // The character that is the cause may be far above: a quote that was never closed ends at the end of the text.
    let read = chunk.text.get(..start + line.len()).unwrap_or(chunk.text);
    match disguise::hint(read, chunk.line) {
        Some(hint) => at(offset, Problem::new("", format!("{message}; {hint}"))),
        None => at(offset, Problem::new("", message)),
    }
}

/// Lists and maps are nested too deeply.
pub(super) fn too_deep() -> String {
    format!("lists and maps are nested more than {} levels deep", LIMITS.depth)
}

/// Most bytes before and after a place that are searched for the ends of its line: the text may be one line of a mebibyte,
/// and a line that is longer is no line to quote.
const REACH: usize = 400;

/// The line around a byte with the bytes before it; an empty one where the line is longer than can be quoted.
pub(super) fn line_at(text: &str, offset: usize) -> (usize, &str) {
    let bytes = text.as_bytes();
    let offset = offset.min(bytes.len());
    let from = offset.saturating_sub(REACH);
    let to = bytes.len().min(offset + REACH);
    let start = bytes[from..offset].iter().rposition(|byte| *byte == b'\n').map(|at| from + at + 1);
    let end = bytes[offset..to].iter().position(|byte| *byte == b'\n').map(|at| offset + at);
    let start = start.or((from == 0).then_some(0));
    let end = end.or((to == bytes.len()).then_some(to));
    match (start, end) {
        (Some(start), Some(end)) => {
            let line = text.get(start..end).unwrap_or_default();
            (start, line.strip_suffix('\r').unwrap_or(line))
        }
        _ => (offset, ""),
    }
}

fn at(offset: usize, problem: Problem) -> SyntaxProblem {
    SyntaxProblem { offset, len: 0, problem }
}
