//! Characters in the text of a manifest that look like a space, like nothing or like a quotation mark. Pure.
//!
//! In a key and in a plain value they are mistakes of copying, and refused. In a value within straight quotes, or in a block
//! of text, they are meant: fields for free text take them, and every other field refuses them where it reads the value.

use crate::model::{Lookalike, Problem, lookalike, lookalike_name};

/// What a scalar is, for the characters that it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScalarRole {
    Key,
    /// A value without quotes.
    Plain,
    /// A value in quotes, or a block of text.
    Quoted,
}

/// The first character that a scalar must not have, and the problem of it.
pub(super) fn problem(text: &str, role: ScalarRole) -> Option<(char, Problem)> {
    let c = match role {
        ScalarRole::Key => first(text)?,
        ScalarRole::Plain => first_of_plain(text)?,
        ScalarRole::Quoted => return None,
    };
    let name = lookalike_name(c)?;
    let problem = match (lookalike(c)?.0, role) {
        (_, ScalarRole::Key) => Problem::new("", format!("the key `{text}` contains a {name}")),
        (Lookalike::Invisible, _) => Problem::new(
            "",
            format!("the value contains a {name}; remove it, or put the value in quotes to keep it"),
        ),
        (Lookalike::Quote, _) => {
            let message = format!("a {name} does not quote a value; write a straight quote");
            let problem = Problem::new("", message);
            match inside_curly_quotes(text) {
                Some(inner) => problem.suggest(super::quotes::quoted(inner)),
                None => problem,
            }
        }
    };
    Some((c, problem))
}

/// The first character of these in a text.
pub(super) fn first(text: &str) -> Option<char> {
    text.chars().find(|c| lookalike(*c).is_some())
}

/// A sentence about the first of these characters outside comments, for a text that is no YAML because of it, perhaps.
pub(super) fn hint(text: &str, first_line: usize) -> Option<String> {
    for (n, line) in text.lines().enumerate() {
        let code = line.split(" #").next().unwrap_or_default();
        if code.trim_start().starts_with('#') {
            continue;
        }
        if let Some(name) = first(code).and_then(lookalike_name) {
            return Some(format!("line {} contains a {name}", first_line + n));
        }
    }
    None
}

/// In a plain value, curly quotes are text unless the value begins or ends with one, as `it’s` does not; joiners belong to
/// other scripts and to emoji.
fn first_of_plain(text: &str) -> Option<char> {
    let begins = text.chars().next().filter(|c| lookalike(*c).is_some());
    let ends = text.chars().next_back().filter(|c| lookalike(*c).is_some());
    begins.or(ends).or_else(|| {
        // Asked once: the text may be a mebibyte.
        let is_of_another_script = text.chars().any(|c| !c.is_ascii() && lookalike(c).is_none());
        text.chars().find(|c| is_out_of_place(*c, is_of_another_script))
    })
}

fn is_out_of_place(c: char, is_of_another_script: bool) -> bool {
    let is_joiner = matches!(c, '\u{200c}' | '\u{200d}');
    matches!(lookalike(c), Some((Lookalike::Invisible, _))) && !(is_joiner && is_of_another_script)
}

fn inside_curly_quotes(text: &str) -> Option<&str> {
    let is_quote = |c: char| matches!(lookalike(c), Some((Lookalike::Quote, _)));
    let inner = text.strip_prefix(is_quote)?.strip_suffix(is_quote)?;
    first(inner).is_none().then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_names_the_character_and_suggests_straight_quotes() {
        use ScalarRole::{Key, Plain, Quoted};
        for (text, role, message, suggested) in [
            ("image\u{a0}", Key, "contains a no-break space (U+00A0)", None),
            ("im\u{200b}age", Key, "contains a zero-width space (U+200B)", None),
            ("\u{201c}image\u{201d}", Key, "contains a curly double quote (`\u{201c}`, U+201C)", None),
            ("a\u{a0}b", Plain, "the value contains a no-break space (U+00A0)", None),
            ("\u{201c}debug\u{201d}", Plain, "a curly double quote (`\u{201c}`, U+201C)", Some("'debug'")),
            ("\u{2018}it's\u{2019}", Plain, "a curly single quote", Some("'it''s'")),
            ("\u{201c}debug", Plain, "a curly double quote", None),
            ("a\u{200d}b", Plain, "a zero-width joiner", None),
        ] {
            let (_, problem) = problem(text, role).unwrap_or_else(|| panic!("{text:?}"));
            assert!(problem.message.contains(message), "{text:?}: {}", problem.message);
            assert_eq!(problem.suggestion.as_deref(), suggested, "{text:?}");
        }
        for (text, role) in [
            ("a b", Plain),
            ("it\u{2019}s", Plain),
            ("👨\u{200d}👩", Plain),
            ("\u{201c}kept\u{201d}", Quoted),
            ("Zoë", Key),
        ] {
            assert_eq!(problem(text, role), None, "{text:?}");
        }
    }

    #[test]
    fn hint_names_the_first_line_outside_comments() {
        assert_eq!(hint("a: b\n# \u{a0}\nc: d # \u{a0}", 1), None);
        let text = "a: b\nc:\u{a0}d\n";
        assert_eq!(hint(text, 5).as_deref(), Some("line 6 contains a no-break space (U+00A0)"));
    }
}
