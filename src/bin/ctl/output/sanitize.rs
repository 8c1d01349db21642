//! Makes foreign text safe to print: a container's log or a health answer must not control the terminal. Pure.

/// One line without escape sequences and control characters, except tabs.
pub(crate) fn sanitize(text: &str) -> String {
    let text = console::strip_ansi_codes(text);
    text.chars().filter(|c| *c == '\t' || !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::sanitize;

    #[test]
    fn sanitize_removes_sequences_and_controls() {
        for (text, expected) in [
            ("plain ü → ok\ttab", "plain ü → ok\ttab"),
            ("\x1b[1;31mred\x1b[0m", "red"),
            ("\x1b]0;title\x07after", "after"),
            ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("a\rb\x08\x7f\u{9b}2Jc", "abc"),
            ("unfinished \x1b[31", "unfinished "),
            ("\x1bcreset", "reset"),
        ] {
            assert_eq!(sanitize(text), expected, "{text:?}");
        }
    }
}
