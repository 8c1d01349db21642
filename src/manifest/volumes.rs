//! `volumes: [{name, path, readOnly, perReplica}]`, with `hostPath` in place of `name` for a path of the node. Pure.

use super::reader::{ManifestReader, YamlField};
use super::shape;
use crate::model::{Problem, ServiceName, Volume, VolumeOrigin};

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
    let name = block.get(reader, "name");
    let host_path = block.get(reader, "hostPath");
    let path = block.require(reader, "path", "path: /data").and_then(|field| reader.text(&field));
    let read_only = block.read(reader, "readOnly", ManifestReader::flag).unwrap_or_default();
    let per_replica = block.read(reader, "perReplica", ManifestReader::flag).unwrap_or_default();
    let origin = match (name, host_path) {
        (Some(name), None) => VolumeOrigin::Name(reader.text(&name)?),
        (None, Some(path)) => VolumeOrigin::HostPath(reader.text(&path)?),
        (Some(_), Some(path)) => {
            reader.wrong(&path, "a volume has a `name` or a `hostPath`; keep one of them");
            return None;
        }
        (None, None) => {
            let is_misspelt =
                ["name", "hostPath"].iter().any(|key| reader.is_spoiled(&format!("{}.{key}", item.path)));
            if !is_misspelt {
                reader.report(item.span, name_missing(item));
            }
            return None;
        }
    };
    Some(Volume { origin, path: path?, read_only, per_replica })
}

fn name_missing(item: &YamlField<'_>) -> Problem {
    Problem::new(format!("{}.name", item.path), "`name` or `hostPath` is required").suggest("name: data")
}

/// A volume as Compose writes it: `name:/path[:options]`, or a path of the node in place of the name.
fn report_text(reader: &mut ManifestReader<'_, '_>, item: &YamlField<'_>, text: &str) {
    let mut parts = text.split(':');
    let source = parts.next().unwrap_or_default();
    let path = parts.next();
    let is_read_only = parts.next().is_some_and(|options| options.split(',').any(|option| option == "ro"));
    let (name, path) = match path {
        None => (None, source),
        Some(path) if source.starts_with('/') && path.starts_with('/') => {
            let message = format!("expected a map with `hostPath` and `path`, found `{text}`");
            let read_only = if is_read_only { ", readOnly: true" } else { "" };
            return reader.wrong_but(
                item,
                message,
                format!("{{hostPath: {}, path: {}{read_only}}}", trimmed(source), trimmed(path)),
            );
        }
        Some(_) if source.starts_with(['.', '~', '$']) => {
            let message = format!("`{source}` depends on who applies it; write an absolute path of the node");
            let path = path.filter(|path| path.starts_with('/')).map_or("/data", trimmed);
            let read_only = if is_read_only { ", readOnly: true" } else { "" };
            return reader.wrong_but(
                item,
                message,
                format!("{{hostPath: /srv/data, path: {path}{read_only}}}"),
            );
        }
        Some(path) => (Some(source), path),
    };
    let message = format!("expected a map with `name` and `path`, found `{text}`");
    if !path.starts_with('/') {
        return reader.wrong_but(item, message, EXAMPLE);
    }
    let read_only = if is_read_only { ", readOnly: true" } else { "" };
    let name = name.and_then(label).unwrap_or_else(|| FALLBACK_NAME.to_owned());
    let path = trimmed(path);
    reader.wrong_but(item, message, format!("{{name: {name}, path: {path}{read_only}}}"));
}

/// Compose takes a slash at the end; a path of ours has none.
fn trimmed(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => path,
        trimmed => trimmed,
    }
}

/// The nearest name that a volume can have.
fn label(name: &str) -> Option<String> {
    let label = name.to_ascii_lowercase().replace(['_', '.'], "-");
    ServiceName::parse(&label).is_ok().then_some(label)
}
