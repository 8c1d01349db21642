//! A YAML document as it was written: text, never a guessed type, with the place of every node. Pure.

use std::rc::Rc;

use super::source::Span;

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    /// Of a scalar its text, of a list or map where it begins.
    pub(super) span: Span,
    pub(super) value: YamlValue,
    /// A list or map in brackets as it was written on one line, for suggestions.
    pub(super) written: Option<Box<str>>,
    /// Its cost with its aliases expanded.
    pub(super) cost: Cost,
}

/// The value of a node. Aliases share the node of their anchor.
#[derive(Debug)]
pub(super) enum YamlValue {
    /// Text as written, escapes resolved; `plain` where it had no quotes: only then may it mean a number or nothing.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Rc<Node>>),
    Map(Vec<MapEntry>),
}

/// A key with its value. The keys of a map are distinct.
#[derive(Debug)]
pub(super) struct MapEntry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) value: Rc<Node>,
}

/// Size of a node and all below it, aliases expanded.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    pub(super) nodes: usize,
    pub(super) bytes: usize,
    /// Lists and maps within one another, this one included.
    pub(super) depth: usize,
}

impl Node {
    /// Whether it is empty, `~` or `null` without quotes.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, YamlValue::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The value of a key, where this is a map that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            YamlValue::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &*e.value),
            YamlValue::Scalar { .. } | YamlValue::List(_) => None,
        }
    }

    /// The text of a scalar that is not null.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            YamlValue::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// Whether it is a scalar.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.value, YamlValue::Scalar { .. })
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            YamlValue::List(_) => "a list",
            YamlValue::Map(_) => "a map",
            YamlValue::Scalar { .. } if self.is_null() => "nothing",
            YamlValue::Scalar { .. } => "a single value",
        }
    }
}
