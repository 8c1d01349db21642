//! Untrusted text made safe for a terminal: a log line or a health response must not move the cursor. Pure.

use std::iter::Peekable;
use std::str::Chars;

use super::is_invisible;

const ESCAPE: char = '\x1b';
const BELL: char = '\x07';

/// The text without escape sequences and control characters; tabs stay.
pub fn sanitize(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ESCAPE => skip_sequence(&mut chars),
            '\t' => clean.push(c),
            c if c.is_control() => {}
            c => clean.push(c),
        }
    }
    clean
}

/// The text with control characters and those that cannot be seen escaped, for messages that quote a file.
pub fn escape_control(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() || is_invisible(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// Skips what follows an escape: `[` … letter, `]` … bell or `ESC \`, or one character.
fn skip_sequence(chars: &mut Peekable<Chars<'_>>) {
    match chars.next() {
        Some('[') => {
            chars.find(|c| ('\x40'..='\x7e').contains(c));
        }
        Some(']' | 'P' | '^' | '_' | 'X') => {
            while let Some(c) = chars.next() {
                if c == BELL || (c == ESCAPE && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{escape_control, sanitize};

    #[test]
    fn escape_control_shows_what_cannot_be_seen() {
        for (text, shown) in [
            ("a\u{1b}b\nc", "a\\u{1b}b\\nc"),
            ("web\u{a0}", "web\\u{a0}"),
            ("we\u{200b}b", "we\\u{200b}b"),
            ("Zoë “x”", "Zoë “x”"),
        ] {
            assert_eq!(escape_control(text), shown);
        }
    }

    #[test]
    fn sequences_and_controls_are_taken_out() {
        for (text, expected) in [
            ("plain ü → ok\ttab", "plain ü → ok\ttab"),
            ("\x1b[1;31mred\x1b[0m", "red"),
            ("\x1b]0;title\x07after", "after"),
            ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("a\rb\x08\x7f\u{9b}2Jc", "ab2Jc"),
            ("unfinished \x1b[31", "unfinished "),
            ("\x1bcreset", "reset"),
        ] {
            assert_eq!(sanitize(text), expected, "{text:?}");
        }
    }
}
