//! `volumes: [{name, path, readOnly, perReplica}]`. Pure.

use super::reader::{ManifestReader, YamlField};
use super::shape;
use crate::model::Volume;

/// A volume, for suggestions.
const EXAMPLE: &str = "- {name: data, path: /data}";

/// The volumes of a spec.
pub(super) fn read(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<Vec<Volume>> {
    let items = reader.list(field, EXAMPLE)?;
    Some(items.iter().filter_map(|item| read_item(reader, item)).collect())
}

fn read_item(reader: &mut ManifestReader<'_, '_>, item: &YamlField<'_>) -> Option<Volume> {
    if let Some(text) = item.node.text() {
        match text.split_once(':') {
            Some((name, path)) if !name.starts_with(['/', '.', '~']) => {
                let path = path.split(':').next().unwrap_or(path);
                let message = format!("expected a map with `name` and `path`, found `{text}`");
                reader.wrong_but(item, message, format!("{{name: {name}, path: {path}}}"));
            }
            _ => reader.wrong_but(item, "bind mounts are not supported; use a named volume", EXAMPLE),
        }
        return None;
    }
    let block = reader.block(item, &shape::VOLUME)?;
    let name = block.require(reader, "name", "name: data").and_then(|field| reader.text(&field));
    let path = block.require(reader, "path", "path: /data").and_then(|field| reader.text(&field));
    let read_only = block.read(reader, "readOnly", ManifestReader::flag).unwrap_or_default();
    let per_replica = block.read(reader, "perReplica", ManifestReader::flag).unwrap_or_default();
    Some(Volume { name: name?, path: path?, read_only, per_replica })
}
