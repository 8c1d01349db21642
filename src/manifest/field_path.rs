//! Paths of fields in the long form, such as `spec.ports[0].name`, and the places where they are written. Pure.

use std::collections::BTreeMap;

use super::source::Span;

/// The place of each field that was read, by its path.
pub(super) type Spans = BTreeMap<String, Span>;

/// The path of a key of a block.
pub(super) fn join(block: &str, key: &str) -> String {
    if block.is_empty() { key.to_owned() } else { format!("{block}.{key}") }
}

/// Whether `path` is `above` or lies below it.
pub(super) fn covers(above: &str, path: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The place of a field, or of the nearest one above it that was written.
pub(super) fn find_span(spans: &Spans, path: &str) -> Option<Span> {
    let mut path = path;
    loop {
        if let Some(span) = spans.get(path) {
            return Some(*span);
        }
        path = &path[..path.rfind(['.', '['])?];
    }
}
