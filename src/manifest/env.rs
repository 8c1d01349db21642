//! `env`: a map of names to text exactly as written, or to a field that the system fills in.

use std::collections::BTreeMap;

use super::reader::{ManifestReader, YamlField};
use super::shape;
use super::tree::YamlValue;
use crate::model::EnvValue;

/// The environment.
pub(super) fn read(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> BTreeMap<String, EnvValue> {
    if let YamlValue::List(items) = &field.node.value {
        let first = items.first();
        let pair = first.and_then(|item| match (item.text(), item.get("name"), item.get("value")) {
            (Some(text), ..) => text.split_once('='),
            (None, Some(name), Some(value)) => name.text().zip(value.text()),
            _ => None,
        });
        let (name, value) = pair.unwrap_or(("NAME", "value"));
        reader.wrong_but(field, "`env` is a map of names to values, not a list", format!("{name}: {value}"));
        return BTreeMap::new();
    }
    reader.entries(field, read_value)
}

fn read_value(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<EnvValue> {
    if !matches!(field.node.value, YamlValue::Map(_)) {
        return read_text(reader, field).map(EnvValue::Text);
    }
    let block = reader.block(field, &shape::ENV_VALUE)?;
    if let Some(named) = block.get(reader, "field") {
        return reader.choice(&named, &shape::FIELDS).map(|field| EnvValue::Field { field });
    }
    if !reader.is_spoiled(&field.path) {
        reader.wrong_but(field, "a value is a text or names a field of the system", "{field: replica.name}");
    }
    None
}

/// A text that may be empty only when it says so.
pub(super) fn read_text(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<String> {
    if field.node.is_null() {
        reader.wrong_but(field, "nothing is no value; an empty text is written with quotes", "\"\"");
        return None;
    }
    reader.text(field)
}
