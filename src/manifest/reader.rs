//! Typed access to a tree that continues after a problem: the problem is reported, and the caller uses a harmless value, so
//! that one run finds everything. Pure.

use std::collections::BTreeMap;

use super::field_path::{Spans, covers, join};
use super::finding::Findings;
use super::shape::SchemaNode;
use super::source::Span;
use super::tree::{MapEntry, Node, YamlValue};
use crate::model::{Problem, nearest};

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
    span: Span,
}

impl<'t> YamlField<'t> {
    /// The same value under the path that it has in the long form.
    pub(super) fn at(&self, path: impl Into<String>) -> YamlField<'t> {
        YamlField { path: path.into(), ..self.clone() }
    }

    /// Last part of the path, for messages.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }
}

/// Reads one document: collects its problems and the places of its fields.
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

    /// Reports a part of the format that this version does not support.
    pub(super) fn not_yet(&mut self, field: &YamlField<'_>, what: &str) {
        self.wrong(field, not_supported(what));
    }

    /// Suppresses problems at this path: they follow from one that is reported already.
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
                let message = format!("`{}` has no value; remove the key to use the default", field.name());
                self.wrong(field, message);
            } else {
                self.wrong(field, format!("expected a map, found {}", field.node.kind()));
            }
            return None;
        };
        for entry in entries {
            self.check_key(entry, &field.path, shape);
        }
        Some(Block { entries, path: field.path.clone(), span: field.span })
    }

    fn check_key(&mut self, entry: &MapEntry, block: &str, shape: &SchemaNode) {
        let key = entry.key.as_str();
        if self.findings.full() || shape.key(key).is_some() || shape.ignored.contains(&key) {
            return;
        }
        let path = join(block, key);
        if shape.later.contains(&key) {
            return self.report(entry.key_span, Problem::new(path, not_supported(key)));
        }
        if let Some(foreign) = shape.foreign_key(key) {
            if let Some(instead) = foreign.instead() {
                self.silence(join(block, instead));
            }
            return self.report(entry.key_span, Problem::new(path, foreign.message()));
        }
        let guess = nearest(key, shape.names().chain(shape.later.iter().copied()));
        let mut problem = Problem::new(path, format!("unknown field `{key}`"));
        if let Some(guess) = guess {
            self.silence(join(block, guess));
            problem = problem.suggest(guess);
        }
        self.report(entry.key_span, problem);
    }

    /// The entries of a map whose names the user chooses; `each` reads a value, or reports why it cannot.
    pub(super) fn entries<T>(
        &mut self,
        field: &YamlField<'_>,
        mut each: impl FnMut(&mut Self, &YamlField<'_>) -> Option<T>,
    ) -> BTreeMap<String, T> {
        self.spans.insert(field.path.clone(), field.span);
        let YamlValue::Map(entries) = &field.node.value else {
            let message = format!("expected a map of names to values, found {}", field.node.kind());
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

    /// The items of a list, with their paths; anything else is reported with an example of an item.
    pub(super) fn list<'t>(&mut self, field: &YamlField<'t>, example: &str) -> Option<Vec<YamlField<'t>>> {
        let items = self.items(field);
        if items.is_none() {
            self.wrong_but(field, format!("expected a list, found {}", field.node.kind()), example);
        }
        items
    }

    /// The items of a list, with their paths; `None` if it is something else.
    pub(super) fn items<'t>(&mut self, field: &YamlField<'t>) -> Option<Vec<YamlField<'t>>> {
        self.spans.insert(field.path.clone(), field.span);
        let YamlValue::List(nodes) = &field.node.value else { return None };
        let mut items = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            let path = format!("{}[{index}]", field.path);
            self.spans.insert(path.clone(), node.span);
            items.push(YamlField { node, path, span: node.span });
        }
        Some(items)
    }
}

impl<'t> Block<'t> {
    /// The field of a key, if the block has it; its place is kept.
    pub(super) fn get(&self, reader: &mut ManifestReader<'_, '_>, key: &str) -> Option<YamlField<'t>> {
        let entry = self.entries.iter().find(|e| e.key == key)?;
        Some(field_of(&self.path, entry, &mut reader.spans))
    }

    /// The field of a key; its absence is reported with an example, unless a misspelt key explains it.
    pub(super) fn require(
        &self,
        reader: &mut ManifestReader<'_, '_>,
        key: &str,
        example: &str,
    ) -> Option<YamlField<'t>> {
        let field = self.get(reader, key);
        let path = join(&self.path, key);
        if field.is_none() && !reader.is_spoiled(&path) {
            let problem = Problem::new(path, format!("`{key}` is required")).suggest(example);
            reader.report(self.span, problem);
        }
        field
    }

    /// The value of a key as `read` takes it; `None` if the key is missing or its value was reported.
    pub(super) fn read<'r, 's, T>(
        &self,
        reader: &mut ManifestReader<'r, 's>,
        key: &str,
        read: impl FnOnce(&mut ManifestReader<'r, 's>, &YamlField<'t>) -> Option<T>,
    ) -> Option<T> {
        let field = self.get(reader, key)?;
        read(reader, &field)
    }

    /// Puts the value of a key into `target`, which keeps its default if the key is missing or its value was reported.
    pub(super) fn set<'r, 's, T>(
        &self,
        reader: &mut ManifestReader<'r, 's>,
        key: &str,
        target: &mut T,
        read: impl FnOnce(&mut ManifestReader<'r, 's>, &YamlField<'t>) -> Option<T>,
    ) {
        if let Some(value) = self.read(reader, key, read) {
            *target = value;
        }
    }

    /// The node of a key.
    pub(super) fn value(&self, key: &str) -> Option<&'t Node> {
        self.entries.iter().find(|e| e.key == key).map(|e| &*e.value)
    }
}

/// What a message says of a word that a later version brings.
pub(super) fn not_supported(word: &str) -> String {
    format!("`{word}` is not supported yet")
}

/// The field of an entry. Its place is the value if that is text on one line, else the key.
fn field_of<'t>(block: &str, entry: &'t MapEntry, spans: &mut Spans) -> YamlField<'t> {
    let scalar = matches!(entry.value.value, YamlValue::Scalar { .. }) && entry.value.span.len > 0;
    let span = if scalar { entry.value.span } else { entry.key_span };
    let path = join(block, &entry.key);
    spans.insert(path.clone(), span);
    YamlField { node: &entry.value, path, span }
}
