//! Characters that look like nothing, like a space or like a quotation mark, and are none: text that was copied from a web
//! page or a document has them, and a name with one of them is another name. Pure.

/// How a character disguises itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookalike {
    /// It cannot be seen, or looks like a space.
    Invisible,
    /// It looks like a quotation mark.
    Quote,
}

/// What a character is mistaken for and its name; `None` for any other character.
pub fn lookalike(c: char) -> Option<(Lookalike, &'static str)> {
    let (kind, name) = match c {
        '\u{a0}' => (Lookalike::Invisible, "no-break space"),
        '\u{202f}' => (Lookalike::Invisible, "narrow no-break space"),
        '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{205f}' | '\u{3000}' => {
            (Lookalike::Invisible, "space that is not ASCII")
        }
        '\u{ad}' => (Lookalike::Invisible, "soft hyphen"),
        '\u{200b}' => (Lookalike::Invisible, "zero-width space"),
        '\u{200c}' => (Lookalike::Invisible, "zero-width non-joiner"),
        '\u{200d}' => (Lookalike::Invisible, "zero-width joiner"),
        '\u{2060}' => (Lookalike::Invisible, "word joiner"),
        '\u{feff}' => (Lookalike::Invisible, "byte order mark"),
        '\u{2028}' | '\u{2029}' => (Lookalike::Invisible, "line separator"),
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            (Lookalike::Invisible, "mark of the writing direction")
        }
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}' => (Lookalike::Quote, "curly single quote"),
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{201f}' => (Lookalike::Quote, "curly double quote"),
        _ => return None,
    };
    Some((kind, name))
}

/// Whether a character cannot be seen, or looks like a space that it is not.
pub fn is_invisible(c: char) -> bool {
    matches!(lookalike(c), Some((Lookalike::Invisible, _)))
}

/// The character with its name and code point, as messages name it: `no-break space (U+00A0)`.
pub fn lookalike_name(c: char) -> Option<String> {
    let (kind, name) = lookalike(c)?;
    let shown = match kind {
        Lookalike::Invisible => String::new(),
        Lookalike::Quote => format!("`{c}`, "),
    };
    Some(format!("{name} ({shown}U+{:04X})", u32::from(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookalike_name_shows_code_point_and_what_can_be_seen() {
        for (c, name) in [
            ('\u{a0}', Some("no-break space (U+00A0)")),
            ('\u{200b}', Some("zero-width space (U+200B)")),
            ('\u{201d}', Some("curly double quote (`\u{201d}`, U+201D)")),
            ('\u{2019}', Some("curly single quote (`\u{2019}`, U+2019)")),
            ('"', None),
            (' ', None),
            ('é', None),
        ] {
            assert_eq!(lookalike_name(c).as_deref(), name);
        }
    }
}
