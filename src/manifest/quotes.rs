//! Values that YAML does not read as the text that was meant, because they need quotes: `@daily`, `*.example.com`, `a: b`.
//! Pure.
//!
//! A suggestion is never a guess: the line with the quotes is parsed, and must have exactly the text as a quoted value.
//! Deliberately absent: values over several lines, and an unclosed bracket or quote, whose end is unknown.

use granit_parser::{Event, Parser, ScalarStyle};

/// Longest line that is examined, in bytes: a suggestion has to fit in a message, and the line is parsed several times.
const LINE_MAX: usize = 300;

/// Characters that no plain value can begin with; of `-` see [`needs_quotes`].
const INDICATORS: &[char] = &['@', '`', '%', '*', '!', '&', ',', '|', '>', '[', '{'];

/// A value that needs quotes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unquoted {
    /// Bytes before it in its line.
    pub(super) start: usize,
    /// Its bytes.
    pub(super) len: usize,
    /// Why it needs quotes.
    pub(super) why: String,
    pub(super) text: String,
    /// The text in quotes.
    pub(super) quoted: String,
}

/// The value of a line that cannot be read without quotes; `None` if no value of the line explains the problem.
pub(super) fn find(line: &str) -> Option<Unquoted> {
    if line.len() > LINE_MAX {
        return None;
    }
    let start = value_start(line)?;
    checked(line, start, line.len(), true)
        .or_else(|| flow_values(line).find_map(|(start, end)| checked(line, start, end, false)))
}

/// The text in quotes, as YAML reads it back.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Where the value of a line begins: after its dashes and its key.
fn value_start(line: &str) -> Option<usize> {
    let mut at = line.len() - line.trim_start_matches(' ').len();
    let mut is_item = false;
    while let Some(rest) = line[at..].strip_prefix("- ") {
        is_item = true;
        at = line.len() - rest.trim_start_matches(' ').len();
    }
    let key = line[at..].find(": ").filter(|colon| is_key(&line[at..at + colon]));
    match key {
        Some(colon) => {
            let value = at + colon + 2;
            Some(value + line[value..].len() - line[value..].trim_start_matches(' ').len())
        }
        None => is_item.then_some(at),
    }
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace) && !text.starts_with(INDICATORS)
}

/// Stretches of a line that may be a value within brackets.
fn flow_values(line: &str) -> impl Iterator<Item = (usize, usize)> {
    let opens = |at: usize| {
        let before = line[..at].trim_end_matches(' ');
        let separated = before.ends_with(['[', '{', ',']) || (before.len() < at && before.ends_with(':'));
        separated && !line[at..].starts_with([' ', '[', '{'])
    };
    let starts = line.char_indices().map(|(at, _)| at).filter(move |at| opens(*at));
    starts.filter_map(|start| {
        // The first character may be a comma itself.
        let rest = line[start..].char_indices().skip(1);
        let end = rest.filter(|(_, c)| matches!(c, ',' | ']' | '}')).map(|(at, _)| start + at).next()?;
        Some((start, end))
    })
}

fn checked(line: &str, start: usize, end: usize, may_have_colon: bool) -> Option<Unquoted> {
    let value = line[start..end].split(" #").next().unwrap_or_default().trim_end();
    let why = needs_quotes(value, may_have_colon)?;
    let text = without_curly_quotes(value);
    let quoted = quoted(text);
    let fixed = format!("{}{quoted}{}", line[..start].trim_start(), &line[start + value.len()..]);
    let found = Unquoted { start, len: value.len(), why, text: text.to_owned(), quoted };
    [fixed.clone(), format!("[{fixed}]"), format!("{{{fixed}}}")]
        .iter()
        .any(|fixed| has_quoted(fixed, text))
        .then_some(found)
}

/// Why a value needs quotes; `None` if it can be read without, or if it is not clear where it ends. Within brackets a colon
/// makes a map.
fn needs_quotes(value: &str, may_have_colon: bool) -> Option<String> {
    let first = value.chars().next()?;
    if value.contains(char::is_control) || matches!(first, '"' | '\'') {
        return None;
    }
    let begins = || Some(format!("a value that begins with `{first}` needs quotes"));
    match first {
        '[' | '{' => continues_after_bracket(value).then(begins)?,
        '-' if value == "-" || value.starts_with("- ") => begins(),
        c if INDICATORS.contains(&c) => begins(),
        _ if may_have_colon && (value.contains(": ") || value.ends_with(':')) => {
            Some("a value that contains `: ` needs quotes".to_owned())
        }
        _ => None,
    }
}

/// Whether the bracket that a value begins with is closed before its end: `[info] ready` is text, `[a, b` a list.
fn continues_after_bracket(value: &str) -> bool {
    let mut depth = 0usize;
    for (at, c) in value.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            '"' | '\'' => return false,
            _ => {}
        }
        if depth == 0 {
            let is_template = value.starts_with("{{") && value.ends_with("}}");
            return is_template || !value[at + c.len_utf8()..].trim_matches([' ', ',']).is_empty();
        }
    }
    false
}

/// Curly quotes around a value were meant as quotes.
fn without_curly_quotes(value: &str) -> &str {
    let inner = value
        .strip_prefix(['\u{201c}', '\u{201d}', '\u{201e}'])
        .and_then(|rest| rest.strip_suffix(['\u{201c}', '\u{201d}']));
    let single = || value.strip_prefix(['\u{2018}', '\u{2019}'])?.strip_suffix(['\u{2018}', '\u{2019}']);
    inner.or_else(single).unwrap_or(value)
}

/// Whether the text is sound YAML with exactly this value in single quotes.
fn has_quoted(yaml: &str, value: &str) -> bool {
    let mut seen = false;
    for event in Parser::new_from_str(yaml) {
        match event {
            Ok((Event::Scalar(text, ScalarStyle::SingleQuoted, ..), _)) => seen |= text == value,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn find_suggests_the_value_in_quotes() {
        for (line, suggested) in [
            ("  CRON: @daily", "'@daily'"),
            ("  TICK: `date`", "'`date`'"),
            ("  FORMAT: %d.%m", "'%d.%m'"),
            ("  HOST: *.example.com", "'*.example.com'"),
            ("  HOST: *", "'*'"),
            ("  NOTE: !important", "'!important'"),
            ("  PASSWORD: &x1", "'&x1'"),
            ("  LINE: [info] ready", "'[info] ready'"),
            ("  SET: {a} b", "'{a} b'"),
            ("  IMAGE: {{ .Values.image }}", "'{{ .Values.image }}'"),
            ("  DASH: - x", "'- x'"),
            ("  DASH: -", "'-'"),
            ("  LIST: ,a", "',a'"),
            ("  MIN: >=1.2", "'>=1.2'"),
            ("  PIPE: |x", "'|x'"),
            ("  MESSAGE: error: it's bad", "'error: it''s bad'"),
            ("  MESSAGE: @x # why", "'@x'"),
            ("  - @daily", "'@daily'"),
            ("  - error in x: bad", "'error in x: bad'"),
            ("  - name: a: b", "'a: b'"),
            ("  env: {A: @x, B: y}", "'@x'"),
            ("  command: [a, *.b]", "'*.b'"),
            ("    A: @x,", "'@x,'"),
            ("  MESSAGE: \u{201c}a: b\u{201d}", "'a: b'"),
        ] {
            let found = find(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(found.quoted, suggested, "{line}");
            let fixed =
                format!("{}{}{}", &line[..found.start], found.quoted, &line[found.start + found.len..]);
            let flow = format!("{{{}}}", fixed.trim_start());
            assert!(
                [fixed, flow].iter().any(|yaml| serde_saphyr::from_str::<serde_json::Value>(yaml).is_ok())
            );
        }
    }

    #[test]
    fn find_suggests_nothing_where_the_end_or_the_meaning_is_unknown() {
        for line in [
            "  LIST: [a, b",
            "  LIST: [*.a, b",
            "  MAP: {a: b",
            "  MAP: {a: [b}",
            "  NAME: \"open",
            "  NAME: 'open",
            "  LIST: [\"a] b",
            "  port: 8080",
            "  image: a:1",
            "  - plain",
            "plain text",
            "  env:",
            "",
            "  flags: --fast",
            "  LIST: [a, b],",
        ] {
            assert_eq!(find(line), None, "{line}");
        }
        assert_eq!(find(&format!("A: @{}", "x".repeat(LINE_MAX))), None, "too long for a message");
    }
}
