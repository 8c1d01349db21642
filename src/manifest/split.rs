//! Cuts a source into documents before any of it is parsed: size is bounded first, and a syntax error in one document
//! leaves the others readable. A line that begins with `---` or `...` is always a document marker: YAML does not allow it in
//! a scalar. Pure.

/// The text of one document and where it begins in its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk<'s> {
    pub(super) text: &'s str,
    /// Bytes before it, a byte order mark not counted.
    pub(super) offset: usize,
    /// Line of its first character, from 1.
    pub(super) line: usize,
}

/// The documents of a text. Chunks with nothing but comments, directives and markers are left out.
pub(super) fn split(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let mut start = Chunk { text, offset: 0, line: 1 };
    let mut has_content = false;
    let mut offset = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let begins = is_marker(line, "---");
        let ends = is_marker(line, "...");
        if begins && has_content {
            chunks.push(Chunk { text: &text[start.offset..offset], ..start });
            start = Chunk { text, offset, line: index + 1 };
            has_content = false;
        }
        let rest = if begins { &line[3..] } else { line };
        has_content |= is_content(rest) && !ends;
        offset += line.len();
        if ends {
            if has_content {
                chunks.push(Chunk { text: &text[start.offset..offset], ..start });
            }
            start = Chunk { text, offset, line: index + 2 };
            has_content = false;
        }
    }
    if has_content {
        chunks.push(Chunk { text: &text[start.offset..], ..start });
    }
    chunks
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']))
}

/// Whether a line has more than a comment, a directive or blanks.
fn is_content(line: &str) -> bool {
    !line.starts_with('%') && !matches!(line.trim_start().chars().next(), None | Some('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_cuts_at_markers_and_drops_chunks_without_content() {
        let cases: &[(&str, &[(&str, usize)])] = &[
            ("", &[]),
            ("# only a comment\n---\n# and another\n", &[]),
            ("a: 1", &[("a: 1", 1)]),
            ("a: 1\n---\nb: 2\n", &[("a: 1\n", 1), ("---\nb: 2\n", 2)]),
            ("---\na: 1\n---\n---\nb: 2\n", &[("---\na: 1\n", 1), ("---\n---\nb: 2\n", 3)]),
            ("--- a\n--- b\n", &[("--- a\n", 1), ("--- b\n", 2)]),
            ("%YAML 1.2\n---\na: 1\n", &[("%YAML 1.2\n---\na: 1\n", 1)]),
            ("a: 1\n...\n# x\n---\nb: 2\n", &[("a: 1\n...\n", 1), ("# x\n---\nb: 2\n", 3)]),
            ("a: ---\n ---\n----\n", &[("a: ---\n ---\n----\n", 1)]),
        ];
        for (text, want) in cases {
            let got: Vec<(&str, usize)> = split(text).iter().map(|c| (c.text, c.line)).collect();
            assert_eq!(got, *want, "{text:?}");
            assert!(split(text).iter().all(|c| text[c.offset..].starts_with(c.text)), "{text:?}");
        }
    }
}
