//! Problems with their place in the sources of a run. Pure.

use std::fmt;

use super::limits::LIMITS;
use super::source::{ManifestSource, Span};
use crate::model::{Problem, escape_control};

/// Longest message in characters: a message may quote what the file says, and that may be a mebibyte.
const MESSAGE_MAX: usize = 400;

/// A stretch of one of the sources of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePlace {
    /// Index into the sources of the run: its bytes are the text that `span` counts in.
    pub source: usize,
    /// Name of the source.
    pub file: String,
    pub span: Span,
}

impl fmt::Display for SourcePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.span.line, self.span.column)
    }
}

/// A problem of the sources of a run. Its texts have no control characters, whatever the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub place: SourcePlace,
    /// The field's path is in the long form; it is empty if the text is not a document at all.
    pub problem: Problem,
    /// The other side of a conflict, with a label.
    pub related: Option<(SourcePlace, String)>,
}

impl Finding {
    /// A problem at a place.
    pub(super) fn new(place: SourcePlace, problem: Problem) -> Self {
        // A suggestion that cannot be shown as it is would be a wrong one.
        let suggestion = problem.suggestion.filter(|text| shown(text) == *text);
        let problem = Problem { path: shown(&problem.path), message: shown(&problem.message), suggestion };
        Self { place, problem, related: None }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.problem.path.is_empty() {
            write!(f, "{}: ", self.problem.path)?;
        }
        write!(f, "{}", self.problem.message)?;
        if let Some((place, label)) = &self.related {
            write!(f, " ({label} {place})")?;
        }
        if let Some(suggestion) = &self.problem.suggestion {
            write!(f, "; write `{suggestion}`")?;
        }
        Ok(())
    }
}

/// Safe for a terminal, and long text cut.
fn shown(text: &str) -> String {
    let mut out = escape_control(&text.chars().take(MESSAGE_MAX).collect::<String>());
    if text.chars().nth(MESSAGE_MAX).is_some() {
        out.push('…');
    }
    out
}

/// The findings of a run so far.
pub(super) struct Findings<'s> {
    sources: &'s [ManifestSource],
    list: Vec<Finding>,
}

impl<'s> Findings<'s> {
    pub(super) fn of(sources: &'s [ManifestSource]) -> Self {
        Self { sources, list: Vec::new() }
    }

    /// A place in a source of this run.
    pub(super) fn place(&self, source: usize, span: Span) -> SourcePlace {
        let file = self.sources.get(source).map(|s| s.name.clone()).unwrap_or_default();
        SourcePlace { source, file, span }
    }

    pub(super) fn add(&mut self, source: usize, span: Span, problem: Problem) {
        let place = self.place(source, span);
        self.push(Finding::new(place, problem));
    }

    pub(super) fn push(&mut self, finding: Finding) {
        if !self.full() {
            self.list.push(finding);
        }
    }

    /// Whether the limit is reached. More findings would help no one.
    pub(super) fn full(&self) -> bool {
        self.list.len() >= LIMITS.findings
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// All, in the order of the text; `None` where there is none.
    pub(super) fn into_sorted(mut self) -> Option<Vec<Finding>> {
        let full = self.full();
        self.list.sort_by_key(|f| (f.place.source, f.place.span.offset));
        if full && let Some(last) = self.list.last_mut() {
            last.problem.message += &format!(" (only the first {} problems are listed)", LIMITS.findings);
        }
        if self.list.is_empty() { None } else { Some(self.list) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_has_no_control_characters_and_long_text_is_cut() {
        assert_eq!(shown("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(shown(&"x".repeat(500)).chars().count(), MESSAGE_MAX + 1);
    }
}
