//! `volumes: [{name, path, readOnly, perReplica}]`.

use super::reader::{ManifestReader, YamlField};
use super::shape;
use crate::model::Volume;

/// What a volume looks like, for suggestions.
const EXAMPLE: &str = "- {name: data, path: /data}";

/// The volumes of a spec.
pub(super) fn read(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Vec<Volume> {
    let Some(items) = reader.items(field) else {
        reader.wrong_but(field, "`volumes` is a list", EXAMPLE);
        return Vec::new();
    };
    items.iter().filter_map(|item| read_item(reader, item)).collect()
}

fn read_item(reader: &mut ManifestReader<'_, '_>, item: &YamlField<'_>) -> Option<Volume> {
    if let Some(text) = item.node.text() {
        match text.split_once(':') {
            Some((name, path)) if !name.starts_with(['/', '.', '~']) => {
                let path = path.split(':').next().unwrap_or(path);
                let instead = format!("{{name: {name}, path: {path}}}");
                reader.wrong_but(item, "a volume of the list is a map", instead);
            }
            _ => reader.wrong_but(item, "a volume has a name; no path of the host is mounted", EXAMPLE),
        }
        return None;
    }
    let block = reader.block(item, &shape::VOLUME)?;
    let read_only = block.get(reader, "readOnly").and_then(|field| reader.flag(&field)).unwrap_or_default();
    let per_replica =
        block.get(reader, "perReplica").and_then(|field| reader.flag(&field)).unwrap_or_default();
    let name = block.get(reader, "name");
    let path = block.get(reader, "path");
    for (there, key, message) in
        [(name.is_some(), "name", "a volume needs a name"), (path.is_some(), "path", "a volume needs a path")]
    {
        if !there && !reader.is_spoiled(&format!("{}.{key}", item.path)) {
            reader.wrong_but(item, message, EXAMPLE);
        }
    }
    let name = name.and_then(|field| reader.text(&field));
    let path = path.and_then(|field| reader.text(&field));
    Some(Volume { name: name?, path: path?, read_only, per_replica })
}
