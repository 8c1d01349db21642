//! Enough of Rust's grammar to know what a file imports and how long its functions are.
//!
//! Deliberately absent: macros, generics, types. What a check needs are paths, braces and lines; comments and the insides
//! of literals are skipped, and items under `#[cfg(test)]` are set apart.

use std::collections::BTreeSet;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

/// A file, taken apart.
#[derive(Debug)]
pub(super) struct Source {
    /// Everything outside `#[cfg(test)]`.
    pub(super) tokens: Vec<Token>,
    /// Lines of the file that are not under `#[cfg(test)]`.
    pub(super) lines: usize,
    /// Modules in files of their own that exist only under `#[cfg(test)]`.
    pub(super) test_modules: BTreeSet<String>,
}

/// A function with its length in lines, signature included.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) lines: usize,
}

impl Source {
    pub(super) fn parse(text: &str) -> Self {
        let all = tokens(text);
        let mut kept = Vec::new();
        let mut test_modules = BTreeSet::new();
        let mut test_lines = 0;
        let mut at = 0;
        while at < all.len() {
            if !starts_with(&all[at..], &["#", "[", "cfg", "(", "test", ")", "]"]) {
                kept.push(all[at].clone());
                at += 1;
                continue;
            }
            let end = item_end(&all, at);
            let item = &all[at..end];
            if item.len() > 9 && item[item.len() - 3].text == "mod" && item[item.len() - 1].text == ";" {
                test_modules.insert(item[item.len() - 2].text.clone());
            }
            test_lines += all[end - 1].line - all[at].line + 1;
            at = end;
        }
        Self { tokens: kept, lines: text.lines().count() - test_lines, test_modules }
    }

    /// Every path, with the groups of `use` written out: `use a::{b, c::d}` gives `a::b` and `a::c::d`.
    pub(super) fn paths(&self) -> Vec<(Vec<String>, usize)> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            if is_word(&self.tokens[at].text) {
                at = path(&self.tokens, at, &[], &mut found);
            } else {
                at += 1;
            }
        }
        found
    }

    pub(super) fn functions(&self) -> Vec<Function> {
        let tokens = &self.tokens;
        let mut found = Vec::new();
        for at in 0..tokens.len().saturating_sub(1) {
            if tokens[at].text != "fn" || !is_word(&tokens[at + 1].text) {
                continue;
            }
            let end = item_end(tokens, at);
            found.push(Function {
                name: tokens[at + 1].text.clone(),
                line: tokens[at].line,
                lines: tokens[end - 1].line - tokens[at].line + 1,
            });
        }
        found
    }

    pub(super) fn contains(&self, sequence: &[&str]) -> Option<usize> {
        (0..self.tokens.len())
            .find(|&at| starts_with(&self.tokens[at..], sequence))
            .map(|at| self.tokens[at].line)
    }
}

fn starts_with(tokens: &[Token], sequence: &[&str]) -> bool {
    tokens.len() >= sequence.len() && tokens.iter().zip(sequence).all(|(token, text)| token.text == *text)
}

/// Behind the item that starts here, its attributes included: behind its `;`, or behind its closing brace.
fn item_end(tokens: &[Token], start: usize) -> usize {
    let mut at = start;
    while at + 1 < tokens.len() && tokens[at].text == "#" && tokens[at + 1].text == "[" {
        at = group_end(tokens, at + 1);
    }
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "(" | "[" => at = group_end(tokens, at),
            "{" => return group_end(tokens, at),
            ";" => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// Behind the bracket that closes the one here.
fn group_end(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (offset, token) in tokens[open..].iter().enumerate() {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + offset + 1;
        }
    }
    tokens.len()
}

/// Notes the path that starts here under its prefix; returns where it ends.
fn path(tokens: &[Token], start: usize, prefix: &[String], found: &mut Vec<(Vec<String>, usize)>) -> usize {
    let mut path = prefix.to_vec();
    let mut at = start;
    loop {
        path.push(tokens[at].text.clone());
        at += 1;
        if !(at + 1 < tokens.len() && tokens[at].text == "::") {
            break;
        }
        at += 1;
        if tokens[at].text == "{" {
            return group(tokens, at, &path, found);
        }
        if !is_word(&tokens[at].text) {
            break;
        }
    }
    found.push((path, tokens[start].line));
    at
}

fn group(tokens: &[Token], open: usize, prefix: &[String], found: &mut Vec<(Vec<String>, usize)>) -> usize {
    let end = group_end(tokens, open);
    let mut at = open + 1;
    while at < end {
        if is_word(&tokens[at].text) {
            at = path(tokens, at, prefix, found);
        } else {
            at += 1;
        }
    }
    end
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let (mut found, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let end = token_end(&chars, at);
        let first = chars[at];
        let silent = first.is_whitespace() || (first == '/' && matches!(chars.get(at + 1), Some('/' | '*')));
        if !silent {
            found.push(Token { text: visible(&chars[at..end]), line });
        }
        line += chars[at..end].iter().filter(|c| **c == '\n').count();
        at = end;
    }
    found
}

/// A token's text, or a single quote mark for a literal.
fn visible(token: &[char]) -> String {
    let text: String = token.iter().collect();
    if text.contains('"') || (text.starts_with('\'') && text.len() > 1 && text.ends_with('\'')) {
        "\"".to_owned()
    } else {
        text
    }
}

fn token_end(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied().unwrap_or_default();
    match chars[at] {
        '/' if next == '/' => at + chars[at..].iter().take_while(|c| **c != '\n').count(),
        '/' if next == '*' => block_comment_end(chars, at),
        '"' => string_end(chars, at),
        '\'' => quote_end(chars, at),
        ':' if next == ':' => at + 2,
        c if c.is_alphanumeric() || c == '_' => {
            let end = at + chars[at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
            let word: String = chars[at..end].iter().collect();
            match word.as_str() {
                "r" | "br" | "cr" if matches!(chars.get(end), Some('"' | '#')) => raw_string_end(chars, end),
                "b" | "c" if chars.get(end) == Some(&'"') => string_end(chars, end),
                _ => end,
            }
        }
        _ => at + 1,
    }
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (at, depth) = (at + 2, depth + 1),
            ('*', '/') => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn string_end(chars: &[char], open: usize) -> usize {
    let mut at = open + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn raw_string_end(chars: &[char], from: usize) -> usize {
    let hashes = chars[from..].iter().take_while(|c| **c == '#').count();
    if chars.get(from + hashes) != Some(&'"') {
        return from + hashes; // a raw identifier
    }
    let mut at = from + hashes + 1;
    while at < chars.len() {
        if chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
            return at + 1 + hashes;
        }
        at += 1;
    }
    chars.len()
}

/// A character literal, or the mark of a lifetime.
fn quote_end(chars: &[char], open: usize) -> usize {
    match (chars.get(open + 1), chars.get(open + 2)) {
        (Some('\\'), _) => {
            let body = chars[open + 3..].iter().take_while(|c| **c != '\'').count();
            (open + 3 + body + 1).min(chars.len())
        }
        (Some(_), Some('\'')) => open + 3,
        _ => open + 1,
    }
}

#[test]
fn comments_literals_and_lifetimes_hide_nothing_and_add_nothing() {
    let source = Source::parse(
        "// crate::a\n/* crate::b /* x */ */ fn f<'a>(c: &'a str) -> char { let _ = \"crate::c\"; \
         let _ = r#\"\"crate::d\"#; let _ = '\"'; let _ = '\\''; crate::e::f(b\"crate::g\") }",
    );
    let crates: Vec<_> = source.paths().into_iter().filter(|(path, _)| path[0] == "crate").collect();
    assert_eq!(crates, [(vec!["crate".to_owned(), "e".to_owned(), "f".to_owned()], 2)]);
}

#[test]
fn groups_are_written_out() {
    let paths = Source::parse("use a::{self, b, c::{d, e as f}};").paths();
    let paths: Vec<String> = paths.into_iter().map(|(path, _)| path.join("::")).collect();
    assert_eq!(paths, ["use", "a::self", "a::b", "a::c::d", "a::c::e", "a::c::as", "a::c::f"]);
}

#[test]
fn what_is_under_test_is_set_apart() {
    let text = "fn a() {}\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n  fn b() {}\n}\n#[cfg(test)]\nmod fakes;\nfn c() {}\n";
    let source = Source::parse(text);
    let names: Vec<String> = source.functions().into_iter().map(|function| function.name).collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(source.lines, 2);
    assert_eq!(source.test_modules, BTreeSet::from(["fakes".to_owned()]));
}

#[test]
fn functions_are_measured_from_signature_to_brace() {
    let source = Source::parse("trait T { fn none(&self, x: [u8; 2]); }\nfn one() {}\nfn three(\n) {\n}\n");
    let lines: Vec<_> = source.functions().into_iter().map(|f| (f.name, f.line, f.lines)).collect();
    assert_eq!(lines, [("none".into(), 1, 1), ("one".into(), 2, 1), ("three".into(), 3, 3)]);
}
