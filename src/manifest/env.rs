//! `env`: a map of names to text exactly as written, or to a field that the system fills in. Pure.

use std::collections::BTreeMap;

use super::reader::{ManifestReader, YamlField};
use super::shape;
use super::tree::YamlValue;
use crate::model::EnvValue;

pub(super) fn read(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> BTreeMap<String, EnvValue> {
    if let YamlValue::List(items) = &field.node.value {
        let first = items.first();
        let pair = first.and_then(|item| match (item.text(), item.get("name"), item.get("value")) {
            (Some(text), ..) => text.split_once('='),
            (None, Some(name), Some(value)) => name.text().zip(value.text()),
            _ => None,
        });
        let (name, value) = pair.unwrap_or(("NAME", "value"));
        let message = "expected a map of names to values, found a list";
        reader.wrong_but(field, message, format!("{name}: {value}"));
        return BTreeMap::new();
    }
    reader.entries(field, read_value)
}

fn read_value(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<EnvValue> {
    if !matches!(field.node.value, YamlValue::Map(_)) {
        return reader.text_or_quotes(field).map(EnvValue::Text);
    }
    let block = reader.block(field, &shape::ENV_VALUE)?;
    if reader.is_spoiled(&field.path) {
        return None;
    }
    let named = block.require(reader, "field", "field: replica.name")?;
    reader.choice(&named, &shape::FIELDS).map(|field| EnvValue::Field { field })
}
