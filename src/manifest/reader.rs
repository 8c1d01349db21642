//! Typed access to a tree that goes on after a problem: what is wrong is reported, and the caller fills in something
//! harmless, so that one run finds everything.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::value::{Error as Unknown, StrDeserializer};

use super::finding::Findings;
use super::shape::{EnumValues, SchemaNode};
use super::source::Span;
use super::tree::{MapEntry, Node, YamlValue};
use crate::model::{Problem, QuantityError, nearest};

/// Where each field of the long form stands.
pub(super) type Spans = BTreeMap<String, Span>;

/// A node with its path in the long form and the place to point at.
#[derive(Clone)]
pub(super) struct YamlField<'t> {
    pub(super) node: &'t Node,
    pub(super) path: String,
    pub(super) span: Span,
}

/// A map whose keys have been checked.
pub(super) struct Block<'t> {
    entries: &'t [MapEntry],
    path: String,
}

impl<'t> YamlField<'t> {
    /// The same value under the path of the long form that it stands for.
    pub(super) fn at(&self, path: impl Into<String>) -> YamlField<'t> {
        YamlField { path: path.into(), ..self.clone() }
    }

    /// Last part of the path, for messages.
    fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }
}

/// Reads one document: collects its problems, and where its fields stand.
pub(super) struct ManifestReader<'r, 's> {
    source: usize,
    findings: &'r mut Findings<'s>,
    pub(super) spans: Spans,
    /// Paths that have a problem, or that a misspelt key probably meant.
    spoiled: Vec<String>,
}

impl<'r, 's> ManifestReader<'r, 's> {
    pub(super) fn new(source: usize, findings: &'r mut Findings<'s>) -> Self {
        Self { source, findings, spans: Spans::new(), spoiled: Vec::new() }
    }

    pub(super) fn report(&mut self, span: Span, problem: Problem) {
        if !self.findings.full() {
            self.spoiled.push(problem.path.clone());
            self.findings.add(self.source, span, problem);
        }
    }

    /// Reports a problem of a field.
    pub(super) fn wrong(&mut self, field: &YamlField<'_>, message: impl Into<String>) {
        self.report(field.span, Problem::new(&*field.path, message));
    }

    /// The same with what to write instead.
    pub(super) fn wrong_but(
        &mut self,
        field: &YamlField<'_>,
        message: impl Into<String>,
        write: impl Into<String>,
    ) {
        self.report(field.span, Problem::new(&*field.path, message).suggest(write));
    }

    /// Something the format has and this version does not.
    pub(super) fn not_yet(&mut self, field: &YamlField<'_>, what: &str) {
        self.wrong(field, format!("`{what}` is not supported yet"));
    }

    /// Says that whatever is wrong at this path follows from what has been reported already.
    pub(super) fn silence(&mut self, path: impl Into<String>) {
        self.spoiled.push(path.into());
    }

    /// Whether a problem at this path, above or below it, has been reported.
    pub(super) fn is_spoiled(&self, path: &str) -> bool {
        self.spoiled.iter().any(|s| covers(s, path) || covers(path, s))
    }

    /// A map with these keys; every other key is reported.
    pub(super) fn block<'t>(&mut self, field: &YamlField<'t>, shape: &SchemaNode) -> Option<Block<'t>> {
        self.spans.insert(field.path.clone(), field.span);
        let YamlValue::Map(entries) = &field.node.value else {
            if field.node.is_null() {
                self.wrong(
                    field,
                    format!("`{}` has no value; leave the key out to get the default", field.name()),
                );
            } else {
                self.wrong(field, format!("a map is needed here; this is {}", field.node.kind()));
            }
            return None;
        };
        for entry in entries {
            self.check_key(entry, &field.path, shape);
        }
        Some(Block { entries, path: field.path.clone() })
    }

    fn check_key(&mut self, entry: &MapEntry, block: &str, shape: &SchemaNode) {
        let key = entry.key.as_str();
        if self.findings.full() || shape.key(key).is_some() || shape.ignored.contains(&key) {
            return;
        }
        let path = join(block, key);
        if shape.later.contains(&key) {
            return self.report(entry.key_span, Problem::new(path, format!("`{key}` is not supported yet")));
        }
        let foreign = shape.elsewhere.iter().find(|(word, ..)| *word == key);
        if let Some((_, instead, say)) = foreign {
            self.silence(join(block, instead));
            return self.report(entry.key_span, Problem::new(path, *say));
        }
        let guess = nearest(key, shape.names().chain(shape.later.iter().copied()));
        let mut problem = Problem::new(path, format!("there is no key `{key}` here"));
        if let Some(guess) = guess {
            self.silence(join(block, guess));
            problem = problem.suggest(guess);
        }
        self.report(entry.key_span, problem);
    }

    /// The entries of a map that the user names; `each` turns a value into one, and reports why it cannot.
    pub(super) fn entries<T>(
        &mut self,
        field: &YamlField<'_>,
        mut each: impl FnMut(&mut Self, &YamlField<'_>) -> Option<T>,
    ) -> BTreeMap<String, T> {
        self.spans.insert(field.path.clone(), field.span);
        let YamlValue::Map(entries) = &field.node.value else {
            let message = format!("a map of names to values is needed here; this is {}", field.node.kind());
            self.wrong_but(field, message, "NAME: value");
            return BTreeMap::new();
        };
        let mut out = BTreeMap::new();
        for entry in entries {
            let named = field_of(&field.path, entry, &mut self.spans);
            if let Some(value) = each(self, &named) {
                out.insert(entry.key.clone(), value);
            }
        }
        out
    }

    /// The items of a list, with their paths.
    pub(super) fn items<'t>(&mut self, field: &YamlField<'t>) -> Option<Vec<YamlField<'t>>> {
        self.spans.insert(field.path.clone(), field.span);
        let YamlValue::List(items) = &field.node.value else { return None };
        Some(items.iter().enumerate().map(|(i, item)| self.item(&field.path, i, item)).collect())
    }

    fn item<'t>(&mut self, list: &str, index: usize, node: &'t Rc<Node>) -> YamlField<'t> {
        let path = format!("{list}[{index}]");
        self.spans.insert(path.clone(), node.span);
        YamlField { node, path, span: node.span }
    }

    /// The text of a scalar, exactly as written.
    pub(super) fn text(&mut self, field: &YamlField<'_>) -> Option<String> {
        match (&field.node.value, field.node.is_null()) {
            (YamlValue::Scalar { text, .. }, false) => Some(text.clone()),
            (YamlValue::Scalar { .. }, true) => {
                self.wrong(field, format!("`{}` has no value", field.name()));
                None
            }
            _ => {
                self.wrong(field, format!("a single value is needed here; this is {}", field.node.kind()));
                None
            }
        }
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, field: &YamlField<'_>) -> Option<Vec<String>> {
        let Some(items) = self.items(field) else {
            let words: Vec<String> = field.node.text().unwrap_or("").split_whitespace().map(quoted).collect();
            if words.is_empty() {
                self.wrong(field, format!("a list is needed here; this is {}", field.node.kind()));
            } else {
                let message = "a list is needed here: no shell takes a text apart";
                self.wrong_but(field, message, format!("[{}]", words.join(", ")));
            }
            return None;
        };
        let texts: Vec<Option<String>> = items.iter().map(|item| self.text(item)).collect();
        texts.into_iter().collect()
    }

    /// A quantity, from text with or without quotes.
    pub(super) fn quantity<T: FromStr<Err = QuantityError>>(&mut self, field: &YamlField<'_>) -> Option<T> {
        let text = self.text(field)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let problem = Problem {
                    path: field.path.clone(),
                    message: error.message,
                    suggestion: error.suggestion,
                };
                self.report(field.span, problem);
                None
            }
        }
    }

    /// A whole number without quotes, signs or other bases.
    pub(super) fn number<T: FromStr>(&mut self, field: &YamlField<'_>) -> Option<T> {
        let text = self.text(field)?;
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let plain = matches!(field.node.value, YamlValue::Scalar { plain: true, .. });
        if digits && !plain {
            self.wrong_but(field, format!("a number is needed here; `\"{text}\"` is text"), text);
            return None;
        }
        let zeros = text.len() > 1 && text.starts_with('0');
        let value = if digits && !zeros { text.parse().ok() } else { None };
        if value.is_none() {
            self.wrong(field, format!("a whole number is needed here; `{text}` is not one, or too large"));
        }
        value
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, field: &YamlField<'_>) -> Option<bool> {
        let text = self.text(field)?;
        match (text.as_str(), &field.node.value) {
            ("true", YamlValue::Scalar { plain: true, .. }) => Some(true),
            ("false", YamlValue::Scalar { plain: true, .. }) => Some(false),
            _ => {
                let yes = matches!(text.to_ascii_lowercase().as_str(), "true" | "yes" | "on" | "y" | "1");
                let no = matches!(text.to_ascii_lowercase().as_str(), "false" | "no" | "off" | "n" | "0");
                let message = format!("`true` or `false` is needed here; this is `{text}`");
                if yes || no {
                    self.wrong_but(field, message, yes.to_string())
                } else {
                    self.wrong(field, message)
                }
                None
            }
        }
    }

    /// One of a few words, as serde calls the variant.
    pub(super) fn choice<'de, T: Deserialize<'de>>(
        &mut self,
        field: &YamlField<'_>,
        EnumValues { words, later }: &'static EnumValues,
    ) -> Option<T> {
        let text = self.text(field)?;
        if let Some((word, _)) = words.iter().find(|(word, _)| *word == text) {
            return T::deserialize(StrDeserializer::<Unknown>::new(word)).ok();
        }
        if later.contains(&text.as_str()) {
            self.not_yet(field, &text);
            return None;
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("`{text}` is not one of {}", names.join(", "));
        match nearest(&text, names.iter().copied()) {
            Some(guess) => self.wrong_but(field, message, guess),
            None => self.wrong(field, message),
        }
        None
    }
}

impl<'t> Block<'t> {
    /// The field of a key, where the block has it; its place is kept.
    pub(super) fn get(&self, reader: &mut ManifestReader<'_, '_>, key: &str) -> Option<YamlField<'t>> {
        let entry = self.entries.iter().find(|e| e.key == key)?;
        Some(field_of(&self.path, entry, &mut reader.spans))
    }

    /// The value of a key.
    pub(super) fn value(&self, key: &str) -> Option<&'t Node> {
        self.entries.iter().find(|e| e.key == key).map(|e| &*e.value)
    }

    /// Whether the block has the key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|e| e.key == key)
    }
}

/// The field of an entry: a value is pointed at where it is one line's text, else its key is.
fn field_of<'t>(block: &str, entry: &'t MapEntry, spans: &mut Spans) -> YamlField<'t> {
    let scalar = matches!(entry.value.value, YamlValue::Scalar { .. }) && entry.value.span.len > 0;
    let span = if scalar { entry.value.span } else { entry.key_span };
    let path = join(block, &entry.key);
    spans.insert(path.clone(), span);
    YamlField { node: &entry.value, path, span }
}

fn join(block: &str, key: &str) -> String {
    if block.is_empty() { key.to_owned() } else { format!("{block}.{key}") }
}

fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Whether `path` is `above` or lies below it.
pub(super) fn covers(above: &str, path: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Where a field stands, or the nearest one above it that was written.
pub(super) fn find_span(spans: &Spans, path: &str) -> Option<Span> {
    let mut path = path;
    loop {
        if let Some(span) = spans.get(path) {
            return Some(*span);
        }
        path = &path[..path.rfind(['.', '['])?];
    }
}
