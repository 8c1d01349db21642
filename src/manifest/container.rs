//! What a container may use and do: `resources`, `limits`, `security`, `logging`.

use super::reader::{Block, ManifestReader, YamlField};
use super::shape;
use crate::model::{ContainerLimits, Logging, MemorySize, Resources, Security};

pub(super) fn resources(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Resources {
    let Some(block) = reader.block(field, &shape::RESOURCES) else { return Resources::default() };
    Resources {
        cpu: block.get(reader, "cpu").and_then(|field| reader.quantity(&field)),
        memory: block.get(reader, "memory").and_then(|field| reader.quantity(&field)),
    }
}

pub(super) fn limits(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> ContainerLimits {
    let Some(block) = reader.block(field, &shape::LIMITS) else { return ContainerLimits::default() };
    ContainerLimits { cpu: block.get(reader, "cpu").and_then(|field| reader.quantity(&field)) }
}

pub(super) fn security(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Security {
    let Some(block) = reader.block(field, &shape::SECURITY) else { return Security::default() };
    Security {
        user: block.get(reader, "user").and_then(|field| reader.text(&field)),
        read_only_root: block.get(reader, "readOnlyRoot").and_then(|f| reader.flag(&f)).unwrap_or_default(),
        cap_add: capabilities(reader, &block, "capAdd"),
        cap_drop: capabilities(reader, &block, "capDrop"),
    }
}

/// Names without Docker's optional `CAP_`, so that one capability has one spelling in the template.
fn capabilities(reader: &mut ManifestReader<'_, '_>, security: &Block<'_>, key: &str) -> Vec<String> {
    let Some(field) = security.get(reader, key) else { return Vec::new() };
    let names = reader.texts(&field).unwrap_or_default();
    names.into_iter().map(|name| name.strip_prefix("CAP_").unwrap_or(&name).to_owned()).collect()
}

pub(super) fn logging(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Logging {
    let mut logging = Logging::default();
    let Some(block) = reader.block(field, &shape::LOGGING) else { return logging };
    if let Some(size) = block.get(reader, "maxSize").and_then(|field| log_size(reader, &field)) {
        logging.max_size = size;
    }
    if let Some(files) = block.get(reader, "maxFiles").and_then(|field| reader.number(&field)) {
        logging.max_files = files;
    }
    logging
}

/// A size in Docker's spelling too: `10m` and `1g` are mebibytes and gibibytes in its `max-size`.
fn log_size(reader: &mut ManifestReader<'_, '_>, field: &YamlField<'_>) -> Option<MemorySize> {
    let text = field.node.text().unwrap_or("");
    let docker = text.strip_suffix('m').map(|n| (n, "Mi")).or(text.strip_suffix('g').map(|n| (n, "Gi")));
    if let Some((number, unit)) = docker
        && let Ok(size) = format!("{number}{unit}").parse()
    {
        return Some(size);
    }
    reader.quantity(field)
}
