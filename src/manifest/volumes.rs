//! `volumes: [{name, path, readOnly, perReplica}]`. Pure.

use super::reader::{ManifestReader, YamlField};
use super::shape;
use crate::model::{ServiceName, Volume};

/// A volume, for suggestions.
const EXAMPLE: &str = "- {name: data, path: /data}";

/// Name of a volume in suggestions, where the text has none that a volume can have.
const FALLBACK_NAME: &str = "data";

/// The volumes of a spec.
pub(super) fn read(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<Vec<Volume>> {
    let items = reader.list(field, EXAMPLE)?;
    Some(items.iter().filter_map(|item| read_item(reader, item)).collect())
}

fn read_item(reader: &mut ManifestReader<'_, '_>, item: &YamlField<'_>) -> Option<Volume> {
    if let Some(text) = item.node.text() {
        report_text(reader, item, text);
        return None;
    }
    let block = reader.block(item, &shape::VOLUME)?;
    let name = block.require(reader, "name", "name: data").and_then(|field| reader.text(&field));
    let path = block.require(reader, "path", "path: /data").and_then(|field| reader.text(&field));
    let read_only = block.read(reader, "readOnly", ManifestReader::flag).unwrap_or_default();
    let per_replica = block.read(reader, "perReplica", ManifestReader::flag).unwrap_or_default();
    Some(Volume { name: name?, path: path?, read_only, per_replica })
}

/// A volume as Compose writes it: `name:/path[:options]`, or a path of the node in place of the name.
fn report_text(reader: &mut ManifestReader<'_, '_>, item: &YamlField<'_>, text: &str) {
    let mut parts = text.split(':');
    let source = parts.next().unwrap_or_default();
    let path = parts.next();
    let is_read_only = parts.next().is_some_and(|options| options.split(',').any(|option| option == "ro"));
    let (name, path) = match path {
        None => (None, source),
        Some(_) if source.starts_with(['/', '.', '~', '$']) => {
            return reader.wrong_but(item, "bind mounts are not supported; use a named volume", EXAMPLE);
        }
        Some(path) => (Some(source), path),
    };
    let message = format!("expected a map with `name` and `path`, found `{text}`");
    if !path.starts_with('/') {
        return reader.wrong_but(item, message, EXAMPLE);
    }
    let read_only = if is_read_only { ", readOnly: true" } else { "" };
    let name = name.and_then(label).unwrap_or_else(|| FALLBACK_NAME.to_owned());
    reader.wrong_but(item, message, format!("{{name: {name}, path: {path}{read_only}}}"));
}

/// The nearest name that a volume can have.
fn label(name: &str) -> Option<String> {
    let label = name.to_ascii_lowercase().replace(['_', '.'], "-");
    ServiceName::parse(&label).is_ok().then_some(label)
}
