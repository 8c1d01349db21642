//! Lists and maps whose end has not been read yet, and the path of the value that is read within them. Pure.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::source::Span;
use super::tree::{Cost, MapEntry, Node, YamlValue};

/// A list or map whose end has not been read.
pub(super) struct OpenCollection {
    pub(super) span: Span,
    /// Bytes of the chunk before it.
    pub(super) from: usize,
    pub(super) anchor: usize,
    pub(super) flow: bool,
    pub(super) cost: Cost,
    pub(super) inside: CollectionContent,
    /// It was meant as this text, which has been reported.
    pub(super) meant: Option<String>,
}

pub(super) enum CollectionContent {
    List(Vec<Rc<Node>>),
    Map { entries: Vec<MapEntry>, seen: BTreeSet<String>, key: Option<PendingKey> },
}

/// A key that waits for its value.
pub(super) enum PendingKey {
    Keep(String, Span),
    /// Already reported; its value is read and left out.
    Skip,
}

impl OpenCollection {
    /// Whether the next node is a key.
    pub(super) fn wants_key(&self) -> bool {
        matches!(self.inside, CollectionContent::Map { key: None, .. })
    }

    /// The place of the key whose value is read next.
    pub(super) fn pending_key(&self) -> Option<Span> {
        match &self.inside {
            CollectionContent::Map { key: Some(PendingKey::Keep(_, span)), .. } => Some(*span),
            _ => None,
        }
    }
}

/// Path of the value that is being read within these.
pub(super) fn path_of(open: &[OpenCollection]) -> String {
    let mut path = String::new();
    for open in open {
        match &open.inside {
            CollectionContent::List(items) => path += &format!("[{}]", items.len()),
            CollectionContent::Map { key: Some(PendingKey::Keep(key, _)), .. } if path.is_empty() => {
                path += key
            }
            CollectionContent::Map { key: Some(PendingKey::Keep(key, _)), .. } => path += &format!(".{key}"),
            CollectionContent::Map { .. } => {}
        }
    }
    path
}

/// The key that a node is, or why it cannot be one.
pub(super) fn read_key(
    node: &Node,
    entries: &[MapEntry],
    seen: &mut BTreeSet<String>,
) -> Result<PendingKey, String> {
    let YamlValue::Scalar { text, plain } = &node.value else {
        return Err(format!("expected text as the key, found {}", node.kind()));
    };
    if text == "<<" && *plain {
        return Err("merge keys (`<<`) are not supported; write the keys out".to_owned());
    }
    if !seen.insert(text.clone()) {
        let first = entries.iter().find(|e| e.key == *text).map_or(0, |e| e.key_span.line);
        return Err(format!("duplicate key `{text}`, first in line {first}"));
    }
    Ok(PendingKey::Keep(text.clone(), node.span))
}
