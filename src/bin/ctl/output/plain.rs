//! Text of others made safe to show: a container's log or a health answer must not move the reader's cursor. PURE.

use std::iter::Peekable;
use std::str::Chars;

const ESCAPE: char = '\x1b';
const BELL: char = '\x07';

/// One line without escape sequences and control characters; tabs stay.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ESCAPE => skip_sequence(&mut chars),
            '\t' => plain.push(c),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain
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
    use super::plain;

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
            assert_eq!(plain(text), expected, "{text:?}");
        }
    }
}
