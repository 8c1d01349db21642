//! What the line around a scalar says about it: a comment that cuts it, an anchor or a tag in the place of its text. Pure.

use super::disguise::{self, ScalarRole};
use super::quotes;
use crate::model::Problem;

/// Blocks of a spec whose values are free text: a `#` in one of them is as likely text as a comment.
const FREE_TEXT: [&str; 6] = [
    "metadata.annotations.",
    "spec.env.",
    "spec.labels.",
    "spec.command[",
    "spec.entrypoint[",
    "spec.health.exec[",
];

/// A scalar in its line.
pub(super) struct ScalarPlace<'a> {
    /// Path of the field. It is asked for only where there is something to say: a key may be long.
    pub(super) path: &'a dyn Fn() -> String,
    /// Its text, escapes resolved.
    pub(super) text: &'a str,
    pub(super) role: ScalarRole,
    /// What it is in the document, from its first byte to its last.
    pub(super) written: &'a str,
    /// The rest of its line.
    pub(super) rest: &'a str,
    /// The line of its key, or its own where it has none.
    pub(super) line: &'a str,
}

/// What a scalar's place says about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Remark {
    /// The manifest cannot mean this.
    Problem {
        problem: Problem,
        /// Bytes from the scalar's first to the character that is meant; `None` for the scalar as a whole.
        at: Option<usize>,
    },
    /// It is what YAML says, and perhaps not what was meant.
    Note(String),
}

pub(super) fn examine(place: &ScalarPlace<'_>) -> Option<Remark> {
    if let Some((c, problem)) = disguise::problem(place.text, place.role) {
        let problem = Problem { path: (place.path)(), ..problem };
        return Some(Remark::Problem { problem, at: place.written.find(c) });
    }
    if place.role != ScalarRole::Plain {
        return None;
    }
    // The parser gives `~` for a value that is not there.
    let is_absent = place.text.is_empty() || (place.text == "~" && place.written.is_empty());
    if is_absent {
        name_instead_of_text(place, '&').or_else(|| comment_instead_of_text(place))
    } else {
        cut_by_comment(place)
    }
}

/// An anchor or a tag where text was meant: `&x1`, `!important`.
pub(super) fn name_instead_of_text(place: &ScalarPlace<'_>, indicator: char) -> Option<Remark> {
    let found = quotes::find(place.line)?;
    let value = place.line.get(found.start..found.start + found.len)?;
    let problem = Problem::new((place.path)(), found.why).suggest(found.quoted);
    value.starts_with(indicator).then_some(Remark::Problem { problem, at: None })
}

/// A note on a text that has an anchor, for the case that no alias names it: `&x y` is `y`.
pub(super) fn unused_name(place: &ScalarPlace<'_>) -> Option<String> {
    let (_, value) = place.line.split_once(": &")?;
    let value = value.split(" #").next().unwrap_or(value).trim_end();
    let path = (place.path)();
    let text = place.text;
    (is_free_text(&path) && value.ends_with(text)).then(|| {
        format!(
            "`{path}` is `{text}`: `&` begins an anchor, which nothing refers to; if it belongs to the value, write {}",
            quotes::quoted(&format!("&{value}"))
        )
    })
}

fn comment_instead_of_text(place: &ScalarPlace<'_>) -> Option<Remark> {
    let (_, comment) = place.line.split_once(": #").filter(|(_, text)| is_text_of_comment(text))?;
    let message = "` #` begins a comment, so there is no value; put the value in quotes";
    let quoted = quotes::quoted(&format!("#{}", comment.trim_end()));
    let path = (place.path)();
    let is_free = is_free_text(&path);
    let problem = Problem::new(path, message).suggest(quoted);
    is_free.then_some(Remark::Problem { problem, at: None })
}

fn cut_by_comment(place: &ScalarPlace<'_>) -> Option<Remark> {
    let (_, comment) = place.rest.split_once(" #").filter(|(between, _)| between.trim().is_empty())?;
    if !is_text_of_comment(comment) || place.written.contains('\n') {
        return None;
    }
    let text = place.text;
    let path = Some((place.path)()).filter(|path| is_free_text(path))?;
    let whole = format!("{}{}", place.written, place.rest.trim_end());
    Some(Remark::Note(format!(
        "`{path}` is `{text}`: ` #` begins a comment; if it belongs to the value, write {}",
        quotes::quoted(&whole)
    )))
}

/// Comments mostly begin with a blank; `#fff` and `#1` are mostly text.
fn is_text_of_comment(comment: &str) -> bool {
    comment.starts_with(|c: char| !c.is_whitespace() && c != '#')
}

fn is_free_text(path: &str) -> bool {
    let path = match path.strip_prefix("items[").and_then(|rest| rest.split_once("].")) {
        Some((_, path)) => path,
        None => path,
    };
    FREE_TEXT.iter().any(|block| path.starts_with(block))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remark(path: &str, line: &str, text: &str) -> Option<String> {
        let start = if text.is_empty() { line.len() } else { line.find(text).unwrap() };
        let place = ScalarPlace {
            path: &|| path.to_owned(),
            text,
            role: ScalarRole::Plain,
            written: text,
            rest: &line[start + text.len()..],
            line,
        };
        Some(match examine(&place)? {
            Remark::Note(note) => note,
            Remark::Problem { problem, .. } => problem.suggestion.unwrap_or(problem.message),
        })
    }

    #[test]
    fn examine_notes_a_value_that_a_comment_cuts() {
        for (path, line, text, said) in [
            (
                "spec.env.A",
                "  A: abc #1",
                "abc",
                Some(
                    "`spec.env.A` is `abc`: ` #` begins a comment; if it belongs to the value, write 'abc #1'",
                ),
            ),
            ("spec.env.A", "  A: abc  # one", "abc", None),
            ("spec.env.A", "  A: abc ## one", "abc", None),
            ("spec.env.A", "  A: abc#1", "abc#1", None),
            ("spec.replicas", "  replicas: 3 #4", "3", None),
            ("spec.env.A", "  A: #fff", "", Some("'#fff'")),
            ("items[0].spec.env.A", "  A: #fff", "", Some("'#fff'")),
            ("spec.env.A", "  A: # later", "", None),
            ("spec.replicas", "  replicas: #3", "", None),
        ] {
            assert_eq!(remark(path, line, text).as_deref(), said, "{line}");
        }
    }
}
