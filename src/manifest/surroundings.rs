//! What the text around an event says: a scalar that cannot mean what it says, a tag, the place of a syntax error. Pure.

use std::ops::Range;

use granit_parser::{ScalarStyle, ScanError, Tag};

use super::collections::{OpenCollection, path_of};
use super::disguise::ScalarRole;
use super::events::{Fatal, NOTES_MAX, TreeBuilder};
use super::scalars::{Remark, ScalarPlace, examine, name_instead_of_text};
use super::source::Span;
use super::syntax::{self, line_at};
use crate::model::Problem;

/// Longest list or map in brackets that is kept as it was written, in bytes.
const WRITTEN_MAX: usize = 200;

impl TreeBuilder<'_> {
    /// Whether the tag makes a scalar text; any other tag than `!!str` is a problem.
    pub(super) fn check_tag(&mut self, tag: Option<&Tag>, span: Span) -> bool {
        let Some(tag) = tag else { return false };
        let is_text = tag.is_yaml_core_schema_tag("str");
        if !is_text {
            let local = |place: &ScalarPlace<'_>| name_instead_of_text(place, '!');
            let is_local = !tag.original().starts_with("!!");
            let in_place_of_text = if is_local { self.place("", ScalarRole::Plain, local) } else { None };
            let message = format!("unsupported tag `{}`; only `!!str` is allowed", tag.original());
            let problem = match in_place_of_text {
                Some(Remark::Problem { problem, .. }) => Problem { message, ..problem },
                _ => Problem::new("", message),
            };
            self.problems.push((span, problem));
        }
        is_text
    }

    /// Reports what the place of a scalar says about it; `false` if it cannot mean what it says.
    pub(super) fn check_scalar(&mut self, text: &str, style: ScalarStyle, span: Span) -> bool {
        let role = match style {
            _ if self.open.last().is_some_and(OpenCollection::wants_key) => ScalarRole::Key,
            ScalarStyle::Plain => ScalarRole::Plain,
            _ => ScalarRole::Quoted,
        };
        match self.place(text, role, examine) {
            None => true,
            Some(Remark::Note(note)) => {
                if self.notes.len() < NOTES_MAX {
                    self.notes.push(format!("line {}: {note}", span.line));
                }
                true
            }
            Some(Remark::Problem { problem, at }) => {
                let from = self.at.start;
                let before = at.and_then(|at| self.chunk.text.get(from..from + at));
                let span = match before.filter(|before| !before.contains('\n')) {
                    Some(before) => Span {
                        offset: span.offset + before.len(),
                        len: 0,
                        column: span.column + before.chars().count(),
                        ..span
                    },
                    None => span,
                };
                self.problems.push((span, problem));
                false
            }
        }
    }

    /// Calls `ask` with the scalar that is being read and its line.
    pub(super) fn place<T>(
        &self,
        text: &str,
        role: ScalarRole,
        ask: impl FnOnce(&ScalarPlace<'_>) -> T,
    ) -> T {
        let Range { start: from, end: to } = self.at;
        let key = self.open.last().and_then(OpenCollection::pending_key);
        let before = self.shift + self.chunk.offset;
        let (_, line) = line_at(self.chunk.text, key.map_or(from, |span| span.offset.saturating_sub(before)));
        let (start, own) = line_at(self.chunk.text, to);
        ask(&ScalarPlace {
            path: &|| path_of(&self.open),
            text,
            role,
            written: self.chunk.text.get(from..to).unwrap_or_default(),
            rest: own.get(to - start..).unwrap_or_default(),
            line,
        })
    }

    /// A list or map in brackets, if it is on one line.
    pub(super) fn written_from(&self, from: usize) -> Option<Box<str>> {
        let written = self.chunk.text.get(from..self.at.end).filter(|text| text.len() <= WRITTEN_MAX)?;
        (!written.contains('\n')).then(|| written.into())
    }

    pub(super) fn syntax(&self, error: &ScanError) -> Fatal {
        let found = syntax::problem(self.chunk, error, !self.anchors.is_empty());
        let bytes = self.chunk.text.as_bytes();
        let place = Span::at(bytes, found.offset);
        let span = Span {
            offset: self.shift + self.chunk.offset + found.offset,
            len: found.len,
            line: self.chunk.line + place.line - 1,
            column: place.column,
        };
        (span, found.problem)
    }
}
